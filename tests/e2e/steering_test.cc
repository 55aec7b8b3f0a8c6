// Changing what goes on: pause, resume, set, extend, cancel in part, requirements,
// draining.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// Long enough to be interrupted, short enough to end: some ten seconds.
std::string Long(const std::string& name) {
  return SmallSweep(name, "{model: modular, rules: 2, iterations: 10000000, eval_interval: 1000}");
}

bool Running(Cluster* cluster, const std::string& sweep, int jobs) {
  return cluster->WaitForSweep(sweep, [=](const Json& view) { return view["running"] == jobs; });
}

TEST(SteeringTest, APausedSweepWaitsAndGoesOn) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.StartWorker(/*gang=*/4);
  const std::string sweep = cluster.Submit(
      SmallSweep("held", "{model: modular, rules: 2, model_seed: [1, 2]}"), {"--paused"});
  EXPECT_THAT(cluster.submitted(), AllOf(HasSubstr("paused"), HasSubstr("modlab resume held-1")));
  EXPECT_EQ(cluster.Sweep(sweep)["paused"], "yes");
  EXPECT_THAT(cluster.Modlab({"ls"}).out, HasSubstr("paused"));
  absl::SleepFor(absl::Seconds(1));
  EXPECT_EQ(cluster.Sweep(sweep)["queued"], 2);

  const Output resumed = cluster.Modlab({"resume", "held"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.out, StartsWith("held-1: goes on"));
  EXPECT_EQ(cluster.WaitForEnd(sweep)["succeeded"], 2);
}

TEST(SteeringTest, WhatRunsIsHandedBackByAPause) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.StartWorker(/*gang=*/1);
  const std::string sweep = cluster.Submit(Long("long"));
  ASSERT_TRUE(cluster.WaitForSweep(
      sweep, [](const Json& view) { return view["iterations_done"] >= 1000; }));
  const Output paused = cluster.Modlab({"pause", sweep});
  EXPECT_EQ(paused.exit_code, 0) << paused.err;
  EXPECT_THAT(paused.out, HasSubstr("modlab resume long-1"));
  ASSERT_TRUE(Running(&cluster, sweep, 0));
  const std::string job = cluster.Row({"ls", sweep})["job"].dump();
  const Json events = cluster.Rows({"show", job, "--events"});
  EXPECT_EQ(events.back()["event"], "released");
  const int64_t stood = events.back()["iteration"].get<int64_t>();
  EXPECT_GE(stood, 1000);

  // It goes on from there, by another attempt.
  EXPECT_EQ(cluster.Modlab({"resume", sweep}).exit_code, 0);
  ASSERT_TRUE(Running(&cluster, sweep, 1));
  const Json later = cluster.Rows({"show", job, "--events"});
  EXPECT_EQ(later.back()["event"], "leased");
  EXPECT_EQ(later.back()["attempt"], 2);
  EXPECT_EQ(later.back()["iteration"], stood);
  EXPECT_EQ(cluster.Modlab({"cancel", sweep}).exit_code, 0);
}

TEST(SteeringTest, SetChangesWhatItNames) {
  Cluster cluster;
  cluster.StartCoordinator();
  const std::string sweep =
      cluster.Submit(SmallSweep("set", "{model: modular, rules: 2}") +
                     "priority: 7\nmax_running: 3\nrequires: {device: cpu, labels: [a, b]}\n");
  EXPECT_THAT(cluster.submitted(), HasSubstr("priority 7, at most 3 running, needs cpu, a, b"));
  const Output set = cluster.Modlab({"set", "set", "--priority", "-5", "--preempt"});
  EXPECT_EQ(set.exit_code, 0) << set.err;
  EXPECT_EQ(set.out, "set-1: priority -5, at most 3 running, preempts, needs cpu, a, b.\n");
  EXPECT_EQ(cluster.Modlab({"set", "set", "--require", "c", "--require-memory", "0.5"}).out,
            "set-1: priority -5, at most 3 running, preempts, needs cpu, 0.5 GiB, c.\n");
  EXPECT_EQ(cluster
                .Modlab({"set", "set", "--no-requirements", "--no-preempt", "--priority", "0",
                         "--max-running", "0"})
                .out,
            "set-1: policy as by default.\n");
  EXPECT_EQ(cluster.Sweep(sweep)["priority"], 0);

  EXPECT_EQ(cluster.Modlab({"set", "set"}).exit_code, 2);
  EXPECT_EQ(cluster.Modlab({"set", "set", "--priority", "1001"}).exit_code, 2);
  EXPECT_EQ(cluster.Modlab({"set", "set", "--require", "no blanks"}).exit_code, 2);
  const Output unknown = cluster.Modlab({"set", "sett", "--priority", "1"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("set"));
  EXPECT_EQ(cluster.Modlab({"cancel", sweep}).exit_code, 0);
  EXPECT_EQ(cluster.Modlab({"pause", sweep}).exit_code, 1);
}

TEST(SteeringTest, ExtendAddsWhatIsNew) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.StartWorker(/*gang=*/8);
  const std::string sweep =
      cluster.Submit(SmallSweep("grow", "{model: modular, rules: [2, 4], model_seed: [0, 1]}"));
  cluster.WaitForEnd(sweep);
  const Output extended = cluster.Modlab({"extend", "grow", "model_seed=1..3"});
  EXPECT_EQ(extended.exit_code, 0) << extended.err;
  EXPECT_THAT(extended.out, StartsWith("grow-1: 4 more jobs (4 new)\n"));
  EXPECT_EQ(cluster.WaitForEnd(sweep)["succeeded"], 8);
  EXPECT_EQ(cluster.Modlab({"extend", "grow", "model_seed=1..3"}).out,
            "grow-1: has all of these jobs already.\n");

  // Jobs of another sweep are shared; a field of the defaults becomes an axis.
  cluster.Submit(SmallSweep("other", "{model: modular, rules: 8}"));
  cluster.WaitForEnd("other-1");
  EXPECT_THAT(cluster.Modlab({"extend", "other", "rules=2"}).out,
              StartsWith("other-1: 1 more job (1 shared with earlier sweeps)\nAll of them"));

  const Output wrong = cluster.Modlab({"extend", "grow", "model_sed=4"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("did you mean \"model_seed\"?"));
  EXPECT_EQ(cluster.Modlab({"extend", "grow", "modules=4"}).exit_code, 2);
  EXPECT_EQ(cluster.Modlab({"extend", "grow"}).exit_code, 2);
}

TEST(SteeringTest, CancelTakesAPart) {
  Cluster cluster;
  cluster.StartCoordinator();
  const std::string sweep =
      cluster.Submit(SmallSweep("part", "{model: modular, rules: [2, 4], model_seed: [0, 1, 2]}"));
  EXPECT_EQ(cluster.Modlab({"cancel", sweep, "--where", "rules=4"}).out, "3 jobs cancelled.\n");
  EXPECT_EQ(cluster.Sweep(sweep)["queued"], 3);
  EXPECT_EQ(cluster.Sweep(sweep)["cancelled"], 3);
  EXPECT_EQ(cluster.Modlab({"cancel", sweep, "--where", "rules=4"}).out,
            "No job of this selection waits or runs.\n");
  cluster.Submit(SmallSweep("too", "{model: modular, rules: 2, model_seed: 0}"));
  EXPECT_EQ(cluster.Modlab({"cancel", sweep, "--where", "rules=2"}).out,
            "2 jobs cancelled, 1 go on for other sweeps.\n");
  EXPECT_EQ(cluster.Modlab({"cancel", sweep, "--where", "rulez=2"}).exit_code, 2);
}

TEST(SteeringTest, RequirementsFindTheWorker) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.StartWorker(/*gang=*/1);
  const std::string sweep =
      cluster.Submit(SmallSweep("picky", "{model: modular, rules: 2}"), {"--require", "fast"});
  ASSERT_TRUE(WaitUntil([&] { return cluster.Rows({"workers"}).size() == 1; }));
  absl::SleepFor(absl::Seconds(1));
  EXPECT_EQ(cluster.Sweep(sweep)["queued"], 1);
  cluster.StartWorker(/*gang=*/1, {"--label", "fast"});
  EXPECT_EQ(cluster.WaitForEnd(sweep)["succeeded"], 1);
  EXPECT_EQ(cluster.Row({"ls", sweep})["worker"], "worker-2");
  EXPECT_THAT(cluster.Modlab({"workers"}).out, AllOf(HasSubstr("labels"), HasSubstr("fast")));
}

TEST(SteeringTest, ADrainedWorkerIsGoneAndItsJobGoesOn) {
  Cluster cluster;
  cluster.StartCoordinator();
  Process* const first = cluster.StartWorker(/*gang=*/1);
  const std::string sweep = cluster.Submit(Long("moved"));
  ASSERT_TRUE(cluster.WaitForSweep(
      sweep, [](const Json& view) { return view["iterations_done"] >= 1000; }));
  const Output drained = cluster.Modlab({"workers", "drain", "worker-1", "--wait"});
  EXPECT_EQ(drained.exit_code, 0) << drained.err;
  EXPECT_THAT(drained.out,
              AllOf(StartsWith("worker-1: hands back 1 job and exits."), HasSubstr("gone.")));
  EXPECT_EQ(first->Wait(), 0);
  EXPECT_EQ(cluster.Sweep(sweep)["queued"], 1);

  cluster.StartWorker(/*gang=*/1);
  ASSERT_TRUE(Running(&cluster, sweep, 1));
  const std::string job = cluster.Row({"ls", sweep})["job"].dump();
  const Json last = cluster.Rows({"show", job, "--events"}).back();
  EXPECT_EQ(last["event"], "leased");
  EXPECT_EQ(last["worker"], "worker-2");
  EXPECT_GE(last["iteration"], 1000);

  const Output released = cluster.Modlab({"workers", "release", "worker-2"});
  EXPECT_EQ(released.exit_code, 0) << released.err;
  const Output unknown = cluster.Modlab({"workers", "drain", "worker-9"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("worker-"));
  EXPECT_EQ(cluster.Modlab({"workers", "drain"}).exit_code, 2);
}

}  // namespace
}  // namespace modlab::e2e
