// Workers and coordinators die; what was asked for is still done once, and
// comes out the same.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

constexpr int kJobs = 4 * 3 + 7;

// One shape has enough jobs for a gang of 7.
std::string Yaml() {
  const std::string common = "rules: 4, iterations: 600, eval_interval: 50, ";
  return SmallSweep("faults", "[{" + common +
                                  "model: [monolithic, modular, gt_modular], "
                                  "model_seed: {from: 0, to: 2}}, {" +
                                  common +
                                  "target: classification, model: modular, "
                                  "model_seed: {from: 0, to: 2}}, {" +
                                  common + "model: modular_op, model_seed: {from: 0, to: 6}}]");
}

// What a sweep came to, less what two runs of it need not share.
struct Outcome {
  std::map<std::string, Json> jobs;
  std::vector<Json> curves;  // of each job
};

void ExpectSame(const Outcome& actual, const Outcome& expected) {
  ASSERT_EQ(actual.jobs.size(), expected.jobs.size());
  for (const auto& [key, job] : expected.jobs) {
    const auto found = actual.jobs.find(key);
    ASSERT_TRUE(found != actual.jobs.end()) << job;
    EXPECT_EQ(found->second, job);
  }
  EXPECT_TRUE(actual.curves == expected.curves) << "the same results, but other curves";
}

class FaultsTest : public testing::Test {
 protected:
  // The sweep with nothing in its way.
  static void SetUpTestSuite() {
    Cluster cluster;
    cluster.StartCoordinator();
    cluster.StartWorker(/*gang=*/3);
    undisturbed_ = new Outcome(Finish(&cluster, cluster.Submit(Yaml())));
  }
  static void TearDownTestSuite() {
    delete undisturbed_;
    undisturbed_ = nullptr;
  }

  // Waits for the sweep's end; every job must have succeeded. Returns what came
  // out.
  static Outcome Finish(Cluster* cluster, const std::string& sweep) {
    const Json end = cluster->WaitForEnd(sweep);
    EXPECT_EQ(end.value("succeeded", 0), kJobs) << end.dump();
    Outcome outcome{Science(cluster->Rows({"export", sweep})), {}};
    for (const char* metric : {"train_loss", "eval_loss", "alignment"}) {
      outcome.curves.push_back(cluster->Rows(
          {"curves", sweep, "--metric", metric, "--group-by", "target,model,model_seed"}));
    }
    return outcome;
  }

  // Waits until `worker`, or anyone where it is "", trains a job of the sweep;
  // false if it ends before.
  static bool WaitForTraining(Cluster* cluster, const std::string& sweep,
                              const std::string& worker = "") {
    bool trains = false;
    bool ended = false;
    WaitUntil([&] {
      ended = true;
      for (const Json& row : cluster->Rows({"export", sweep})) {
        const bool running = row["state"] == "running";
        ended = ended && !running && row["state"] != "queued";
        trains = trains ||
                 (running && row["iteration"] > 0 && (worker.empty() || row["worker"] == worker));
      }
      return trains || ended;
    });
    return trains;
  }

  static int Attempts(Cluster* cluster, const std::string& sweep) {
    int attempts = 0;
    for (const Json& row : cluster->Rows({"export", sweep})) attempts += row.value("attempt", 0);
    return attempts;
  }

  static Outcome* undisturbed_;
};

Outcome* FaultsTest::undisturbed_ = nullptr;

TEST_F(FaultsTest, WorkerIsKilled) {
  Cluster cluster;
  cluster.StartCoordinator();
  Process* victim = cluster.StartWorker(/*gang=*/3);
  cluster.StartWorker(/*gang=*/3);
  const std::string sweep = cluster.Submit(Yaml());
  ASSERT_TRUE(WaitForTraining(&cluster, sweep, "worker-1"));
  victim->Kill();
  ExpectSame(Finish(&cluster, sweep), *undisturbed_);
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
  const std::string log = cluster.dir() + "/watch.log";
  Process watch({ModlabPath(), "watch", sweep, "--server", cluster.address()}, log, log);
  ASSERT_TRUE(WaitForTraining(&cluster, sweep));
  coordinator->Kill();
  cluster.StartCoordinator(kPatient);
  ExpectSame(Finish(&cluster, sweep), *undisturbed_);
  EXPECT_EQ(Attempts(&cluster, sweep), kJobs) << "a job that a living worker held began anew";
  // Who watched saw it through.
  EXPECT_EQ(watch.Wait().value_or(-1), 0) << ReadFile(log);
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
  ExpectSame(Finish(&cluster, sweep), *undisturbed_);
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
  ExpectSame(Finish(&cluster, sweep), *undisturbed_);
}

TEST_F(FaultsTest, AJobAloneIsTheJobInAGang) {
  Cluster alone;
  alone.StartCoordinator();
  alone.StartWorker(/*gang=*/1);
  ExpectSame(Finish(&alone, alone.Submit(Yaml())), *undisturbed_);
}

TEST_F(FaultsTest, TwoWorkersWithGangsOfSeven) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.StartWorker(/*gang=*/7);
  cluster.StartWorker(/*gang=*/7);
  ExpectSame(Finish(&cluster, cluster.Submit(Yaml())), *undisturbed_);
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
  ExpectSame(Finish(&cluster, sweep), *undisturbed_);
}

}  // namespace
}  // namespace modlab::e2e
