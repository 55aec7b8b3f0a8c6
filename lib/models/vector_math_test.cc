#include "lib/models/vector_math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace modlab {
namespace {

MODLAB_VECTOR_CLONES
void ExpAll(const float* x, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = Exp(x[i]);
}

// Numbers between -86 and 87, more of them near 0.
std::vector<float> Grid() {
  std::vector<float> x;
  for (int i = -86000; i < 87000; ++i) {
    x.push_back(static_cast<float>(i) * 1e-3f);
    x.push_back(static_cast<float>(i) * 3.1e-6f);
  }
  return x;
}

TEST(VectorMath, ExpIsRightToAFewUnitsInTheLastPlace) {
  const std::vector<float> x = Grid();
  std::vector<float> y(x.size());
  ExpAll(x.data(), x.size(), y.data());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = std::exp(static_cast<double>(x[i]));
    worst = std::max(worst, std::abs(y[i] / exact - 1));
  }
  EXPECT_LT(worst, 2e-7);
}

TEST(VectorMath, TheEndsOfTheRange) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {
      -infinity, -1e30f, -88.0f,   0.0f,
      -0.0f,     1e30f,  infinity, std::numeric_limits<float>::quiet_NaN()};
  std::vector<float> y(x.size());
  ExpAll(x.data(), x.size(), y.data());
  for (size_t i : {0, 1, 2}) EXPECT_EQ(y[i], 0.0f);
  for (size_t i : {3, 4}) EXPECT_EQ(y[i], 1.0f);
  for (size_t i : {5, 6}) EXPECT_NEAR(y[i] / std::exp(88.0), 1, 2e-7);
  EXPECT_TRUE(std::isnan(y[7]));
}

// Bodies and tails of vectorised loops must agree, wherever an array begins.
TEST(VectorMath, ANumberIsComputedAlikeWhereverItStands) {
  std::vector<float> x(77), y(77);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i) * 0.37f - 14.0f;
  ExpAll(x.data(), x.size(), y.data());
  for (size_t begin = 0; begin < x.size(); ++begin) {
    std::vector<float> rest(x.size() - begin);
    ExpAll(x.data() + begin, rest.size(), rest.data());
    for (size_t i = 0; i < rest.size(); ++i) EXPECT_EQ(rest[i], y[begin + i]) << begin << " " << i;
  }
}

}  // namespace
}  // namespace modlab
