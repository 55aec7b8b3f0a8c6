// A real modlabd for a benchmark, in a directory of its own, and calls to it.

#ifndef MODLAB_TESTS_BENCH_BENCH_COORDINATOR_H_
#define MODLAB_TESTS_BENCH_BENCH_COORDINATOR_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "modlab/v1/coordinator.grpc.pb.h"
#include "modlab/v1/results.grpc.pb.h"
#include "modlab/v1/sweep.grpc.pb.h"
#include "tests/e2e/process.h"

namespace modlab::bench {

// Ends the benchmark.
[[noreturn]] void Give(const std::string& message);

// The jobs of a sweep: as small as jobs can be, `points` points each after the first.
struct SweepShape {
  std::string name;
  int64_t jobs = 0;
  int points = 1;
};

class BenchCoordinator {
 public:
  BenchCoordinator();
  // Removes the directory.
  ~BenchCoordinator();

  const std::string& address() const { return address_; }
  const std::string& directory() const { return directory_; }
  pid_t pid() const { return process_->pid(); }
  v1::SweepService::Stub* sweeps() { return sweeps_.get(); }
  v1::ResultsService::Stub* results() { return results_.get(); }

  template <typename Stub, typename Request, typename Response>
  static void Call(Stub* stub,
                   grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                   const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(5));
    const grpc::Status status = (stub->*method)(&context, request, response);
    if (!status.ok()) Give(status.error_message());
  }

  // Seconds until it was accepted.
  double Submit(const SweepShape& shape);
  // Jobs that differ from `defaults` in data and model seed.
  double Submit(const std::string& name, const v1::JobConfig& defaults, int64_t jobs);
  v1::JobCounts Counts(const std::string& sweep);
  // Findings of the audit that are damage, each told.
  int64_t Audit(const std::string& sweep);

  // Of the process, in MiB: a line of /proc/PID/status.
  double MemoryMib(const std::string& line) const;
  // Of the database, once nothing is written any more.
  int64_t DatabaseBytes();
  std::string Log() const;

 private:
  std::string directory_;
  std::string address_;
  std::unique_ptr<e2e::Process> process_;
  std::unique_ptr<v1::SweepService::Stub> sweeps_;
  std::unique_ptr<v1::ResultsService::Stub> results_;
  std::unique_ptr<v1::CoordinatorService::Stub> care_;
};

}  // namespace modlab::bench

#endif  // MODLAB_TESTS_BENCH_BENCH_COORDINATOR_H_
