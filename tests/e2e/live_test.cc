// What a running job has measured is seen while it runs.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

constexpr int kInterval = 200;

// Runs until it is cancelled.
std::string Endless() {
  return SmallSweep("live", "{model: modular, rules: 2, iterations: 10000000, eval_interval: 200}");
}

int64_t LastPoint(Cluster* cluster, const std::string& sweep) {
  const Json rows = cluster->Rows({"curves", sweep, "--metric", "eval_loss"});
  return rows.empty() ? -1 : rows.back()["iteration"].get<int64_t>();
}

TEST(LiveTest, PointIsInTheStoreWithinASecondOfItsEvaluation) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.StartWorker(/*gang=*/1);
  const std::string sweep = cluster.Submit(Endless());
  ASSERT_TRUE(WaitUntil([&] { return LastPoint(&cluster, sweep) >= kInterval; }));

  // How long new points stay away while the job makes several a second. The
  // middle one of many waits, so that a machine that stood still does not count.
  std::vector<double> waits;
  int64_t last = LastPoint(&cluster, sweep);
  absl::Time since = absl::Now();
  ASSERT_TRUE(WaitUntil([&] {
    const int64_t now = LastPoint(&cluster, sweep);
    if (now > last) {
      waits.push_back(absl::ToDoubleSeconds(absl::Now() - since));
      since = absl::Now();
      last = now;
    }
    return waits.size() == 15;
  }));
  std::sort(waits.begin(), waits.end());
  EXPECT_LT(waits[waits.size() / 2], 1.0);

  const Json job = cluster.Row({"export", sweep});
  EXPECT_EQ(job["state"], "running");
  EXPECT_EQ(job["attempt"], 1);
}

// A job is measured before its first step: from its submission to that point
// in the store is no second, by the best of several tries.
TEST(LiveTest, FirstPointIsInTheStoreWithinASecondOfTheSubmission) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.StartWorker(/*gang=*/1);
  ASSERT_TRUE(WaitUntil([&] { return cluster.Rows({"workers"}).size() == 1; }));
  absl::Duration shortest = absl::InfiniteDuration();
  for (int i = 0; i < 5; ++i) {
    const absl::Time start = absl::Now();
    const std::string sweep = cluster.Submit(Endless());
    ASSERT_TRUE(WaitUntil([&] { return LastPoint(&cluster, sweep) >= 0; }));
    shortest = std::min(shortest, absl::Now() - start);
    EXPECT_EQ(cluster.Modlab({"cancel", sweep}).exit_code, 0);
  }
  EXPECT_LT(shortest, absl::Seconds(1));
}

TEST(LiveTest, SweepTellsItsPace) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.StartWorker(/*gang=*/1);
  const std::string sweep = cluster.Submit(Endless());
  EXPECT_TRUE(cluster.WaitForSweep(sweep, [](const Json& row) {
    return row.value("iterations_per_second", 0.0) > 0 && row.value("iterations_done", 0) > 0;
  }));
  EXPECT_EQ(cluster.Sweep(sweep).value("iterations_total", 0), 10000000);
}

TEST(LiveTest, WatchEndsWithTheSweep) {
  Cluster cluster;
  cluster.StartWorker(/*gang=*/4);  // waits for its coordinator
  cluster.StartCoordinator();
  const std::string sweep =
      cluster.Submit(SmallSweep("watched", "{model: [monolithic, gt_modular], rules: [2, 4]}"));
  const Output watched = cluster.Modlab({"watch", sweep});
  EXPECT_EQ(watched.exit_code, 0) << watched.err;
  EXPECT_NE(watched.out.find("watched-1: 4 succeeded"), std::string::npos) << watched.out;
}

}  // namespace
}  // namespace modlab::e2e
