#include "lib/rules/rnn_task.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <vector>

#include "lib/rules/task.h"
#include "lib/rules/task_testing.h"

namespace modlab {
namespace {

v1::JobConfig Config(v1::Target target, int rules, int dim, int order, uint32_t data_seed = 5) {
  v1::JobConfig config = TaskConfig(v1::RNN, target, rules, data_seed);
  config.set_input_dim(dim);
  config.set_order(order);
  return config;
}

// One number of an array of coefficients.
double At(const Coefficients& coefficients, const std::vector<int64_t>& place) {
  int64_t index = 0;
  for (size_t i = 0; i < place.size(); ++i) index = index * coefficients.shape[i] + place[i];
  return coefficients.values[static_cast<size_t>(index)];
}

// The states of section 1 in double precision, [T][q].
std::vector<std::vector<double>> NaiveStates(const Task& task, const Samples& samples,
                                             const SampleRequest& request) {
  const std::vector<Coefficients> coefficients = task.coefficients();
  const Coefficients& a = coefficients[0];
  const Coefficients& b = coefficients[1];
  const int64_t q = task.inputs();
  std::vector<std::vector<double>> states;
  for (int64_t i = 0; i < samples.tokens; ++i) {
    const int64_t rule = samples.rule_of(i);
    std::vector<double> state(static_cast<size_t>(q), 0.0);
    for (int64_t to = 0; to < q; ++to) {
      double& sum = state[static_cast<size_t>(to)];
      for (int64_t from = 0; from < q; ++from) {
        sum += static_cast<double>(samples.in(from, i)) * At(b, {rule, from, to});
        for (int64_t k = 1; k <= a.shape[1] && i - k * request.samples >= 0; ++k) {
          sum += states[static_cast<size_t>(i - k * request.samples)][static_cast<size_t>(from)] *
                 At(a, {rule, k - 1, from, to});
        }
      }
    }
    states.push_back(state);
  }
  return states;
}

// (rules, q, order, length, scale)
using Case = std::tuple<int, int, int, int, float>;
class RnnTaskTargets : public testing::TestWithParam<Case> {};

TEST_P(RnnTaskTargets, AreTheStatesOfANaiveLoop) {
  const auto& [rules, dim, order, length, scale] = GetParam();
  const RnnTask task(Config(v1::REGRESSION, rules, dim, order));
  ASSERT_EQ(task.inputs(), dim);
  ASSERT_EQ(task.targets(), dim);
  const SampleRequest request = Request(9, length, scale);
  const Samples samples = DrawSamples(task, request);
  const auto states = NaiveStates(task, samples, request);
  for (int64_t i = 0; i < samples.tokens; ++i) {
    const std::vector<double>& state = states[static_cast<size_t>(i)];
    double norm = 0.0;
    for (const double number : state) norm = std::hypot(norm, number);
    for (int64_t n = 0; n < dim; ++n) {
      ASSERT_NEAR(static_cast<double>(samples.out(n, i)), state[static_cast<size_t>(n)],
                  1e-5 * (1.0 + norm))
          << "token " << i << ", number " << n;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, RnnTaskTargets,
                         testing::Combine(testing::Values(2, 5), testing::Values(1, 5, 32),
                                          testing::Values(1, 2, 3), testing::Values(1, 2, 50),
                                          testing::Values(1.0F, 2.0F)));

TEST(RnnTask, LabelsAreTheSignsOfTheDecodedStates) {
  const RnnTask task(Config(v1::CLASSIFICATION, 4, 12, 2));
  ASSERT_EQ(task.targets(), 1);
  const SampleRequest request = Request(50, 20);
  const Samples samples = DrawSamples(task, request);
  const auto states = NaiveStates(task, samples, request);
  const Coefficients w = task.coefficients()[2];
  int positive = 0;
  for (int64_t i = 0; i < samples.tokens; ++i) {
    double y = 0.0;
    for (int64_t n = 0; n < 12; ++n) {
      y += states[static_cast<size_t>(i)][static_cast<size_t>(n)] * At(w, {n, 0});
    }
    if (samples.out(0, i) == 1.0F) ++positive;
    // Nearer to zero rounding decides.
    if (std::abs(y) > 1e-4) {
      EXPECT_EQ(samples.out(0, i), y >= 0.0 ? 1.0F : 0.0F) << y;
    }
  }
  EXPECT_NEAR(positive, 500, 150);
}

// The same bits on every machine, whatever the width of its vectors: results in
// users' stores depend on these numbers.
TEST(RnnTask, NeverChanges) {
  const RnnTask task(Config(v1::REGRESSION, 3, 21, 2));
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const float number : DrawSamples(task, Request(100, 10)).target) {
    uint32_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    hash = (hash ^ bits) * 1099511628211u;
  }
  EXPECT_EQ(hash, 0x5c696ad5e661ff00u);
}

}  // namespace
}  // namespace modlab
