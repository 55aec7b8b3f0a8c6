// A short round of simulated installations; ./x sim runs longer ones.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "spdlog/spdlog.h"
#include "tests/sim/installation.h"

namespace modlab {
namespace sim {
namespace {

class SimTest : public testing::Test {
 protected:
  SimTest() { spdlog::set_level(spdlog::level::off); }

  // The first seed up to `seeds` that notices what is broken; 0 if none does.
  static uint64_t Caught(const Coordinator::Sabotage& sabotage, uint64_t seeds) {
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
      if (!RunSeed(seed, sabotage).wrong.empty()) return seed;
    }
    return 0;
  }
};

TEST_F(SimTest, EqualSeedsAreEqualRuns) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    EXPECT_EQ(RunSeed(seed).fingerprint, RunSeed(seed).fingerprint) << "seed " << seed;
  }
}

TEST_F(SimTest, NothingIsLost) {
  const auto start = std::chrono::steady_clock::now();
  std::map<std::string, int64_t> faults;
  uint64_t seed = 1;
  // The first in any case; then as many as there is time for.
  while (seed <= 60 || std::chrono::steady_clock::now() - start < std::chrono::seconds(15)) {
    const Outcome outcome = RunSeed(seed);
    ASSERT_EQ(outcome.wrong, "") << "again: ./x sim --seed " << seed << " --trace";
    for (const auto& [name, count] : outcome.counts) faults[name] += count;
    ++seed;
  }
  // Each kind of trouble came.
  for (const auto& [name, count] : faults) EXPECT_GT(count, 0) << name;
}

// -- the simulation notices what it is there for ---------------------------------------

TEST_F(SimTest, ADiskThatForgetsItsSyncsIsCaught) {
  Coordinator::Sabotage sabotage;
  sabotage.forgets_syncs = true;
  EXPECT_GT(Caught(sabotage, 20), 0u);
}

TEST_F(SimTest, AnswersBeforeTheCommitAreCaught) {
  Coordinator::Sabotage sabotage;
  sabotage.commits_late = true;
  EXPECT_GT(Caught(sabotage, 5), 0u);
}

TEST_F(SimTest, ReportsOfOldAttemptsAreCaught) {
  Coordinator::Sabotage sabotage;
  sabotage.takes_old_reports = true;
  EXPECT_GT(Caught(sabotage, 40), 0u);
}

TEST_F(SimTest, AReportThatIsAcknowledgedAndForgottenIsCaught) {
  Coordinator::Sabotage sabotage;
  sabotage.view = [](v1::WorkerView* view) {
    for (v1::Report& report : *view->mutable_reports()) {
      if (report.has_point() && report.point().iteration() == 20) report.clear_event();
    }
  };
  EXPECT_GT(Caught(sabotage, 5), 0u);
}

TEST_F(SimTest, LeasesThatNeverEndAreCaught) {
  Coordinator::Sabotage sabotage;
  sabotage.leases_never_end = true;
  EXPECT_GT(Caught(sabotage, 30), 0u);
}

TEST_F(SimTest, JobsThatHangForEverAreCaught) {
  Coordinator::Sabotage sabotage;
  sabotage.leases_never_stall = true;
  EXPECT_GT(Caught(sabotage, 60), 0u);
}

TEST_F(SimTest, UploadsNamedBeforeTheyAreRegisteredAreCaught) {
  Coordinator::Sabotage sabotage;
  sabotage.names_before_registering = true;
  EXPECT_GT(Caught(sabotage, 100), 0u);
}

}  // namespace
}  // namespace sim
}  // namespace modlab
