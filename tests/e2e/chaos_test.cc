// A real coordinator and real workers, killed, stopped and cut off at random while
// they train; what comes out is what an undisturbed run gives, and the audit of the
// store finds nothing.
//
// A short round by default; MODLAB_CHAOS_SECONDS and MODLAB_CHAOS_SEED make longer
// and other ones (`./x chaos`). Which faults come when depends on the seed; what they
// meet depends on the machine, so that a seed does not replay exactly.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/proxy.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

constexpr int kWorkers = 3;
constexpr int kLeaseSeconds = 2;

int64_t Setting(const char* name, int64_t standard) {
  const char* text = std::getenv(name);
  int64_t value = 0;
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : standard;
}

// Several shapes, and enough work to be disturbed for all of `seconds`.
std::string Yaml(int64_t seconds) {
  const std::string seeds = absl::StrCat("{from: 0, to: ", seconds / 2, "}");
  const std::string common =
      "rules: 4, iterations: 3000, eval_interval: 250, model_seed: " + seeds + ", ";
  return SmallSweep("chaos", "[{" + common + "model: [monolithic, modular]}, {" + common +
                                 "target: classification, model: [modular_op, gt_modular]}]");
}

struct Outcome {
  std::map<std::string, Json> jobs;
  Json curves;
};

Outcome Read(Cluster* cluster, const std::string& sweep) {
  return {Science(cluster->Rows({"export", sweep})),
          cluster->Rows(
              {"curves", sweep, "--metric", "eval_loss", "--group-by", "target,model,model_seed"})};
}

class Chaos {
 public:
  Chaos(Cluster* cluster, uint64_t seed) : cluster_(cluster), random_(seed) {
    cluster_->set_address("127.0.0.1:0");
    coordinator_ = cluster_->StartCoordinator(kLeaseSeconds);
    const std::string address = cluster_->address();
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
    for (int i = 0; i < kWorkers; ++i) {
      workers_.push_back({std::make_unique<Proxy>(port), nullptr});
      Start(&workers_.back());
    }
  }

  void Strike() {
    Worker* worker = &workers_[Below(workers_.size())];
    switch (Below(8)) {
      case 0:
        Count("coordinator killed");
        coordinator_->Kill();
        Sleep(0, 500);
        coordinator_ = cluster_->StartCoordinator(kLeaseSeconds);
        break;
      case 1:
        Count("coordinator stopped for a while");
        Pause(coordinator_);
        break;
      case 2:
        Count("worker killed");
        worker->process->Kill();
        Start(worker);
        break;
      case 3:
        Count("worker stopped for a while");
        Pause(worker->process);
        break;
      case 4:
        Count("worker drained by SIGTERM");
        worker->process->Signal(SIGTERM);
        // One that has hardly started does not listen yet, and has nothing to hand back.
        EXPECT_THAT(worker->process->Wait().value_or(-1), testing::AnyOf(0, 128 + SIGTERM));
        Start(worker);
        break;
      case 5:
      case 6:
        Count("connections cut");
        worker->proxy->Cut();
        break;
      default:
        Count("network dead for a while");
        worker->proxy->Stall(true);
        Sleep(100, 2 * 1000 * kLeaseSeconds);
        worker->proxy->Stall(false);
        break;
    }
    Sleep(0, 700);
  }

  void Print() const {
    for (const auto& [fault, count] : counts_) std::cout << fault << ": " << count << "\n";
  }

 private:
  struct Worker {
    std::unique_ptr<Proxy> proxy;
    Process* process;
  };

  uint64_t Below(uint64_t bound) { return random_() % bound; }
  void Sleep(uint64_t from_ms, uint64_t to_ms) {
    absl::SleepFor(absl::Milliseconds(from_ms + Below(to_ms - from_ms + 1)));
  }
  void Count(const std::string& fault) { ++counts_[fault]; }

  void Pause(Process* process) {
    process->Signal(SIGSTOP);
    Sleep(100, 2 * 1000 * kLeaseSeconds);
    process->Signal(SIGCONT);
  }

  void Start(Worker* worker) {
    worker->process = cluster_->StartWorker(
        1 + static_cast<int>(Below(5)), {"--checkpoint-seconds", "1"}, worker->proxy->address());
  }

  Cluster* const cluster_;
  std::mt19937_64 random_;
  Process* coordinator_ = nullptr;
  std::vector<Worker> workers_;
  std::map<std::string, int> counts_;
};

TEST(ChaosTest, NothingIsLostWhateverIsKilled) {
  const int64_t seconds = Setting("MODLAB_CHAOS_SECONDS", 20);
  const int64_t seed = Setting("MODLAB_CHAOS_SEED", 1);
  const std::string yaml = Yaml(seconds);

  Cluster calm;
  calm.StartCoordinator();
  calm.StartWorker(/*gang=*/8);
  const std::string undisturbed = calm.Submit(yaml);

  Cluster cluster;
  Chaos chaos(&cluster, static_cast<uint64_t>(seed));
  const std::string sweep = cluster.Submit(yaml);
  const absl::Time end = absl::Now() + absl::Seconds(seconds);
  while (absl::Now() < end && !testing::Test::HasFailure()) chaos.Strike();
  chaos.Print();

  const absl::Duration patience = absl::Seconds(60 + 4 * seconds);
  // Poison is told from bad luck: no job may have been given up.
  const Json last = cluster.WaitForEnd(sweep, patience);
  const int64_t jobs = 4 * (seconds / 2 + 1);
  EXPECT_EQ(last.value("succeeded", 0), jobs) << last.dump();
  const Output audit = cluster.Modlab({"audit"});
  EXPECT_EQ(audit.exit_code, 0) << audit.out << audit.err;

  EXPECT_EQ(calm.WaitForEnd(undisturbed, patience).value("succeeded", 0), jobs);
  const Outcome expected = Read(&calm, undisturbed);
  const Outcome actual = Read(&cluster, sweep);
  EXPECT_EQ(actual.jobs.size(), expected.jobs.size());
  for (const auto& [key, job] : expected.jobs) {
    const auto found = actual.jobs.find(key);
    ASSERT_TRUE(found != actual.jobs.end()) << job;
    EXPECT_EQ(found->second, job);
  }
  EXPECT_TRUE(actual.curves == expected.curves) << "the same results, but other curves";
}

}  // namespace
}  // namespace modlab::e2e
