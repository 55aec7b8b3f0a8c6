#include "lib/rules/numpy_random.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace modlab {

RandomState::RandomState(uint32_t seed) : bits_(seed) {}

double RandomState::Uniform() {
  const auto high = static_cast<double>(bits_() >> 5);  // 27 bits
  const auto low = static_cast<double>(bits_() >> 6);   // 26 bits
  return (high * 67108864.0 + low) / 9007199254740992.0;
}

double RandomState::Normal() {
  if (has_cached_normal_) {
    has_cached_normal_ = false;
    return cached_normal_;
  }
  // A point in the unit disc, not its centre.
  double x = 0.0;
  double y = 0.0;
  double square = 0.0;
  do {
    x = 2.0 * Uniform() - 1.0;
    y = 2.0 * Uniform() - 1.0;
    square = x * x + y * y;
  } while (square >= 1.0 || square == 0.0);
  const double factor = std::sqrt(-2.0 * std::log(square) / square);
  cached_normal_ = factor * x;
  has_cached_normal_ = true;
  return factor * y;
}

std::vector<double> RandomState::Normals(int64_t count) {
  std::vector<double> values(static_cast<size_t>(count));
  for (double& value : values) value = Normal();
  return values;
}

std::vector<double> RandomState::DirichletOnes(int size) {
  std::vector<double> values(static_cast<size_t>(size));
  double sum = 0.0;
  for (double& value : values) {
    value = -std::log(1.0 - Uniform());  // a gamma variate of shape 1
    sum += value;
  }
  // Not divided by the sum: numpy's last bits come from the product.
  const double inverse = 1.0 / sum;
  for (double& value : values) value *= inverse;
  return values;
}

}  // namespace modlab
