// The weights with the best validation, as a trainer keeps them.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>

#include "lib/train/device.h"
#include "lib/train/trainer_fixture.h"
#include "lib/weights/safetensors.h"

namespace modlab {
namespace {

class BestWeightsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { PrepareProcess(); }
};

TEST_F(BestWeightsTest, TheBestCheckpointIsTheOneWithTheBestValidation) {
  v1::JobConfig config;
  MemberRecord member;
  // Of one in forty the last is the best.
  for (int seed = 1; seed <= 5 && (seed == 1 || member.best_weights.empty()); ++seed) {
    config = Config(v1::MODULAR, v1::REGRESSION, seed);
    config.set_iterations(400);
    config.set_learning_rate(0.05);  // so that the loss goes up and down
    config.set_eval_interval(10);
    member = TrainGang({config}).at(0);
  }
  ASSERT_FALSE(member.best_weights.empty());
  double best = std::numeric_limits<double>::infinity();
  int64_t iteration = -1;
  for (const v1::CurvePoint& point : member.points) {
    for (const v1::MetricValue& value : point.values()) {
      if (value.metric() != v1::VALIDATION_LOSS || value.value() >= best) continue;
      best = value.value();
      iteration = point.iteration();
    }
  }
  ASSERT_TRUE(member.result->has_best());
  EXPECT_EQ(member.result->best().iteration(), iteration);

  // The weights are those that training had there, and the figures are theirs.
  config.set_iterations(iteration);
  const MemberRecord shorter = TrainGang({config}).at(0);
  const auto tensors = [](const std::string& file) { return DecodeSafetensors(file)->tensors; };
  const auto want = tensors(shorter.weights), got = tensors(member.best_weights);
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i].values, want[i].values) << got[i].name;
  EXPECT_EQ(shorter.result->best().iteration(), iteration);
  EXPECT_TRUE(shorter.result->best().metrics().empty());
  EXPECT_TRUE(shorter.best_weights.empty());
  ASSERT_EQ(member.result->best().metrics_size(), shorter.result->metrics_size());
  for (int i = 0; i < shorter.result->metrics_size(); ++i) {
    EXPECT_EQ(member.result->best().metrics(i).SerializeAsString(),
              shorter.result->metrics(i).SerializeAsString());
  }
  EXPECT_EQ(member.result->best().activation().SerializeAsString(),
            shorter.result->activation().SerializeAsString());
}

TEST_F(BestWeightsTest, WithoutValidationThereIsNoBest) {
  v1::JobConfig config = Config(v1::MODULAR, v1::CLASSIFICATION, 1);
  config.set_validation_batches(0);
  const MemberRecord member = TrainGang({config}).at(0);
  EXPECT_FALSE(member.result->has_best());
  EXPECT_TRUE(member.best_weights.empty());
}

}  // namespace
}  // namespace modlab
