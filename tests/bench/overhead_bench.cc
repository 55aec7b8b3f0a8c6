// What the service adds to training: the same gangs trained by the trainer alone, and as a
// sweep by a coordinator and a worker, in turns.
//
//   ./x bench overhead [--jobs 32] [--gang 8] [--slots 2] [--iterations 5000] [--rounds 3]
//
// Wall time: of the trainer from its first gang's begin to its last one's end, on as many
// threads as the worker has slots; of the sweep from its submission until its last job
// is known to have succeeded. The worker is connected by then. Wall time varies with the
// machine by more than the service costs, so that the processor time which the service
// takes is told as well: that of the coordinator and of the worker's threads other than
// the slots', against all of both processes.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/config/job_config.h"
#include "lib/train/device.h"
#include "lib/train/trainer.h"
#include "tests/bench/bench_coordinator.h"
#include "tests/e2e/process.h"

namespace modlab::bench {
namespace {

struct Work {
  int jobs = 32;
  int gang = 8;
  int slots = 2;
  int64_t iterations = 5000;
};

v1::JobConfig Defaults(const Work& work) {
  v1::JobConfig config;
  config.set_architecture(v1::MLP);
  config.set_target(v1::REGRESSION);
  config.set_model(v1::MODULAR);
  config.set_rules(8);
  config.set_iterations(work.iterations);
  return config;
}

class CountFinished : public GangObserver {
 public:
  void OnPoint(int, const v1::CurvePoint&) override {}
  void OnFinished(int, const v1::JobResult&, const FinalWeights&) override { ++finished_; }
  void OnFailed(int, const v1::Failure& failure) override { Give(failure.message()); }
  void OnCheckpoint(int, int64_t, std::string) override {}
  int finished() const { return finished_; }

 private:
  int finished_ = 0;
};

void TrainGang(const Work& work, int first) {
  std::vector<v1::JobConfig> configs;
  for (int job = first; job < std::min(first + work.gang, work.jobs); ++job) {
    v1::JobConfig config = Defaults(work);
    config.set_model_seed(job);
    configs.push_back(Canonicalise(config).value());
  }
  auto trainer = Trainer::Create(configs, "cpu");
  if (!trainer.ok()) Give(trainer.status().ToString());
  CountFinished observer;
  const absl::Status status = (*trainer)->Run(&observer);
  if (!status.ok()) Give(status.ToString());
  if (observer.finished() != static_cast<int>(configs.size())) Give("not all jobs finished");
}

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double TrainerAlone(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  std::atomic<int> next{0};
  std::vector<std::thread> threads;
  for (int slot = 0; slot < work.slots; ++slot) {
    threads.emplace_back([&] {
      for (;;) {
        const int first = next.fetch_add(work.gang);
        if (first >= work.jobs) return;
        TrainGang(work, first);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return SecondsSince(start);
}

// Seconds of processor time that a line of /proc/.../stat tells.
double ProcessorSeconds(const std::string& path) {
  const std::string line = e2e::ReadFile(path);
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return 0;  // it has ended
  const std::vector<std::string> fields =
      absl::StrSplit(line.substr(name_end + 1), ' ', absl::SkipEmpty());
  constexpr size_t kUser = 11, kSystem = 12;  // proc(5)'s 14 and 15
  int64_t ticks = 0;
  for (const size_t field : {kUser, kSystem}) {
    int64_t part = 0;
    if (fields.size() <= field || !absl::SimpleAtoi(fields[field], &part)) {
      Give("not understood: " + path);
    }
    ticks += part;
  }
  return static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// Seconds that processes and threads took so far.
struct ProcessorTime {
  double all = 0;  // of coordinator and worker
  std::map<std::string, double> worker_threads;
};

ProcessorTime ReadProcessorTime(pid_t coordinator, pid_t worker) {
  ProcessorTime time;
  for (const pid_t pid : {coordinator, worker}) {
    time.all += ProcessorSeconds(absl::StrCat("/proc/", pid, "/stat"));
  }
  for (const auto& thread :
       std::filesystem::directory_iterator(absl::StrCat("/proc/", worker, "/task"))) {
    time.worker_threads[thread.path()] = ProcessorSeconds(thread.path() / "stat");
  }
  return time;
}

// Of the time in between, the share that the worker's busiest threads, as many as it has
// slots, did not take.
double ServiceShare(const ProcessorTime& before, const ProcessorTime& after, int slots) {
  std::vector<double> threads;
  for (const auto& [thread, seconds] : after.worker_threads) {
    const auto earlier = before.worker_threads.find(thread);
    threads.push_back(seconds - (earlier == before.worker_threads.end() ? 0 : earlier->second));
  }
  std::sort(threads.rbegin(), threads.rend());
  threads.resize(std::min(threads.size(), static_cast<size_t>(slots)));
  const double in_slots = std::accumulate(threads.begin(), threads.end(), 0.0);
  return 1 - in_slots / (after.all - before.all);
}

struct SweepCost {
  double seconds = 0;
  double service_share = 0;  // of the processor time
};

SweepCost AsASweep(const Work& work) {
  BenchCoordinator coordinator;
  const std::string log = coordinator.directory() + "/worker";
  e2e::Process worker({MODLAB_WORKER_PATH, "--server", coordinator.address(), "--device", "cpu",
                       "--slots", absl::StrCat(work.slots), "--gang", absl::StrCat(work.gang)},
                      log, log);
  // A job of its own brings the worker up.
  Work warm_up = work;
  warm_up.iterations = 1;
  coordinator.Submit("warm-up", Defaults(warm_up), work.slots);
  const auto wait_for = [&](const std::string& sweep, int64_t jobs) {
    for (;;) {
      const v1::JobCounts counts = coordinator.Counts(sweep);
      if (counts.succeeded() == jobs) return;
      if (counts.failed() + counts.cancelled() > 0) Give(sweep + ": a job failed");
      if (!worker.running()) Give("the worker ended: " + e2e::ReadFile(log));
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  };
  wait_for("warm-up", work.slots);
  const ProcessorTime before = ReadProcessorTime(coordinator.pid(), worker.pid());
  const auto start = std::chrono::steady_clock::now();
  coordinator.Submit("sweep", Defaults(work), work.jobs);
  wait_for("sweep", work.jobs);
  const double seconds = SecondsSince(start);
  const ProcessorTime after = ReadProcessorTime(coordinator.pid(), worker.pid());
  return {seconds, ServiceShare(before, after, work.slots)};
}

int Main(int argc, char** argv) {
  Work work;
  int rounds = 3;
  CLI::App app("Times a sweep against the trainer alone.", "overhead_bench");
  app.add_option("--jobs", work.jobs, "Jobs")->capture_default_str();
  app.add_option("--gang", work.gang, "Jobs that train together")->capture_default_str();
  app.add_option("--slots", work.slots, "Gangs side by side")->capture_default_str();
  app.add_option("--iterations", work.iterations, "Iterations of a job")->capture_default_str();
  app.add_option("--rounds", rounds, "Rounds of both")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  PrepareProcess();

  TrainGang({work.gang, work.gang, 1, 1}, 0);  // what is loaded once is loaded
  std::printf("| round | trainer alone, s | sweep, s | sweep / trainer | the service's, %% |\n");
  std::vector<double> ratios;
  for (int round = 1; round <= rounds; ++round) {
    const double alone = TrainerAlone(work);
    const SweepCost sweep = AsASweep(work);
    ratios.push_back(sweep.seconds / alone);
    std::printf("| %5d | %16.2f | %8.2f | %15.3f | %16.2f |\n", round, alone, sweep.seconds,
                ratios.back(), 100 * sweep.service_share);
    std::fflush(stdout);
  }
  std::sort(ratios.begin(), ratios.end());
  std::printf("median: %.3f\n", ratios[ratios.size() / 2]);
  return 0;
}

}  // namespace
}  // namespace modlab::bench

int main(int argc, char** argv) { return modlab::bench::Main(argc, argv); }
