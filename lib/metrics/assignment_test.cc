#include "lib/metrics/assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

namespace modlab {
namespace {

double Total(const std::vector<double>& value, const std::vector<int>& assignment) {
  double total = 0.0;
  for (size_t i = 0; i < assignment.size(); ++i) {
    total += value[i * assignment.size() + static_cast<size_t>(assignment[i])];
  }
  return total;
}

double BestTotal(const std::vector<double>& value, int size) {
  std::vector<int> permutation(static_cast<size_t>(size));
  std::iota(permutation.begin(), permutation.end(), 0);
  double best = -std::numeric_limits<double>::infinity();
  do {
    best = std::max(best, Total(value, permutation));
  } while (std::next_permutation(permutation.begin(), permutation.end()));
  return best;
}

bool IsPermutation(std::vector<int> assignment) {
  std::sort(assignment.begin(), assignment.end());
  for (size_t i = 0; i < assignment.size(); ++i) {
    if (assignment[i] != static_cast<int>(i)) return false;
  }
  return true;
}

TEST(MaximumAssignment, AgreesWithEveryPermutation) {
  std::mt19937 random(1);
  for (int size = 1; size <= 6; ++size) {
    for (int round = 0; round < 200; ++round) {
      std::vector<double> value(static_cast<size_t>(size * size));
      // Half of the rounds draw from few values, so that there are many ties.
      for (double& v : value) {
        v = round % 2 == 0 ? std::uniform_real_distribution<>(-1, 1)(random)
                           : std::uniform_int_distribution<>(0, 2)(random);
      }
      const std::vector<int> assignment = MaximumAssignment(value, size);
      ASSERT_TRUE(IsPermutation(assignment));
      EXPECT_NEAR(Total(value, assignment), BestTotal(value, size), 1e-12);
    }
  }
}

// A hidden permutation stands out of noise.
TEST(MaximumAssignment, FindsAHiddenPermutation) {
  std::mt19937 random(2);
  for (const size_t size : {64u, 256u}) {
    std::vector<int> hidden(size);
    std::iota(hidden.begin(), hidden.end(), 0);
    std::shuffle(hidden.begin(), hidden.end(), random);
    std::vector<double> value(size * size);
    for (double& v : value) v = std::uniform_real_distribution<>(0, 0.5)(random);
    for (size_t i = 0; i < size; ++i) value[i * size + static_cast<size_t>(hidden[i])] += 1.0;
    EXPECT_EQ(MaximumAssignment(value, static_cast<int>(size)), hidden);
  }
}

TEST(MaximumAssignment, ConstantMatrix) {
  EXPECT_TRUE(IsPermutation(MaximumAssignment(std::vector<double>(64 * 64, 1.0 / 4096), 64)));
}

// Row 0 prefers column 0 most, yet gives it up to row 1.
TEST(MaximumAssignment, IsNotGreedy) {
  EXPECT_EQ(MaximumAssignment({10, 9, 9, 1}, 2), (std::vector<int>{1, 0}));
}

}  // namespace
}  // namespace modlab
