// `modlab run`: everything from one command, and nothing left of it but results.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

using testing::HasSubstr;

std::string QuickYaml() {
  return SmallSweep("quick",
                    "{rules: 2, model: [monolithic, modular, modular_op, gt_modular], "
                    "model_seed: [0, 1]}");
}

// Some seconds of work.
std::string SlowYaml() {
  return SmallSweep("slow",
                    "{rules: 2, iterations: 6000, model: [monolithic, modular, modular_op, "
                    "gt_modular]}");
}

class RunTest : public testing::Test {
 protected:
  std::vector<std::string> RunArgs(const std::string& yaml) {
    return {"run", home_.Write("sweep.yaml", yaml), "--data-dir", home_.data_dir(), "--device",
            "cpu"};
  }

  // Begins `modlab run` of the slow sweep and waits until it trains.
  void BeginSlowRun(Process* run) {
    ASSERT_TRUE(WaitUntil([&] {
      EXPECT_TRUE(run->running()) << ReadFile(home_.dir() + "/run.log");
      const Json rows = Json::parse(Query({"ls"}).out, nullptr, false);
      return rows.is_array() && rows.size() == 1 && rows[0].value("iterations_done", 0) > 0;
    }));
  }

  std::vector<std::string> SlowRunArgv() {
    std::vector<std::string> argv = RunArgs(SlowYaml());
    argv.insert(argv.begin(), ModlabPath());
    return argv;
  }

  // A command on the data directory, in json.
  Output Query(std::vector<std::string> args) {
    args.insert(args.end(), {"--data-dir", home_.data_dir(), "--format", "json"});
    return home_.ModlabAlone(args);
  }
  Json QueryRows(const std::vector<std::string>& args) {
    const Output output = Query(args);
    EXPECT_EQ(output.exit_code, 0) << output.err;
    return Json::parse(output.out, nullptr, false);
  }

  // Children are named by their sockets or data in home_'s directory.
  void ExpectNothingRuns() {
    EXPECT_TRUE(WaitUntil([this] { return ProcessesWith(home_.dir()).empty(); }, absl::Seconds(20)))
        << "left behind: " << absl::StrJoin(ProcessesWith(home_.dir()), ", ");
  }

  Cluster home_;
};

TEST_F(RunTest, RunsFromFileToTable) {
  const Output run = home_.ModlabAlone(RunArgs(QuickYaml()));
  EXPECT_EQ(run.exit_code, 0) << run.err;
  for (const char* word : {"monolithic", "gt_modular", "random", "alignment"}) {
    EXPECT_THAT(run.out, HasSubstr(word));
  }
  EXPECT_TRUE(ProcessesWith(home_.dir()).empty());

  // The store answers without it, and a second run has nothing to do.
  const Json before = QueryRows({"export", "quick"});
  ASSERT_EQ(before.size(), 8u);
  const Output again = home_.ModlabAlone(RunArgs(QuickYaml()));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.out, run.out);
  EXPECT_EQ(QueryRows({"export", "quick"}), before);
  EXPECT_EQ(QueryRows({"ls"}).size(), 2u);

  const Json results = QueryRows({"results", "quick-1", "--metrics", "id"});
  EXPECT_EQ(results.size(), 4u);
  ExpectNothingRuns();
}

// Without a coordinator, what is added to a sweep waits for a command that trains it.
TEST_F(RunTest, AnExtendedSweepIsGoneOnWith) {
  const auto on_data = [this](std::vector<std::string> args) {
    args.insert(args.end(), {"--data-dir", home_.data_dir()});
    return home_.ModlabAlone(args);
  };
  ASSERT_EQ(home_.ModlabAlone(RunArgs(QuickYaml())).exit_code, 0);
  const Output extended = on_data({"extend", "quick", "model_seed=2"});
  EXPECT_EQ(extended.exit_code, 0) << extended.err;
  EXPECT_THAT(extended.out, HasSubstr("modlab run --sweep quick-1"));
  const Output watched = on_data({"watch", "quick"});
  EXPECT_EQ(watched.exit_code, 1);
  EXPECT_THAT(watched.err, HasSubstr("modlab run --sweep quick-1"));

  const Output run = on_data({"run", "--sweep", "quick", "--device", "cpu"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("4 jobs to go on with"));
  EXPECT_THAT(run.out, HasSubstr("gt_modular"));
  EXPECT_EQ(QueryRows({"ls"}).size(), 1u);
  const Json jobs = QueryRows({"export", "quick"});
  EXPECT_EQ(jobs.size(), 12u);
  for (const Json& job : jobs) EXPECT_EQ(job["state"], "succeeded");
  ExpectNothingRuns();

  EXPECT_EQ(on_data({"run"}).exit_code, 2);
  EXPECT_EQ(on_data({"run", "--sweep", "quick", "--force"}).exit_code, 2);
  EXPECT_EQ(on_data({"run", "--sweep", "none"}).exit_code, 1);
}

TEST_F(RunTest, ResultsAreReadWhileItRuns) {
  const std::string log = home_.dir() + "/run.log";
  Process run(SlowRunArgv(), log, log);
  BeginSlowRun(&run);
  ASSERT_FALSE(HasFailure());
  const Json jobs = QueryRows({"export", "slow"});
  EXPECT_EQ(jobs.size(), 4u);
  EXPECT_EQ(Query({"results", "slow"}).exit_code, 0);
  EXPECT_EQ(run.Wait().value_or(-1), 0) << ReadFile(log);
  ExpectNothingRuns();
  for (const Json& job : QueryRows({"export", "slow"})) {
    EXPECT_EQ(job["state"], "succeeded");
    EXPECT_EQ(job["attempt"], 1);
  }
}

TEST_F(RunTest, KilledRunLeavesNoProcessAndGoesOnLater) {
  const std::string log = home_.dir() + "/run.log";
  Process run(SlowRunArgv(), log, log);
  BeginSlowRun(&run);
  ASSERT_FALSE(HasFailure());
  EXPECT_GE(ProcessesWith(home_.dir()).size(), 3u);
  run.Kill();
  ExpectNothingRuns();

  const Output again = home_.ModlabAlone(RunArgs(SlowYaml()));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  const Json jobs = QueryRows({"export", "slow"});
  ASSERT_EQ(jobs.size(), 4u);
  for (const Json& job : jobs) EXPECT_EQ(job["state"], "succeeded");
  ExpectNothingRuns();
}

TEST_F(RunTest, InterruptedRunLeavesNoProcessAndSaysHowToGoOn) {
  const std::string log = home_.dir() + "/run.log";
  Process run(SlowRunArgv(), log, log);
  BeginSlowRun(&run);
  ASSERT_FALSE(HasFailure());
  run.Signal(SIGINT);
  EXPECT_EQ(run.Wait().value_or(-1), 128 + SIGINT) << ReadFile(log);
  // It waited for them.
  EXPECT_TRUE(ProcessesWith(home_.dir()).empty());
  EXPECT_THAT(ReadFile(log), HasSubstr("modlab run --sweep slow-1"));
}

TEST_F(RunTest, WithoutWorkersThatWereDrainedItEndsAndSaysSo) {
  const std::string log = home_.dir() + "/run.log";
  std::vector<std::string> argv = RunArgs(
      SmallSweep("slow", "{rules: 2, model: modular, iterations: 10000000, eval_interval: 1000}"));
  argv.insert(argv.begin(), ModlabPath());
  Process run(argv, log, log);
  BeginSlowRun(&run);
  ASSERT_FALSE(HasFailure());
  const Output drained =
      home_.ModlabAlone({"workers", "drain", "worker-1", "--data-dir", home_.data_dir()});
  EXPECT_EQ(drained.exit_code, 0) << drained.err;
  EXPECT_EQ(run.Wait().value_or(-1), 1) << ReadFile(log);
  EXPECT_THAT(ReadFile(log), HasSubstr("all workers of this command were drained"));
  ExpectNothingRuns();
  const Json jobs = QueryRows({"export", "slow"});
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0]["state"], "queued");
  EXPECT_EQ(jobs[0]["attempt"], 1) << "it was started again";
}

TEST_F(RunTest, FailuresOfChildrenAreTold) {
  const Output run = home_.ModlabAlone({"run", home_.Write("sweep.yaml", QuickYaml()), "--data-dir",
                                        home_.Write("file", "no directory")});
  EXPECT_NE(run.exit_code, 0);
  EXPECT_THAT(run.err, HasSubstr(home_.dir() + "/file"));
  ExpectNothingRuns();
}

}  // namespace
}  // namespace modlab::e2e
