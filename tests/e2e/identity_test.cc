// What a worker says of itself, and what it refuses to say.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

using testing::HasSubstr;

TEST(IdentityTest, AWorkerTellsItsPlaceMemoryAndLabels) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.StartWorker(/*gang=*/1);
  cluster.StartWorker(/*gang=*/1, {"--label", "a100", "--label", "rack=7", "--memory-gib", "1.5"});
  Json workers;
  ASSERT_TRUE(WaitUntil([&] {
    workers = cluster.Rows({"workers"});
    return workers.size() == 2;
  }));
  char host[65] = "";
  ASSERT_EQ(gethostname(host, sizeof(host) - 1), 0);
  for (const Json& worker : workers) EXPECT_EQ(worker["place"], std::string(host) + "/cpu");
  EXPECT_GT(workers[0]["memory"], int64_t{64} << 20) << "this machine's";
  EXPECT_EQ(workers[1]["memory"], int64_t{3} << 29);
  EXPECT_EQ(workers[1]["slot_memory"], (int64_t{3} << 29) / 5 * 4) << "of its one slot";
  EXPECT_EQ(workers[1]["labels"], "a100 rack=7");
}

TEST(IdentityTest, ASweepThatNoWorkerFitsSaysSoWhereverOneLooks) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.StartWorker(/*gang=*/1, {"--label", "other"});
  ASSERT_TRUE(WaitUntil([&] { return cluster.Rows({"workers"}).size() == 1; }));
  const std::string file =
      cluster.Write("needs.yaml", SmallSweep("needs", "{model: modular, rules: 2}"));
  const std::string why = "No worker that takes jobs meets what it requires (nosuch)";
  const Output submitted = cluster.Modlab({"submit", file, "--require", "nosuch"});
  EXPECT_EQ(submitted.exit_code, 0) << submitted.err;
  EXPECT_THAT(submitted.out, HasSubstr(why));
  EXPECT_THAT(cluster.Modlab({"show", "needs"}).out, HasSubstr(why));
  EXPECT_THAT(cluster.Modlab({"top"}).out, HasSubstr("needs nosuch, no worker fits"));
  const std::string log = cluster.dir() + "/watch.log";
  const Process watch({ModlabPath(), "watch", "needs", "--server", cluster.address()}, log, log);
  EXPECT_TRUE(WaitUntil([&] { return ReadFile(log).find(why) != std::string::npos; }));
  EXPECT_EQ(cluster.Modlab({"set", "needs", "--require", "other"}).exit_code, 0);
  EXPECT_TRUE(
      cluster.WaitForSweep("needs", [](const Json& sweep) { return sweep["queued"] == 0; }));
}

TEST(IdentityTest, WhatIsNotAllowedIsWrongUsage) {
  Cluster cluster;
  const auto refuse = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> argv = {WorkerPath(), "--server", cluster.address()};
    argv.insert(argv.end(), flags.begin(), flags.end());
    const Output output = RunToEnd(argv, cluster.dir() + "/worker");
    EXPECT_EQ(output.exit_code, 2) << output.err;
    EXPECT_THAT(output.err, HasSubstr(flags.front()));
  };
  refuse({"--label", ""});
  refuse({"--label", "two words"});
  refuse({"--label", std::string(64, 'a')});
  refuse({"--memory-gib", "-1"});
  refuse({"--checkpoint-seconds", "-1"});
  refuse({"--grace-seconds", "0"});
}

}  // namespace
}  // namespace modlab::e2e
