// Workers and coordinators die; what was asked for is still done once, and
// comes out the same.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

constexpr int kJobs = 24;

// Gangs of 3 take about half a second each.
std::string Yaml() {
  return SmallSweep("faults",
                    "{rules: 4, iterations: 600, eval_interval: 50, "
                    "model: [monolithic, modular, modular_op, gt_modular], "
                    "target: [regression, classification], model_seed: {from: 0, to: 2}}") +
         "";
}

class FaultsTest : public testing::Test {
 protected:
  // The sweep with nothing in its way.
  static void SetUpTestSuite() {
    Cluster cluster;
    cluster.StartCoordinator();
    cluster.StartWorker(/*gang=*/3);
    undisturbed_ = new std::map<std::string, Json>(Finish(&cluster, cluster.Submit(Yaml())));
  }
  static void TearDownTestSuite() {
    delete undisturbed_;
    undisturbed_ = nullptr;
  }

  // Waits for the sweep's end; every job must have succeeded. Returns what came
  // out.
  static std::map<std::string, Json> Finish(Cluster* cluster, const std::string& sweep) {
    const Json end = cluster->WaitForEnd(sweep);
    EXPECT_EQ(end.value("succeeded", 0), kJobs) << end.dump();
    return Science(cluster->Rows({"export", sweep}));
  }

  // Waits until `worker`, or anyone where it is "", trains a job of the sweep.
  static bool WaitForTraining(Cluster* cluster, const std::string& sweep,
                              const std::string& worker = "") {
    return WaitUntil([&] {
      const Json rows = cluster->Rows({"export", sweep});
      return HasFailure() || std::any_of(rows.begin(), rows.end(), [&](const Json& row) {
               return row["state"] == "running" && row["iteration"] > 0 &&
                      (worker.empty() || row["worker"] == worker);
             });
    });
  }

  static int Attempts(Cluster* cluster, const std::string& sweep) {
    int attempts = 0;
    for (const Json& row : cluster->Rows({"export", sweep})) attempts += row.value("attempt", 0);
    return attempts;
  }

  static std::map<std::string, Json>* undisturbed_;
};

std::map<std::string, Json>* FaultsTest::undisturbed_ = nullptr;

TEST_F(FaultsTest, WorkerIsKilled) {
  Cluster cluster;
  cluster.StartCoordinator();
  Process* victim = cluster.StartWorker(/*gang=*/3);
  cluster.StartWorker(/*gang=*/3);
  const std::string sweep = cluster.Submit(Yaml());
  ASSERT_TRUE(WaitForTraining(&cluster, sweep, "worker-1"));
  victim->Kill();
  EXPECT_EQ(Finish(&cluster, sweep), *undisturbed_);
  EXPECT_GT(Attempts(&cluster, sweep), kJobs) << "the worker died with nothing in its hands";
  EXPECT_EQ(cluster.Rows({"workers"}).size(), 1u);
}

TEST_F(FaultsTest, CoordinatorIsKilledAndNoJobNotices) {
  Cluster cluster;
  // A lease that outlasts the restart of the coordinator on any machine.
  constexpr int kPatient = 30;
  Process* coordinator = cluster.StartCoordinator(kPatient);
  cluster.StartWorker(/*gang=*/3);
  cluster.StartWorker(/*gang=*/2);
  const std::string sweep = cluster.Submit(Yaml());
  ASSERT_TRUE(WaitForTraining(&cluster, sweep));
  coordinator->Kill();
  cluster.StartCoordinator(kPatient);
  EXPECT_EQ(Finish(&cluster, sweep), *undisturbed_);
  EXPECT_EQ(Attempts(&cluster, sweep), kJobs) << "a job that a living worker held began anew";
}

TEST_F(FaultsTest, EverythingIsKilledAgainAndAgain) {
  Cluster cluster;
  Process* coordinator = cluster.StartCoordinator();
  Process* worker = cluster.StartWorker(/*gang=*/3);
  cluster.StartWorker(/*gang=*/3);
  const std::string sweep = cluster.Submit(Yaml());
  for (int round = 0; round < 4; ++round) {
    WaitForTraining(&cluster, sweep);
    if (round % 2 == 0) worker->Kill();
    coordinator->Kill();
    coordinator = cluster.StartCoordinator();
    if (round % 2 == 0) worker = cluster.StartWorker(/*gang=*/3);
  }
  EXPECT_EQ(Finish(&cluster, sweep), *undisturbed_);
}

TEST_F(FaultsTest, OverTcpTheCoordinatorComesBackOnItsPort) {
  Cluster cluster;
  cluster.set_address("127.0.0.1:0");
  Process* coordinator = cluster.StartCoordinator();
  EXPECT_THAT(cluster.address(), testing::Not(testing::EndsWith(":0")));
  cluster.StartWorker(/*gang=*/3);
  const std::string sweep = cluster.Submit(Yaml());
  ASSERT_TRUE(WaitForTraining(&cluster, sweep));
  coordinator->Kill();
  cluster.StartCoordinator();
  EXPECT_EQ(Finish(&cluster, sweep), *undisturbed_);
}

TEST_F(FaultsTest, AJobAloneIsTheJobInAGang) {
  Cluster alone;
  alone.StartCoordinator();
  alone.StartWorker(/*gang=*/1);
  EXPECT_EQ(Finish(&alone, alone.Submit(Yaml())), *undisturbed_);
}

TEST_F(FaultsTest, TwoWorkersWithGangsOfSeven) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.StartWorker(/*gang=*/7);
  cluster.StartWorker(/*gang=*/7);
  EXPECT_EQ(Finish(&cluster, cluster.Submit(Yaml())), *undisturbed_);
}

TEST_F(FaultsTest, StoppedWorkerHandsItsJobsOnAtOnce) {
  Cluster cluster;
  cluster.StartCoordinator(/*lease_seconds=*/300);
  Process* stopped = cluster.StartWorker(/*gang=*/3);
  cluster.StartWorker(/*gang=*/3);
  const std::string sweep = cluster.Submit(Yaml());
  ASSERT_TRUE(WaitForTraining(&cluster, sweep, "worker-1"));
  stopped->Signal(SIGTERM);
  EXPECT_EQ(stopped->Wait().value_or(-1), 0);
  // Long before the lease would end.
  EXPECT_EQ(Finish(&cluster, sweep), *undisturbed_);
}

}  // namespace
}  // namespace modlab::e2e
