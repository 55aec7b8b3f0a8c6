#include "lib/metrics/specialisation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

namespace modlab {
namespace {

// Rule r uses module module_of[r] alone.
Activation Hard(const std::vector<int>& module_of, int modules) {
  const int rules = static_cast<int>(module_of.size());
  Activation activation{rules, modules,
                        std::vector<double>(module_of.size() * static_cast<size_t>(modules), 0.0)};
  for (size_t r = 0; r < module_of.size(); ++r) {
    activation.p[r * static_cast<size_t>(modules) + static_cast<size_t>(module_of[r])] =
        1.0 / rules;
  }
  return activation;
}

std::vector<int> Identity(int size) {
  std::vector<int> permutation(static_cast<size_t>(size));
  std::iota(permutation.begin(), permutation.end(), 0);
  return permutation;
}

Activation Random(int size, std::mt19937* random) {
  Activation activation{size, size, {}};
  for (int r = 0; r < size; ++r) {
    std::vector<double> row(static_cast<size_t>(size));
    for (double& p : row) p = std::exponential_distribution<>(1)(*random);
    const double sum = std::accumulate(row.begin(), row.end(), 0.0);
    for (const double p : row) activation.p.push_back(p / sum / size);
  }
  return activation;
}

class Sizes : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Rules, Sizes, testing::Values(2, 3, 8, 32, 64));

TEST_P(Sizes, AModuleForEachRule) {
  const int size = GetParam();
  std::vector<int> permutation = Identity(size);
  std::reverse(permutation.begin(), permutation.end());
  for (const auto& module_of : {Identity(size), permutation}) {
    const Activation activation = Hard(module_of, size);
    EXPECT_NEAR(CollapseAvg(activation), 0.0, 1e-12);
    EXPECT_NEAR(CollapseWorst(activation), 0.0, 1e-12);
    EXPECT_NEAR(Alignment(activation), 0.0, 1e-12);
    EXPECT_NEAR(ExpectedAdaptation(activation, AdaptationDraws(size, 10)), 0.0, 1e-12);
    // Not quite 0: 1e-8 beside 1/R^2 counts.
    EXPECT_NEAR(InverseMutualInformation(activation), 0.0, size * size * 2e-8);
  }
}

TEST_P(Sizes, AllModulesAlike) {
  const int size = GetParam();
  const Activation activation = UniformActivation(size, size);
  EXPECT_NEAR(std::accumulate(activation.p.begin(), activation.p.end(), 0.0), 1.0, 1e-12);
  EXPECT_NEAR(CollapseAvg(activation), 0.0, 1e-12);
  EXPECT_NEAR(CollapseWorst(activation), 0.0, 1e-12);
  EXPECT_NEAR(Alignment(activation), (size - 1.0) / size, 1e-12);
  EXPECT_NEAR(InverseMutualInformation(activation), 1.0, size * size * 2e-8);
  // u is uniform whatever the rules.
  double expected = 0.0;
  const auto draws = AdaptationDraws(size, 10);
  for (const auto& draw : draws) {
    for (const double p : draw) expected += std::abs(p - 1.0 / size) / 2.0 / 10.0;
  }
  EXPECT_NEAR(ExpectedAdaptation(activation, draws), expected, 1e-12);
}

TEST_P(Sizes, OneModuleForAll) {
  const int size = GetParam();
  const Activation activation = Hard(std::vector<int>(static_cast<size_t>(size), size - 1), size);
  EXPECT_NEAR(CollapseAvg(activation), 1.0, 1e-12);
  EXPECT_NEAR(CollapseWorst(activation), 1.0, 1e-12);
  EXPECT_NEAR(Alignment(activation), (size - 1.0) / size, 1e-12);
  EXPECT_NEAR(InverseMutualInformation(activation), 1.0, 1e-6);
  // All activation on one module: what the largest rule lacks of 1.
  const auto draws = AdaptationDraws(size, 3);
  double expected = 0.0;
  for (const auto& draw : draws) {
    expected += (1.0 - *std::max_element(draw.begin(), draw.end())) / 3.0;
  }
  EXPECT_NEAR(ExpectedAdaptation(activation, draws), expected, 1e-12);
}

// By hand: p_m = 0.7, 0.3, MI = sum P log(P / (p_r p_m)).
TEST(Specialisation, TwoByTwoByHand) {
  const Activation activation{2, 2, {0.45, 0.05, 0.25, 0.25}};
  EXPECT_NEAR(CollapseAvg(activation), 2.0 * 0.2, 1e-12);
  EXPECT_NEAR(CollapseWorst(activation), 1.0 - 2.0 * 0.3, 1e-12);
  EXPECT_NEAR(Alignment(activation), (0.1 + 0.1 + 0.5 + 0.5) / 4.0, 1e-12);
  const double information = 0.45 * std::log(0.45 / 0.35) + 0.05 * std::log(0.05 / 0.15) +
                             0.25 * std::log(0.25 / 0.35) + 0.25 * std::log(0.25 / 0.15);
  EXPECT_NEAR(InverseMutualInformation(activation), 1.0 - information / std::log(2.0), 1e-7);
  // pi = (1, 0) gives u = (0.9, 0.1); pi = (0.4, 0.6) gives u = (0.66, 0.34).
  EXPECT_NEAR(ExpectedAdaptation(activation, {{1.0, 0.0}}), 0.1, 1e-12);
  EXPECT_NEAR(ExpectedAdaptation(activation, {{0.4, 0.6}}), 0.06, 1e-12);
  EXPECT_NEAR(ExpectedAdaptation(activation, {{1.0, 0.0}, {0.4, 0.6}}), 0.08, 1e-12);
}

// The formula's epsilons, written out: they show where P is concentrated.
TEST(Specialisation, MutualInformationHasItsEpsilons) {
  const double p = 1.0 / 64;
  const double information = std::log(p / (p * p + 1e-8) + 1e-8);
  EXPECT_NEAR(InverseMutualInformation(Hard(Identity(64), 64)),
              (std::log(64.0) - information) / std::log(64.0), 1e-14);
}

TEST(Specialisation, MoreRulesThanModules) {
  const Activation activation = Hard({0, 1, 0, 1}, 2);
  EXPECT_NEAR(CollapseAvg(activation), 0.0, 1e-12);
  EXPECT_NEAR(CollapseWorst(activation), 0.0, 1e-12);
  // The module tells one bit of the rule's two.
  EXPECT_NEAR(InverseMutualInformation(activation), 0.5, 1e-6);
}

TEST(Specialisation, AlignmentIsTheNearestPermutation) {
  std::mt19937 random(4);
  for (int size = 2; size <= 6; ++size) {
    for (int round = 0; round < 20; ++round) {
      const Activation activation = Random(size, &random);
      double nearest = std::numeric_limits<double>::infinity();
      std::vector<int> permutation = Identity(size);
      do {
        double distance = 0.0;
        for (int r = 0; r < size; ++r) {
          for (int m = 0; m < size; ++m) {
            const double one = permutation[static_cast<size_t>(r)] == m ? 1.0 : 0.0;
            distance += std::abs(one - size * activation.at(r, m)) / (2.0 * size);
          }
        }
        nearest = std::min(nearest, distance);
      } while (std::next_permutation(permutation.begin(), permutation.end()));
      EXPECT_NEAR(Alignment(activation), nearest, 1e-12);
    }
  }
}

TEST(Specialisation, NamesOfModulesDoNotMatter) {
  std::mt19937 random(5);
  const int size = 5;
  const Activation activation = Random(size, &random);
  Activation renamed = activation;
  for (int r = 0; r < size; ++r) {
    for (int m = 0; m < size; ++m) {
      renamed.p[static_cast<size_t>(r * size + (m + 2) % size)] = activation.at(r, m);
    }
  }
  const auto draws = AdaptationDraws(size, 20);
  EXPECT_NEAR(CollapseAvg(renamed), CollapseAvg(activation), 1e-12);
  EXPECT_NEAR(CollapseWorst(renamed), CollapseWorst(activation), 1e-12);
  EXPECT_NEAR(Alignment(renamed), Alignment(activation), 1e-12);
  EXPECT_NEAR(InverseMutualInformation(renamed), InverseMutualInformation(activation), 1e-12);
  EXPECT_NEAR(ExpectedAdaptation(renamed, draws), ExpectedAdaptation(activation, draws), 1e-12);
}

TEST(Specialisation, NotANumberIsNoPermutation) {
  Activation activation = UniformActivation(3, 3);
  activation.p[4] = std::nan("");
  EXPECT_TRUE(std::isnan(Alignment(activation)));
}

// numpy: RandomState(k).dirichlet(ones(4)).
TEST(AdaptationDraws, AreNumpys) {
  const auto draws = AdaptationDraws(4, 100);
  ASSERT_EQ(draws.size(), 100u);
  EXPECT_DOUBLE_EQ(draws[0][1], 0.3338261899887495);
  EXPECT_DOUBLE_EQ(draws[3][1], 0.3984693794055998);
  EXPECT_DOUBLE_EQ(draws[99][3], 0.008967744773226448);
}

TEST(AdaptationDistance, ComparesSorted) {
  EXPECT_NEAR(AdaptationDistance({0.7, 0.2, 0.1}, {0.1, 0.7, 0.2}), 0.0, 1e-12);
  EXPECT_NEAR(AdaptationDistance({0.7, 0.2, 0.1}, {0.3, 0.3, 0.4}), 0.3, 1e-12);
}

}  // namespace
}  // namespace modlab
