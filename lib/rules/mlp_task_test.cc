#include "lib/rules/mlp_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/rules/random_stream.h"
#include "lib/rules/task.h"
#include "lib/rules/task_testing.h"

namespace modlab {
namespace {

MlpTask Regression(int rules, uint32_t data_seed) {
  return MlpTask(TaskConfig(v1::MLP, v1::REGRESSION, rules, data_seed));
}

// numpy: r = RandomState(11); alpha = r.randn(3); beta = r.randn(3). With three
// rules beta starts with the cached half of a pair.
TEST(MlpTask, CoefficientsAreNumpysToTheLastBits) {
  const std::vector<Coefficients> coefficients = Regression(3, 11).coefficients();
  EXPECT_THAT(coefficients[0].values,
              testing::Pointwise(testing::DoubleEq(),
                                 {1.7494547413051793, -0.28607299681629417, -0.4845651322211443}));
  EXPECT_THAT(coefficients[1].values,
              testing::Pointwise(testing::DoubleEq(),
                                 {-2.653318559261479, -0.00828462937293584, -0.31963136376429824}));
}

TEST(MlpTask, TargetIsThatOfTheSamplesRule) {
  const MlpTask task = Regression(8, 11);
  const std::vector<Coefficients> coefficients = task.coefficients();
  const Samples samples = DrawSamples(task, Request(1000, 1));
  for (int64_t i = 0; i < 1000; ++i) {
    const auto rule = static_cast<size_t>(samples.rule_of(i));
    ASSERT_LT(rule, 8u);
    const double y = coefficients[0].values[rule] * static_cast<double>(samples.in(0, i)) +
                     coefficients[1].values[rule] * static_cast<double>(samples.in(1, i));
    EXPECT_FLOAT_EQ(samples.out(0, i), static_cast<float>(y));
  }
}

TEST(MlpTask, NumbersAndRuleAreDrawnApart) {
  const Samples samples = DrawSamples(Regression(2, 0), Request(100'000, 1));
  double ab = 0.0;
  double a_by_rule = 0.0;
  for (int64_t i = 0; i < 100'000; ++i) {
    ab += samples.in(0, i) * samples.in(1, i);
    a_by_rule += samples.rule_of(i) == 0 ? samples.in(0, i) : -samples.in(0, i);
  }
  EXPECT_NEAR(ab / 1e5, 0.0, 0.015);
  EXPECT_NEAR(a_by_rule / 1e5, 0.0, 0.015);
}

// Results in users' stores depend on which lane of the stream is what.
TEST(MlpTask, DrawsFromTheLanesItAlwaysHas) {
  const SampleRequest request = Request(300, 1);
  const Samples samples = DrawSamples(Regression(7, 0), request);
  std::vector<float> numbers(300);
  std::vector<int32_t> rules(300);
  for (uint32_t lane = 0; lane < 2; ++lane) {
    FillNormal(request.key, request.block, lane, 300, numbers.data());
    for (size_t i = 0; i < 300; ++i) EXPECT_EQ(samples.input[lane * 300 + i], numbers[i]);
  }
  FillIndex(request.key, request.block, 2, 7, 300, rules.data());
  EXPECT_EQ(samples.rule, rules);
}

}  // namespace
}  // namespace modlab
