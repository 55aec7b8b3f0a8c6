#include "lib/rules/mlp_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/rules/random_stream.h"

namespace modlab {
namespace {

constexpr StreamKey kKey = {StreamPurpose::kTraining, 11, 3};

struct Samples {
  explicit Samples(size_t count) : a(count), b(count), rule(count), target(count) {}
  MlpTask::Batch batch() { return {a.data(), b.data(), rule.data(), target.data()}; }

  std::vector<float> a;
  std::vector<float> b;
  std::vector<int32_t> rule;
  std::vector<float> target;
};

Samples Draw(const MlpTask& task, const StreamKey& key, uint64_t block, float scale,
             const std::vector<double>* weights, size_t count) {
  Samples samples(count);
  task.Sample(key, block, scale, weights, static_cast<int64_t>(count), samples.batch());
  return samples;
}

// numpy: r = RandomState(11); alpha = r.randn(3); beta = r.randn(3). With three
// rules beta starts with the cached half of a pair.
TEST(MlpTask, CoefficientsAreNumpys) {
  const MlpTask task(3, 11);
  EXPECT_EQ(task.rules(), 3);
  EXPECT_THAT(task.alpha(),
              testing::Pointwise(testing::DoubleEq(),
                                 {1.7494547413051793, -0.28607299681629417, -0.4845651322211443}));
  EXPECT_THAT(task.beta(),
              testing::Pointwise(testing::DoubleEq(),
                                 {-2.653318559261479, -0.00828462937293584, -0.31963136376429824}));
}

TEST(MlpTask, TargetIsThatOfTheSamplesRule) {
  const MlpTask task(8, 11);
  const Samples samples = Draw(task, kKey, 5, 1.0f, nullptr, 1000);
  std::vector<int> seen(8, 0);
  for (size_t i = 0; i < 1000; ++i) {
    const auto rule = static_cast<size_t>(samples.rule[i]);
    ASSERT_LT(rule, 8u);
    ++seen[rule];
    EXPECT_FLOAT_EQ(samples.target[i],
                    static_cast<float>(task.alpha()[rule] * static_cast<double>(samples.a[i]) +
                                       task.beta()[rule] * static_cast<double>(samples.b[i])));
  }
  for (const int count : seen) EXPECT_GT(count, 80);
}

TEST(MlpTask, NumbersAndRuleAreDrawnApart) {
  const Samples samples = Draw(MlpTask(2, 0), kKey, 0, 1.0f, nullptr, 100'000);
  double ab = 0.0;
  double a_by_rule = 0.0;
  for (size_t i = 0; i < samples.a.size(); ++i) {
    ab += samples.a[i] * samples.b[i];
    a_by_rule += samples.rule[i] == 0 ? samples.a[i] : -samples.a[i];
  }
  EXPECT_NEAR(ab / 1e5, 0.0, 0.015);
  EXPECT_NEAR(a_by_rule / 1e5, 0.0, 0.015);
}

TEST(MlpTask, ScaleMultipliesNumbersBeforeTheTarget) {
  const MlpTask task(4, 2);
  const Samples once = Draw(task, kKey, 0, 1.0f, nullptr, 500);
  const Samples twice = Draw(task, kKey, 0, 2.0f, nullptr, 500);
  EXPECT_EQ(once.rule, twice.rule);
  for (size_t i = 0; i < 500; ++i) {
    EXPECT_EQ(twice.a[i], 2.0f * once.a[i]);
    EXPECT_EQ(twice.b[i], 2.0f * once.b[i]);
    EXPECT_FLOAT_EQ(twice.target[i], 2.0f * once.target[i]);
  }
}

TEST(MlpTask, RuleWeightsChooseTheRules) {
  const std::vector<double> weights = {0.0, 0.25, 0.75};
  const Samples samples = Draw(MlpTask(3, 0), kKey, 0, 1.0f, &weights, 40'000);
  std::vector<double> share(3, 0.0);
  for (const int32_t rule : samples.rule) share[static_cast<size_t>(rule)] += 1.0 / 40'000;
  EXPECT_EQ(share[0], 0.0);
  EXPECT_NEAR(share[1], 0.25, 0.01);
  // The numbers are those drawn without weights.
  EXPECT_EQ(samples.a, Draw(MlpTask(3, 0), kKey, 0, 1.0f, nullptr, 40'000).a);
}

TEST(MlpTask, BlocksAndSeedsDiffer) {
  const MlpTask task(4, 2);
  const std::vector<float> base = Draw(task, kKey, 0, 1.0f, nullptr, 100).a;
  EXPECT_EQ(Draw(task, kKey, 0, 1.0f, nullptr, 100).a, base);
  EXPECT_NE(Draw(task, kKey, 1, 1.0f, nullptr, 100).a, base);
  EXPECT_NE(Draw(task, {StreamPurpose::kEvaluation, 11, 3}, 0, 1.0f, nullptr, 100).a, base);
  EXPECT_NE(Draw(task, {StreamPurpose::kTraining, 11, 4}, 0, 1.0f, nullptr, 100).a, base);
}

}  // namespace
}  // namespace modlab
