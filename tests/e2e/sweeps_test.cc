// A sweep's life: shared work, cancelling, trying again, failing alone.

#include "tests/e2e/sweeps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>

#include "modlab/v1/job.pb.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/scripted_worker.h"

namespace modlab::e2e {
namespace {

using testing::HasSubstr;

class SweepsTest : public testing::Test {
 protected:
  // Jobs of the sweep in a state.
  int Count(const std::string& sweep, const std::string& state) {
    return cluster_.Sweep(sweep).value(state, -1);
  }
  bool WaitForJobsHeld(int jobs) {
    return WaitUntil([&] {
      const Json workers = cluster_.Rows({"workers"});
      return (workers.size() == 1 && workers[0]["jobs_held"] == jobs);
    });
  }

  Cluster cluster_;
};

TEST_F(SweepsTest, SameFileTwiceTrainsOnce) {
  cluster_.StartCoordinator();
  cluster_.StartWorker(/*gang=*/4);
  const std::string yaml =
      SmallSweep("twice", "{rules: 2, model: [modular, gt_modular], model_seed: [0, 1]}");
  const std::string first = cluster_.Submit(yaml);
  EXPECT_THAT(cluster_.submitted(), HasSubstr("4 new"));
  EXPECT_EQ(cluster_.WaitForEnd(first).value("succeeded", 0), 4);
  const Json before = cluster_.Rows({"export", first});

  const std::string second = cluster_.Submit(yaml);
  EXPECT_EQ(second, "twice-2");
  EXPECT_THAT(cluster_.submitted(), HasSubstr("4 shared"));
  EXPECT_EQ(cluster_.Sweep(second).value("succeeded", 0), 4);
  EXPECT_EQ(cluster_.Rows({"export", second}), before);

  const std::string forced = cluster_.Submit(yaml, {"--force"});
  EXPECT_THAT(cluster_.submitted(), HasSubstr("4 new"));
  EXPECT_EQ(cluster_.WaitForEnd(forced).value("succeeded", 0), 4);
  const Json after = cluster_.Rows({"export", forced});
  EXPECT_EQ(Science(after), Science(before));
  for (const Json& job : after) EXPECT_EQ(job["replicate"], 1);
  EXPECT_EQ(cluster_.Rows({"ls"}).size(), 3u);
}

TEST_F(SweepsTest, CancelStopsWhatNoOtherSweepNeeds) {
  cluster_.StartCoordinator();
  cluster_.StartWorker(/*gang=*/4);
  const std::string all =
      cluster_.Submit(SmallSweep("all",
                                 "{rules: 2, model: modular, iterations: 50000000, "
                                 "eval_interval: 1000, model_seed: {from: 0, to: 5}}"));
  const std::string shared = cluster_.Submit(SmallSweep(
      "shared",
      "{rules: 2, model: modular, iterations: 50000000, eval_interval: 1000, model_seed: 1}"));
  EXPECT_THAT(cluster_.submitted(), HasSubstr("1 shared"));
  ASSERT_TRUE(WaitForJobsHeld(4));

  const Output cancelled = cluster_.Modlab({"cancel", all});
  EXPECT_EQ(cancelled.exit_code, 0) << cancelled.err;
  EXPECT_THAT(cancelled.out, HasSubstr("5 jobs cancelled"));
  EXPECT_EQ(Count(all, "cancelled"), 5);
  // The worker drops them long before they end, and goes on with the other.
  EXPECT_TRUE(WaitForJobsHeld(1));
  const auto iteration = [&] {
    return cluster_.Row({"export", shared}).value("iteration", int64_t{-1});
  };
  const int64_t seen = iteration();
  EXPECT_TRUE(WaitUntil([&] { return iteration() > seen; }));
  const Json job = cluster_.Row({"export", shared});
  EXPECT_EQ(job["state"], "running");
  EXPECT_EQ(job["attempt"], 1);

  // Again changes nothing; cancelling the other ends the last.
  EXPECT_THAT(cluster_.Modlab({"cancel", all}).out, HasSubstr("0 jobs cancelled"));
  EXPECT_THAT(cluster_.Modlab({"cancel", shared}).out, HasSubstr("1 job cancelled"));
  EXPECT_TRUE(WaitForJobsHeld(0));
  EXPECT_EQ(Count(shared, "cancelled"), 1);
}

TEST_F(SweepsTest, CancelledJobsComeBackWhenSubmittedAgain) {
  cluster_.StartCoordinator();
  const std::string yaml = SmallSweep("again", "{rules: 2, model: modular, model_seed: [0, 1, 2]}");
  const std::string first = cluster_.Submit(yaml);
  EXPECT_EQ(cluster_.Modlab({"cancel", first}).exit_code, 0);
  EXPECT_EQ(Count(first, "cancelled"), 3);
  // A cancelled sweep stays so.
  const Output retry = cluster_.Modlab({"retry", first});
  EXPECT_NE(retry.exit_code, 0);
  EXPECT_THAT(retry.err, HasSubstr("cancelled"));

  const std::string second = cluster_.Submit(yaml);
  EXPECT_THAT(cluster_.submitted(), HasSubstr("3 queued again"));
  cluster_.StartWorker(/*gang=*/4);
  EXPECT_EQ(cluster_.WaitForEnd(second).value("succeeded", 0), 3);
}

// No job within the limits of learning_rate is known to diverge in 32-bit
// floats, so that a scripted worker says it did.
TEST_F(SweepsTest, DivergedJobFailsAloneAndIsNotTriedAgain) {
  cluster_.StartCoordinator();
  const std::string sweep = cluster_.Submit(
      SmallSweep("diverging", "{rules: 2, model: modular, learning_rate: [1e-3, 10, 1e-2]}"));
  v1::Failure diverged;
  diverged.set_cause(v1::DIVERGED);
  diverged.set_message("the training loss became infinite");
  diverged.set_iteration(20);
  ASSERT_TRUE(FailSomeJobs(cluster_.address(), 3, diverged, [](const v1::JobConfig& config) {
    return config.learning_rate() == 10;
  }));
  cluster_.StartWorker(/*gang=*/4);
  const Json end = cluster_.WaitForEnd(sweep);
  EXPECT_EQ(end.value("succeeded", 0), 2) << end.dump();
  EXPECT_EQ(end.value("failed", 0), 1) << end.dump();

  const Json failed = cluster_.Row({"export", sweep, "--where", "state=failed"});
  EXPECT_EQ(failed["learning_rate"], 10);
  EXPECT_EQ(failed["failure_cause"], "diverged");
  EXPECT_THAT(failed.value("failure", ""), HasSubstr("became infinite"));
  EXPECT_EQ(failed["attempt"], 1);
  EXPECT_TRUE(failed["job"].is_number());
  const Output watched = cluster_.Modlab({"watch", sweep});
  EXPECT_EQ(watched.exit_code, 3);
  EXPECT_THAT(watched.out, HasSubstr("1 failed"));
  // The table counts what there is.
  const Json results = cluster_.Rows({"results", sweep, "--metrics", "id"});
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0]["n"], 2);

  const Output retry = cluster_.Modlab({"retry", sweep});
  EXPECT_EQ(retry.exit_code, 0) << retry.err;
  EXPECT_THAT(retry.out, HasSubstr("1 job queued again"));
  EXPECT_EQ(cluster_.WaitForEnd(sweep).value("succeeded", 0), 3);
}

TEST_F(SweepsTest, JobThatKillsItsWorkersIsGivenUpAndRetriedOnDemand) {
  cluster_.StartCoordinator(/*lease_seconds=*/1, {"--retries", "worker_lost=2"});
  const std::string sweep =
      cluster_.Submit(SmallSweep("deadly", "{rules: 2, model: modular, iterations: 3000}"));
  int killed = 0;
  ASSERT_TRUE(WaitUntil([&] {
    const Json job = cluster_.Row({"export", sweep});
    if (job["state"] == "failed") return true;
    if (job["state"] == "running" && job["attempt"] == killed) return false;  // not yet noticed
    Process* worker = cluster_.StartWorker(/*gang=*/1);
    EXPECT_TRUE(WaitUntil([&] {
      const Json now = cluster_.Row({"export", sweep});
      return (now["state"] == "running" && now["attempt"] == killed + 1);
    }));
    worker->Kill();
    ++killed;
    return false;
  }));
  EXPECT_EQ(killed, 3);
  const Json failed = cluster_.Row({"export", sweep});
  EXPECT_EQ(failed["failure_cause"], "worker_lost");
  EXPECT_EQ(failed["attempt"], 3);

  cluster_.StartWorker(/*gang=*/1);
  EXPECT_THAT(cluster_.Modlab({"retry", sweep, "--where", "state=failed"}).out,
              HasSubstr("1 job queued again"));
  EXPECT_EQ(cluster_.WaitForEnd(sweep).value("succeeded", 0), 1);
  EXPECT_EQ(cluster_.Row({"export", sweep})["attempt"], 4);
  EXPECT_THAT(cluster_.Modlab({"retry", sweep}).out, HasSubstr("No job"));
}

}  // namespace
}  // namespace modlab::e2e
