#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

#include "spdlog/spdlog.h"
#include "tests/sim/installation.h"

namespace modlab {
namespace sim {
namespace {

class SimTest : public testing::Test {
 protected:
  SimTest() { spdlog::set_level(spdlog::level::off); }
};

TEST_F(SimTest, EqualSeedsAreEqualRuns) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    EXPECT_EQ(RunSeed(seed).fingerprint, RunSeed(seed).fingerprint) << "seed " << seed;
  }
}

TEST_F(SimTest, NothingIsLost) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const Outcome outcome = RunSeed(seed);
    ASSERT_EQ(outcome.wrong, "") << "./x sim --seed " << seed << " --trace";
  }
}

}  // namespace
}  // namespace sim
}  // namespace modlab
