// A worker that trains nothing: it speaks the protocol of worker.proto and, for each job that
// it is given, reports made-up points and a result as soon as the coordinator lets it. It
// costs as little as it can, since it runs beside the coordinator that is measured.
//
// Everything happens in gRPC's callbacks. Thread-safe.

#ifndef MODLAB_TESTS_BENCH_FAKE_WORKER_H_
#define MODLAB_TESTS_BENCH_FAKE_WORKER_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "modlab/v1/worker.grpc.pb.h"

namespace modlab::bench {

using Clock = std::chrono::steady_clock;

// Milliseconds that something took, many times. Thread-safe.
class Times {
 public:
  void Add(Clock::time_point since);
  // The share of all that took no longer; 0 if there are none.
  double At(double share);
  size_t count();
  void Clear();

 private:
  std::mutex mutex_;
  std::vector<float> ms_;
};

// What came of all workers together. Counts what was acknowledged, and so is on disk.
struct Load {
  std::atomic<int64_t> jobs{0};
  std::atomic<int64_t> points{0};  // CurvePoint messages
  std::atomic<int64_t> values{0};  // of metrics in them
  Times job_ms;                    // from the lease's arrival to its result's acknowledgement
  Times acknowledgement_ms;        // from a view with reports to its acknowledgement
};

class FakeWorker final : public grpc::ClientBidiReactor<v1::WorkerView, v1::CoordinatorView> {
 public:
  struct Options {
    int gang = 8;
    // Of each job in one view; a job's curve takes several views if it has more.
    int points_a_view = 64;
    bool curves = true;  // without them jobs have results alone
  };

  // Connects at once, on a connection of its own.
  FakeWorker(int number, const std::string& address, const Options& options, Load* load);
  // Ends the stream and waits for its end.
  ~FakeWorker() override;

 private:
  struct Job {
    v1::JobConfig config;
    std::vector<int64_t> iterations;  // of its points
    size_t sent = 0;                  // of these
    uint64_t last_report = 0;         // its result's number; 0: not reported
    Clock::time_point leased;
  };
  using LeaseKey = std::pair<int64_t, int32_t>;
  // Reports up to a number, sent together.
  struct Sent {
    uint64_t number = 0;
    int64_t points = 0;
    int64_t values = 0;
    Clock::time_point at;
  };

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  // All with the mutex held.
  void Take(const v1::CoordinatorView& view);
  void Train(v1::WorkerView* view);
  void SendView();

  const Options options_;
  Load* const load_;
  v1::WorkerView identity_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  grpc::ClientContext context_;
  v1::CoordinatorView incoming_;
  v1::WorkerView outgoing_;

  std::mutex mutex_;
  std::condition_variable ended_;
  std::map<LeaseKey, Job> jobs_;
  std::map<LeaseKey, int64_t> gang_of_;
  std::deque<Sent> sent_;
  uint64_t reports_ = 0;
  bool writing_ = false;
  bool news_ = true;
  bool stopping_ = false;
  bool done_ = false;
};

}  // namespace modlab::bench

#endif  // MODLAB_TESTS_BENCH_FAKE_WORKER_H_
