#include "lib/train/footprint.h"

#include <gtest/gtest.h>

#include "absl/status/status.h"
#include "lib/config/job_config.h"

namespace modlab {
namespace {

v1::JobConfig LargeRnn() {
  v1::JobConfig config;
  config.set_architecture(v1::RNN);
  config.set_target(v1::REGRESSION);
  config.set_model(v1::MODULAR);
  config.set_rules(32);
  config.set_encoder_dim(512);
  config.set_model_dim(2048);
  return Canonicalise(config).value();
}

constexpr int64_t kGibibyte = int64_t{1} << 30;

TEST(Footprint, TheLargestRnnOfThePaperTakesAGibibyteAndAHalf) {
  // As the process's memory grows when one is trained.
  const Footprint footprint = TrainingFootprint(LargeRnn());
  EXPECT_GT(footprint.kept + footprint.step, 1.2 * kGibibyte);
  EXPECT_LT(footprint.kept + footprint.step, 2.0 * kGibibyte);
}

TEST(Footprint, FewerJobsStepTogetherWhereMemoryIsShort) {
  const v1::JobConfig config = LargeRnn();
  const Footprint footprint = TrainingFootprint(config);
  EXPECT_EQ(StackThatFits(config, 8, 0).value(), 8);
  EXPECT_EQ(StackThatFits(config, 8, 1000 * kGibibyte).value(), 8);
  EXPECT_EQ(StackThatFits(config, 8, 8 * footprint.kept + 2 * footprint.step).value(), 2);
  EXPECT_EQ(StackThatFits(config, 1, footprint.kept + footprint.step).value(), 1);
}

TEST(Footprint, AJobThatDoesNotFitIsToldHowMuchItWouldTake) {
  const absl::Status status = StackThatFits(LargeRnn(), 1, kGibibyte / 2).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_NE(std::string(status.message()).find("MiB of 512 MiB"), std::string::npos) << status;
}

}  // namespace
}  // namespace modlab
