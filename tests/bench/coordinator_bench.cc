// What a coordinator bears, next to what its machine allows: a real modlabd with its store on
// disk (synchronous=FULL), and in this process workers that train nothing and users who ask.
// Both share the machine's cores.
//
//   ./x bench coordinator [--workers 200] [--jobs 100000] [--gang 8]
//   ./x bench coordinator --growth docs/figures/coordinator.csv
//
// A value is one metric of one job at one iteration, which is what other trackers call a point
// of a curve. A CurvePoint of ours has 8 of them and an activation matrix of 16 cells, which
// are not counted. Figures are of what was acknowledged, and so is on disk.
//
// Ends with exit code 1 if anything was lost: if a job did not succeed, or the audit finds
// damage.

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "spdlog/spdlog.h"
#include "tests/bench/bench_coordinator.h"
#include "tests/bench/fake_worker.h"
#include "tests/bench/machine_limits.h"

namespace modlab::bench {
namespace {

struct Options {
  int workers = 200;
  int64_t jobs = 100'000;
  int gang = 8;
  double seconds = 10;
  std::string growth;
};

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void PrintHead() { std::printf("%-52s %12s %9s %9s %9s\n", "", "", "ms p50", "p99", "p99.9"); }

void Print(const std::string& what, double value, const char* unit, Times* times = nullptr) {
  std::printf("%-52s %12.*f", absl::StrCat(what, ", ", unit).c_str(), value < 100 ? 2 : 0, value);
  if (times != nullptr) {
    std::printf(" %9.2f %9.2f %9.2f", times->At(0.5), times->At(0.99), times->At(0.999));
  }
  std::printf("\n");
  std::fflush(stdout);
}

// Workers that are there until the end of the block.
class Crew {
 public:
  Crew(int count, const FakeWorker::Options& options, BenchCoordinator* coordinator, Load* load) {
    for (int i = 0; i < count; ++i) {
      workers_.push_back(
          std::make_unique<FakeWorker>(++hired_, coordinator->address(), options, load));
    }
  }

 private:
  static int hired_;  // so far: a worker's id is its own for ever
  std::vector<std::unique_ptr<FakeWorker>> workers_;
};

int Crew::hired_ = 0;

// Until so many jobs have ended; gives up where none does.
void WaitForJobs(const Load& load, int64_t jobs) {
  int64_t before = -1;
  Clock::time_point moved = Clock::now();
  while (load.jobs < jobs) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (load.jobs + load.points != before) moved = Clock::now();
    before = load.jobs + load.points;
    if (SecondsSince(moved) > 60) Give(absl::StrCat("stuck after ", load.jobs.load(), " jobs"));
  }
}

// Submits a sweep and runs all its jobs.
void RunAll(const SweepShape& shape, const FakeWorker::Options& workers, int count,
            BenchCoordinator* coordinator) {
  coordinator->Submit(shape);
  Load load;
  const Crew crew(count, workers, coordinator, &load);
  WaitForJobs(load, shape.jobs);
}

// What users ask, over and over, while something goes on.
struct Reads {
  Times results, curves, page;
  std::atomic<bool> stop{false};

  void Loop(BenchCoordinator* coordinator) {
    v1::QueryResultsRequest results_request;
    results_request.set_sweep("finished");
    results_request.add_group_by("data_seed");
    v1::QueryCurvesRequest curves_request;
    curves_request.set_sweep("curves");
    curves_request.set_metric("eval_loss");
    v1::ListJobsRequest page_request;
    page_request.set_sweep("finished");
    page_request.set_page_token("after-5000");
    while (!stop) {
      Clock::time_point asked = Clock::now();
      v1::QueryResultsResponse groups;
      BenchCoordinator::Call(coordinator->results(), &v1::ResultsService::Stub::QueryResults,
                             results_request, &groups);
      results.Add(asked);
      if (groups.jobs_finished() != 20'000)
        Give(absl::StrCat("of the finished jobs there are ", groups.jobs_finished()));
      asked = Clock::now();
      v1::QueryCurvesResponse curve;
      BenchCoordinator::Call(coordinator->results(), &v1::ResultsService::Stub::QueryCurves,
                             curves_request, &curve);
      curves.Add(asked);
      asked = Clock::now();
      v1::ListJobsResponse jobs;
      BenchCoordinator::Call(coordinator->sweeps(), &v1::SweepService::Stub::ListJobs, page_request,
                             &jobs);
      page.Add(asked);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  void Print() {
    bench::Print("results grouped over 20,000 finished jobs", results.At(0.5), "ms", &results);
    bench::Print("mean curve of 500 jobs", curves.At(0.5), "ms", &curves);
    bench::Print("page of 100 jobs", page.At(0.5), "ms", &page);
  }
};

// Jobs with curves for some seconds; prints and returns values a second.
double Telemetry(const std::string& name, const Options& options, BenchCoordinator* coordinator,
                 Load* load) {
  FakeWorker::Options workers;
  workers.gang = options.gang;
  const int64_t before = load->values;
  const int64_t points_before = load->points;
  const Clock::time_point start = Clock::now();
  {
    const Crew crew(options.workers, workers, coordinator, load);
    std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds));
  }
  const double seconds = SecondsSince(start);
  const double rate = static_cast<double>(load->values - before) / seconds;
  Print(name + ": metric values", rate, "1/s", &load->acknowledgement_ms);
  Print(name + ": CurvePoint messages", static_cast<double>(load->points - points_before) / seconds,
        "1/s");
  return rate;
}

int Run(const Options& options) {
  BenchCoordinator coordinator;
  const MachineLimits limits = MeasureMachine(coordinator.directory(), coordinator.address());
  std::printf("%d workers, gangs of %d, on this machine:\n", options.workers, options.gang);
  PrintHead();
  Print("durable SQLite commits", limits.commits_per_second, "1/s");
  Print("SQLite rows, 1,000 a commit", limits.rows_per_second, "1/s");
  Print("gRPC echoes", limits.echoes_per_second, "1/s");
  std::printf("the coordinator:\n");

  const double accepted = coordinator.Submit({"jobs", options.jobs, 1});
  Print(absl::StrCat("a sweep of ", options.jobs, " jobs accepted"), accepted, "s");
  FakeWorker::Options nothing;
  nothing.gang = options.gang;
  nothing.curves = false;
  {
    Load load;
    const Clock::time_point start = Clock::now();
    const Crew crew(options.workers, nothing, &coordinator, &load);
    WaitForJobs(load, options.jobs);
    Print("jobs leased, run, done", static_cast<double>(options.jobs) / SecondsSince(start), "1/s",
          &load.job_ms);
  }

  {
    RunAll({"finished", 20'000, 2}, nothing, options.workers, &coordinator);
    FakeWorker::Options with_curves;
    RunAll({"curves", 500, 20}, with_curves, options.workers, &coordinator);
  }

  Load load;
  coordinator.Submit({"telemetry", 50'000, 199});
  const int64_t bytes_before = coordinator.DatabaseBytes();
  const double alone = Telemetry("telemetry", options, &coordinator, &load);
  Print("state",
        static_cast<double>(coordinator.DatabaseBytes() - bytes_before) /
            static_cast<double>(load.values),
        "bytes a value");
  Reads reads;
  std::thread reader([&] { reads.Loop(&coordinator); });
  const double beside = Telemetry("telemetry beside reads", options, &coordinator, &load);
  reads.stop = true;
  reader.join();
  Print("of what there was without reads", 100 * beside / alone, "percent");
  reads.Print();
  Print("memory of the coordinator, at most", coordinator.MemoryMib("VmHWM"), "MiB");

  const v1::JobCounts counts = coordinator.Counts("jobs");
  const int64_t findings = coordinator.Audit("telemetry") + coordinator.Audit("curves");
  Print("jobs that did not succeed", static_cast<double>(options.jobs - counts.succeeded()), "");
  Print("findings of the audit", static_cast<double>(findings), "");
  std::fputs(coordinator.Log().c_str(), stdout);
  return counts.succeeded() == options.jobs && findings == 0 ? 0 : 1;
}

// How it grows, as CSV: by workers with 20,000 jobs waiting, by jobs with 100 workers.
int Grow(const Options& options) {
  std::ofstream csv(options.growth);
  csv << "by,count,submit_s,jobs_per_s,job_ms_p50,job_ms_p99,page_ms,memory_mib\n";
  const auto measure = [&](const char* by, int64_t count, int workers, int64_t jobs) {
    BenchCoordinator coordinator;
    const double submit_s = coordinator.Submit({"jobs", jobs, 1});
    Load load;
    FakeWorker::Options nothing;
    nothing.gang = options.gang;
    nothing.curves = false;
    const Clock::time_point start = Clock::now();
    {
      const Crew crew(workers, nothing, &coordinator, &load);
      while (SecondsSince(start) < options.seconds && load.jobs < jobs) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    const double rate = static_cast<double>(load.jobs) / SecondsSince(start);
    Times page;
    v1::ListJobsRequest request;
    request.set_sweep("jobs");
    request.set_page_token(absl::StrCat("after-", jobs / 2));
    for (int i = 0; i < 20; ++i) {
      const Clock::time_point asked = Clock::now();
      v1::ListJobsResponse response;
      BenchCoordinator::Call(coordinator.sweeps(), &v1::SweepService::Stub::ListJobs, request,
                             &response);
      page.Add(asked);
    }
    csv << by << ',' << count << ',' << submit_s << ',' << rate << ',' << load.job_ms.At(0.5) << ','
        << load.job_ms.At(0.99) << ',' << page.At(0.5) << ',' << coordinator.MemoryMib("VmRSS")
        << '\n';
    csv.flush();
    std::printf("%s %lld: %.2f s to submit, %.0f jobs/s, %.0f MiB\n", by,
                static_cast<long long>(count), submit_s, rate, coordinator.MemoryMib("VmRSS"));
    std::fflush(stdout);
  };
  for (const int workers : {1, 2, 5, 10, 20, 50, 100, 200}) {
    measure("workers", workers, workers, 100'000);
  }
  for (const int64_t jobs : {1'000, 10'000, 100'000, 1'000'000}) measure("jobs", jobs, 100, jobs);
  return csv.good() ? 0 : 1;
}

}  // namespace
}  // namespace modlab::bench

int main(int argc, char** argv) {
  modlab::bench::Options options;
  CLI::App app("A coordinator under load, beside the limits of its machine.", "coordinator_bench");
  app.add_option("--workers", options.workers)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--jobs", options.jobs, "up to 1,000 or thousands")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--gang", options.gang)->check(CLI::Range(1, 1024))->capture_default_str();
  app.add_option("--seconds", options.seconds, "of each measurement of telemetry or growth")
      ->check(CLI::Range(0.1, 600.0))
      ->capture_default_str();
  app.add_option("--growth", options.growth, "write a CSV of how it grows, and nothing else");
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::off);
  return options.growth.empty() ? modlab::bench::Run(options) : modlab::bench::Grow(options);
}
