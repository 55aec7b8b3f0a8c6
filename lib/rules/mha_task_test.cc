#include "lib/rules/mha_task.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <vector>

#include "lib/rules/task.h"
#include "lib/rules/task_testing.h"

namespace modlab {
namespace {

MhaTask Regression(int version, int rules) {
  v1::JobConfig config = TaskConfig(v1::MHA, v1::REGRESSION, rules, 5);
  config.set_search_version(version);
  return MhaTask(config);
}

// Searches each sample's tokens as section 1 says.
class Naive {
 public:
  Naive(const Samples& samples, const SampleRequest& request, int version)
      : samples_(samples), request_(request), version_(version) {}

  // What token (step, sample) finds by its key `which`.
  float Find(int64_t step, int64_t sample, int which) {
    const int64_t i = step * request_.samples + sample;
    const int64_t first = (2 * version_ + 2) * samples_.rule_of(i);
    int64_t found = -1;
    bool tie = false;
    for (int64_t other = 0; other < request_.length; ++other) {
      if (other == step) continue;
      const int64_t j = other * request_.samples + sample;
      if (found >= 0) {
        const double more =
            Likeness(first + which * version_, i, j) - Likeness(first + which * version_, i, found);
        if (more == 0.0) tie = true;
        if (more > 0.0) tie = false;
        if (more <= 0.0) continue;
      }
      found = j;
    }
    if (tie) ++ties_;
    return samples_.in(first + 2 * version_ + which, found);
  }

  int64_t ties() const { return ties_; }

 private:
  double Likeness(int64_t row, int64_t i, int64_t j) const {
    const auto number = [this](int64_t r, int64_t column) {
      return static_cast<double>(samples_.in(r, column));
    };
    if (version_ == 1) return -std::abs(number(row, j) - number(row, i));
    return number(row, j) * number(row, i) + number(row + 1, j) * number(row + 1, i);
  }

  const Samples& samples_;
  const SampleRequest request_;
  const int version_;
  int64_t ties_ = 0;
};

void ExpectNaiveTargets(const MhaTask& task, const Samples& samples, const SampleRequest& request,
                        Naive* naive) {
  const std::vector<Coefficients> coefficients = task.coefficients();
  int64_t wrong = 0;
  for (int64_t step = 0; step < request.length; ++step) {
    for (int64_t b = 0; b < request.samples; ++b) {
      const int64_t i = step * request.samples + b;
      const auto rule = static_cast<size_t>(samples.rule_of(i));
      const double y = coefficients[0].values[rule] * static_cast<double>(naive->Find(step, b, 0)) +
                       coefficients[1].values[rule] * static_cast<double>(naive->Find(step, b, 1));
      if (samples.out(0, i) != static_cast<float>(y)) ++wrong;
    }
  }
  EXPECT_EQ(wrong, 0);
}

// (search version, rules, length, scale), and more samples than are searched at once.
using Case = std::tuple<int, int, int, float>;
class MhaTaskTargets : public testing::TestWithParam<Case> {};

TEST_P(MhaTaskTargets, AreThoseOfANaiveSearch) {
  const auto& [version, rules, length, scale] = GetParam();
  const MhaTask task = Regression(version, rules);
  ASSERT_EQ(task.inputs(), (2 * version + 2) * rules);
  const SampleRequest request = Request(300, length, scale);
  const Samples samples = DrawSamples(task, request);
  Naive naive(samples, request, version);
  ExpectNaiveTargets(task, samples, request, &naive);
}

INSTANTIATE_TEST_SUITE_P(All, MhaTaskTargets,
                         testing::Combine(testing::Values(1, 2), testing::Values(2, 3, 8),
                                          testing::Values(2, 3, 10, 50),
                                          testing::Values(1.0F, 2.0F)));

// Blocks in which some tokens stand equally far from two others.
TEST(MhaTask, OfEqualsTheFirstIsFound) {
  const MhaTask task = Regression(1, 2);
  SampleRequest request = Request(300, 50);
  for (const uint64_t block : {28, 243, 259}) {
    request.block = block;
    const Samples samples = DrawSamples(task, request);
    Naive naive(samples, request, 1);
    ExpectNaiveTargets(task, samples, request, &naive);
    EXPECT_GT(naive.ties(), 0);
  }
}

TEST(MhaTask, OfTwoTokensEachFindsTheOther) {
  for (const int version : {1, 2}) {
    const MhaTask task = Regression(version, 4);
    const std::vector<Coefficients> coefficients = task.coefficients();
    const Samples samples = DrawSamples(task, Request(100, 2));
    for (int64_t i = 0; i < 200; ++i) {
      const int64_t other = (i + 100) % 200;
      const int64_t rule = samples.rule_of(i);
      const int64_t row = (2 * version + 2) * rule + 2 * version;
      const double y = coefficients[0].values[static_cast<size_t>(rule)] *
                           static_cast<double>(samples.in(row, other)) +
                       coefficients[1].values[static_cast<size_t>(rule)] *
                           static_cast<double>(samples.in(row + 1, other));
      EXPECT_FLOAT_EQ(samples.out(0, i), static_cast<float>(y));
    }
  }
}

TEST(MhaTask, KeysOfVersionTwoHaveUnitLengthAndNoDirection) {
  constexpr int64_t kSamples = 20'000;
  const MhaTask task = Regression(2, 2);
  for (const float scale : {1.0F, 2.0F}) {
    const Samples samples = DrawSamples(task, Request(kSamples, 2, scale));
    for (const int64_t row : {0, 2, 6, 8}) {
      double x_mean = 0.0;
      double y_mean = 0.0;
      double xx_mean = 0.0;
      double xy_mean = 0.0;
      for (int64_t i = 0; i < 2 * kSamples; ++i) {
        const double x = static_cast<double>(samples.in(row, i) / scale);
        const double y = static_cast<double>(samples.in(row + 1, i) / scale);
        ASSERT_NEAR(x * x + y * y, 1.0, 1e-6);
        x_mean += x / (2 * kSamples);
        y_mean += y / (2 * kSamples);
        xx_mean += x * x / (2 * kSamples);
        xy_mean += x * y / (2 * kSamples);
      }
      EXPECT_NEAR(x_mean, 0.0, 0.015);
      EXPECT_NEAR(y_mean, 0.0, 0.015);
      EXPECT_NEAR(xx_mean, 0.5, 0.01);
      EXPECT_NEAR(xy_mean, 0.0, 0.01);
    }
  }
}

}  // namespace
}  // namespace modlab
