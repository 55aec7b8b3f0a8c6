#include "lib/models/lanes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace modlab {
namespace {

// `x` has whole lanes.
MODLAB_VECTOR_CLONES
void BoundedExpAll(const float* x, size_t count, float* out) {
  for (size_t i = 0; i < count; i += kLanes) Store(BoundedExp(Load(x + i), 1.0f), out + i);
}

std::vector<float> BoundedExps(std::vector<float> x) {
  const size_t count = x.size();
  x.resize((count + kLanes - 1) / kLanes * kLanes);
  std::vector<float> y(x.size());
  BoundedExpAll(x.data(), x.size(), y.data());
  y.resize(count);
  return y;
}

// Between -20 and 20, more of them near 0.
std::vector<float> Grid() {
  std::vector<float> x;
  for (int i = -200'000; i < 200'000; ++i) {
    x.push_back(static_cast<float>(i) * 1e-4f);
    x.push_back(static_cast<float>(i) * 3.1e-6f);
  }
  return x;
}

TEST(Lanes, BoundedExpIsRightToWhatItsHeaderSays) {
  const std::vector<float> x = Grid(), y = BoundedExps(x);
  double near_one = 0, anywhere = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double error = std::abs(y[i] / std::exp(static_cast<double>(x[i])) - 1);
    anywhere = std::max(anywhere, error);
    if (std::abs(x[i]) < 2) near_one = std::max(near_one, error);
  }
  EXPECT_LT(near_one, 4e-7);
  EXPECT_LT(anywhere, 3e-6);
}

TEST(Lanes, SigmoidAndTanhMadeOfItAreRightToRounding) {
  const std::vector<float> x = Grid();
  std::vector<float> of_sigmoid(x), of_tanh(x);
  for (float& number : of_sigmoid) number = -number;
  for (float& number : of_tanh) number *= -2;
  of_sigmoid = BoundedExps(of_sigmoid);
  of_tanh = BoundedExps(of_tanh);
  double worst_sigmoid = 0, worst_tanh = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = x[i];
    const float sigmoid = 1 / (1 + of_sigmoid[i]), tanh = (1 - of_tanh[i]) / (1 + of_tanh[i]);
    worst_sigmoid = std::max(worst_sigmoid, std::abs(sigmoid - 1 / (1 + std::exp(-exact))));
    worst_tanh = std::max(worst_tanh, std::abs(tanh - std::tanh(exact)));
  }
  EXPECT_LT(worst_sigmoid, 2e-7);
  EXPECT_LT(worst_tanh, 3e-7);
}

TEST(Lanes, BoundedExpHasEnds) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float low = std::ldexp(1.0f, -30), high = std::ldexp(1.0f, 30);
  EXPECT_EQ(BoundedExps({-infinity, -1e30f, -25.0f, 0.0f, -0.0f, 25.0f, 1e30f, infinity}),
            std::vector<float>({low, low, low, 1, 1, high, high, high}));
  EXPECT_TRUE(std::isnan(BoundedExps({std::numeric_limits<float>::quiet_NaN()})[0]));
  EXPECT_TRUE(std::isnan(BoundedExps({-std::numeric_limits<float>::quiet_NaN()})[0]));
  EXPECT_TRUE(std::isfinite(high * high * high * high));
}

}  // namespace
}  // namespace modlab
