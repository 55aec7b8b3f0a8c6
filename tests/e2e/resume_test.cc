// Interrupted jobs go on where they stopped, on whatever worker, and end in the same
// bits as if nothing had been.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/sqlite_file.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kJobs = 2;

struct Kind {
  const char* architecture;
  // Of a config whose training takes some seconds.
  const char* fields;
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.architecture; }

constexpr Kind kMlp = {"mlp", "iterations: 24000, eval_interval: 1000"};
constexpr Kind kMha = {"mha",
                       "iterations: 4800, eval_interval: 240, heads: 2, sequence_length: 10"};
constexpr Kind kRnn = {"rnn",
                       "iterations: 6000, eval_interval: 300, input_dim: 4, sequence_length: 10"};

// Two jobs of one shape.
std::string Yaml(const Kind& kind) {
  return SmallSweep("resume",
                    absl::StrCat("{architecture: ", kind.architecture,
                                 ", rules: 2, model: modular, validation_batches: 2, ", kind.fields,
                                 ", model_seed: {from: 0, to: ", kJobs - 1, "}}"));
}

struct Outcome {
  std::map<std::string, Json> jobs;
  std::vector<Json> curves;
};

// Waits for the end; all must have succeeded.
Outcome Finish(Cluster* cluster, const std::string& sweep) {
  const Json end = cluster->WaitForEnd(sweep);
  EXPECT_EQ(end.value("succeeded", 0), kJobs) << end.dump();
  Outcome outcome{Science(cluster->Rows({"export", sweep})), {}};
  for (const Json& best : cluster->Rows({"export", sweep, "--checkpoint", "best"})) {
    outcome.curves.push_back(best["checkpoint_sha256"]);
  }
  for (const char* metric :
       {"train_loss", "eval_loss", "validation_loss", "alignment", "inverse_mi"}) {
    outcome.curves.push_back(
        cluster->Rows({"curves", sweep, "--metric", metric, "--group-by", "model_seed"}));
  }
  return outcome;
}

void ExpectSame(const Outcome& actual, const Outcome& expected) {
  EXPECT_EQ(actual.jobs, expected.jobs);
  EXPECT_TRUE(actual.curves == expected.curves) << "the same results, but other curves";
}

// Where each attempt of a job began.
std::vector<int64_t> Starts(Cluster* cluster, int64_t job) {
  std::vector<int64_t> starts;
  for (const Json& event : cluster->Rows({"show", absl::StrCat(job), "--events"})) {
    if (event["event"] == "leased") starts.push_back(event["iteration"]);
  }
  return starts;
}

int CountEvents(Cluster* cluster, int64_t job, const std::string& kind) {
  int count = 0;
  for (const Json& event : cluster->Rows({"show", absl::StrCat(job), "--events"})) {
    count += event["event"] == kind ? 1 : 0;
  }
  return count;
}

class ResumeTest : public testing::TestWithParam<Kind> {
 protected:
  // What a run without interruptions comes to, of each kind once.
  static const Outcome& Undisturbed(const Kind& kind) {
    static auto* const outcomes = new std::map<std::string, Outcome>();
    const auto [it, is_new] = outcomes->try_emplace(kind.architecture);
    if (is_new) {
      Cluster calm;
      calm.StartCoordinator();
      calm.StartWorker(/*gang=*/2, {"--checkpoint-seconds", "0"});
      it->second = Finish(&calm, calm.Submit(Yaml(kind)));
    }
    return it->second;
  }

  // Iterations that the coordinator has checkpoints of, of all jobs.
  int64_t IterationsKept() {
    return QueryNumber(cluster_.data_dir() + "/modlab.db",
                       "SELECT coalesce(sum(checkpoint_iteration), 0) FROM jobs "
                       "WHERE checkpoint_iteration > 0");
  }

  // The newest point of any job.
  bool WaitForIteration(const std::string& sweep, int64_t iteration) {
    return cluster_.WaitForSweep(sweep, [&](const Json&) {
      for (const Json& job : cluster_.Rows({"export", sweep})) {
        if (job["iteration"] >= iteration) return true;
      }
      return false;
    });
  }

  // The worker ends well, and in time.
  static void ExpectEnd(Process* worker) {
    const absl::Time before = absl::Now();
    EXPECT_EQ(worker->Wait().value_or(-1), 0);
    EXPECT_LT(absl::Now() - before, absl::Seconds(25)) << "longer than its grace";
  }

  Cluster cluster_;
};

TEST_P(ResumeTest, InterruptedTenTimesJobsEndInTheSameBits) {
  // A lease that outlasts the restart of the coordinator.
  constexpr int kLease = 4;
  const std::vector<std::string> flags = {"--backoff-seconds", "0.1"};
  Process* coordinator = cluster_.StartCoordinator(kLease, flags);
  int workers = 0;
  const auto start_worker = [&] {
    ++workers;
    return cluster_.StartWorker(/*gang=*/2, {"--checkpoint-seconds", "0.1"});
  };
  Process* worker = start_worker();
  const std::string sweep = cluster_.Submit(Yaml(GetParam()));
  int64_t kept = 0;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(WaitUntil([&] { return IterationsKept() > kept; })) << "interruption " << i;
    kept = IterationsKept();
    switch (i % 4) {
      case 0:
        worker->Kill();
        worker = start_worker();
        break;
      case 1:
        worker->Signal(SIGTERM);
        ExpectEnd(worker);
        worker = start_worker();
        break;
      case 2:
        coordinator->Kill();
        coordinator = cluster_.StartCoordinator(kLease, flags);
        break;
      case 3:
        EXPECT_EQ(cluster_.Modlab({"workers", "drain", absl::StrCat("worker-", workers)}).exit_code,
                  0);
        ExpectEnd(worker);
        worker = start_worker();
        break;
    }
    ASSERT_NE(cluster_.Sweep(sweep).value("succeeded", 0), kJobs)
        << "it ended after " << i + 1 << " interruptions: train for longer";
  }
  ExpectSame(Finish(&cluster_, sweep), Undisturbed(GetParam()));
  size_t attempts = 0, resumed = 0;
  for (int64_t job = 1; job <= kJobs; ++job) {
    const std::vector<int64_t> starts = Starts(&cluster_, job);
    EXPECT_TRUE(std::is_sorted(starts.begin(), starts.end())) << testing::PrintToString(starts);
    attempts += starts.size();
    resumed += static_cast<size_t>(
        std::count_if(starts.begin(), starts.end(), [](int64_t start) { return start > 0; }));
  }
  EXPECT_GT(attempts, 8u);
  EXPECT_GE(resumed, 5u);
}

TEST_P(ResumeTest, AWorkerThatEndsHandsItsJobsToAnotherWhereTheyStand) {
  cluster_.StartCoordinator(/*lease_seconds=*/300);
  // No checkpoints but those that hand jobs back.
  const std::vector<std::string> flags = {"--checkpoint-seconds", "0"};
  Process* first = cluster_.StartWorker(/*gang=*/2, flags);
  const std::string sweep = cluster_.Submit(Yaml(GetParam()));
  ASSERT_TRUE(WaitForIteration(sweep, 100));
  EXPECT_EQ(IterationsKept(), 0);
  first->Signal(SIGTERM);
  ExpectEnd(first);
  EXPECT_GE(IterationsKept(), 100);
  cluster_.StartWorker(/*gang=*/2, flags);
  ExpectSame(Finish(&cluster_, sweep), Undisturbed(GetParam()));
  for (int64_t job = 1; job <= kJobs; ++job) {
    const std::vector<int64_t> starts = Starts(&cluster_, job);
    ASSERT_EQ(starts.size(), 2u);
    EXPECT_EQ(starts[0], 0);
    EXPECT_GE(starts[1], 100);
    EXPECT_EQ(CountEvents(&cluster_, job, "released"), 1);
    EXPECT_EQ(CountEvents(&cluster_, job, "attempt_failed"), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, ResumeTest, testing::Values(kMlp, kMha, kRnn));

class HandBackTest : public ResumeTest {
 protected:
  // Trains, pauses once there is something to keep, and waits until all is handed back.
  std::string TrainAndPause() {
    cluster_.StartCoordinator(/*lease_seconds=*/300);
    worker_ = cluster_.StartWorker(/*gang=*/2, {"--checkpoint-seconds", "0"});
    const std::string sweep = cluster_.Submit(Yaml(kMlp));
    EXPECT_TRUE(WaitForIteration(sweep, 500));
    EXPECT_EQ(cluster_.Modlab({"pause", sweep}).exit_code, 0);
    EXPECT_TRUE(cluster_.WaitForSweep(
        sweep, [](const Json& row) { return row.value("queued", 0) == kJobs; }));
    EXPECT_GE(IterationsKept(), kJobs * 500);
    return sweep;
  }

  Process* worker_ = nullptr;
};

TEST_F(HandBackTest, APausedSweepStandsStillAndGoesOnWhereItStood) {
  const std::string sweep = TrainAndPause();
  const int64_t kept = IterationsKept();
  absl::SleepFor(absl::Milliseconds(300));
  EXPECT_EQ(IterationsKept(), kept);
  EXPECT_TRUE(worker_->running());
  EXPECT_EQ(cluster_.Modlab({"resume", sweep}).exit_code, 0);
  ExpectSame(Finish(&cluster_, sweep), Undisturbed(kMlp));
  for (int64_t job = 1; job <= kJobs; ++job) {
    EXPECT_GE(Starts(&cluster_, job).back(), 500);
    EXPECT_EQ(CountEvents(&cluster_, job, "released"), 1);
  }
}

TEST_F(HandBackTest, WhatMadeRoomForAnUrgentSweepGoesOnWhereItStood) {
  cluster_.StartCoordinator(/*lease_seconds=*/300);
  // Its one slot has both jobs. No checkpoints but those that hand jobs back.
  cluster_.StartWorker(/*gang=*/2, {"--checkpoint-seconds", "0"});
  const std::string sweep = cluster_.Submit(Yaml(kMlp), {"--priority", "-1"});
  ASSERT_TRUE(WaitForIteration(sweep, 500));
  const std::string urgent =
      cluster_.Submit(SmallSweep("urgent", "{model: modular, rules: 4, model_seed: [0, 1]}"),
                      {"--priority", "1", "--preempt"});
  EXPECT_EQ(cluster_.WaitForEnd(urgent)["succeeded"], kJobs);
  ExpectSame(Finish(&cluster_, sweep), Undisturbed(kMlp));

  for (int64_t job = 1; job <= kJobs; ++job) {
    std::vector<std::string> kinds;
    const Json events = cluster_.Rows({"show", absl::StrCat(job), "--events"});
    for (const Json& event : events) kinds.push_back(event["event"]);
    ASSERT_THAT(kinds, ElementsAre("submitted", "leased", "released", "leased", "finished"));
    EXPECT_EQ(events[2]["reason"], "a sweep of a higher priority needs the slot");
    EXPECT_EQ(events[2]["cause"], nullptr) << "no failure";
    EXPECT_GE(events[2]["iteration"], 500);
    EXPECT_EQ(events[3]["iteration"], events[2]["iteration"]);
    EXPECT_EQ(events[3]["reason"],
              "from its checkpoint at iteration " + events[2]["iteration"].dump());
  }
  for (int64_t job = kJobs + 1; job <= 2 * kJobs; ++job) {
    EXPECT_EQ(Starts(&cluster_, job).size(), 1u) << "nobody made it wait";
  }
  EXPECT_GE(QueryNumber(cluster_.data_dir() + "/modlab.db",
                        "SELECT (SELECT min(started_us) FROM jobs WHERE id <= 2)"
                        "     - (SELECT max(finished_us) FROM jobs WHERE id > 2)"),
            0)
      << "the urgent jobs were not the first to end";
  const Output audit = cluster_.Modlab({"audit"});
  EXPECT_EQ(audit.exit_code, 0) << audit.out;
}

TEST_F(HandBackTest, CheckpointsThatAreGoneOrDamagedCostOnlyTime) {
  const std::string sweep = TrainAndPause();
  std::vector<std::string> files;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(cluster_.data_dir() + "/artifacts")) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  ASSERT_EQ(files.size(), static_cast<size_t>(kJobs));
  std::filesystem::remove(files[0]);
  std::fstream(files[1], std::ios::in | std::ios::out | std::ios::binary).seekp(1000).put('!');
  EXPECT_EQ(cluster_.Modlab({"resume", sweep}).exit_code, 0);
  ExpectSame(Finish(&cluster_, sweep), Undisturbed(kMlp));
  EXPECT_THAT(ReadFile(cluster_.dir() + "/worker-1.log"),
              HasSubstr("job=1 attempt=2: begins again"));
  EXPECT_THAT(ReadFile(cluster_.dir() + "/worker-1.log"),
              HasSubstr("job=2 attempt=2: begins again"));
}

TEST_F(HandBackTest, WithTheCoordinatorAwayAWorkerStillEndsInTime) {
  Process* coordinator = cluster_.StartCoordinator(/*lease_seconds=*/300);
  Process* worker =
      cluster_.StartWorker(/*gang=*/2, {"--checkpoint-seconds", "0", "--grace-seconds", "2"});
  const std::string sweep = cluster_.Submit(Yaml(kMlp));
  ASSERT_TRUE(WaitForIteration(sweep, 250));
  coordinator->Kill();
  const absl::Time before = absl::Now();
  worker->Signal(SIGTERM);
  EXPECT_EQ(worker->Wait().value_or(-1), 0);
  EXPECT_LT(absl::Now() - before, absl::Seconds(4));
}

TEST_F(HandBackTest, ASecondSignalEndsAWorkerAtOnce) {
  Process* coordinator = cluster_.StartCoordinator(/*lease_seconds=*/300);
  Process* worker = cluster_.StartWorker(/*gang=*/2, {"--grace-seconds", "60"});
  const std::string sweep = cluster_.Submit(Yaml(kMlp));
  ASSERT_TRUE(WaitForIteration(sweep, 250));
  coordinator->Kill();
  worker->Signal(SIGTERM);
  EXPECT_FALSE(worker->Wait(absl::Milliseconds(300)).has_value()) << "it waits for the coordinator";
  worker->Signal(SIGTERM);
  EXPECT_EQ(worker->Wait(absl::Seconds(10)).value_or(-1), 128 + SIGTERM);
}

TEST_F(HandBackTest, AnInterruptedRunGoesOnWhereItStood) {
  const std::vector<std::string> run = {ModlabPath(), "run",
                                        cluster_.Write("sweep.yaml", Yaml(kMlp)), "--data-dir",
                                        cluster_.data_dir()};
  const std::string log = cluster_.dir() + "/run.log";
  {
    Process process(run, log, log);
    const auto trains = [&] {
      return std::filesystem::exists(cluster_.data_dir() + "/logs/worker-1.log") &&
             QueryNumber(cluster_.data_dir() + "/modlab.db",
                         "SELECT coalesce(sum(points), 0) FROM curve_chunks") > 4;
    };
    ASSERT_TRUE(WaitUntil(trains)) << ReadFile(log);
    process.Signal(SIGINT);
    EXPECT_EQ(process.Wait(absl::Seconds(10)).value_or(-1), 128 + SIGINT) << ReadFile(log);
  }
  EXPECT_GT(IterationsKept(), 0) << ReadFile(log);
  const Output again = RunToEnd(run, cluster_.dir() + "/again");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  cluster_.StartCoordinator();
  ExpectSame(Finish(&cluster_, "resume"), Undisturbed(kMlp));
  for (int64_t job = 1; job <= kJobs; ++job) EXPECT_GT(Starts(&cluster_, job).back(), 0);
}

}  // namespace
}  // namespace modlab::e2e
