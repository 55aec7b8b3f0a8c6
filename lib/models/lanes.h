// Sixteen numbers side by side, for kernels that have to say themselves what stays in
// registers: the compiler turns each operation into as few vector instructions as the
// machine has it. MODLAB_VECTOR_CLONES and the compile options are vector_math.h's.
//
// Pure, thread-safe.

#ifndef MODLAB_LIB_MODELS_LANES_H_
#define MODLAB_LIB_MODELS_LANES_H_

#include <cmath>
#include <cstdint>
#include <cstring>

#include "lib/models/vector_math.h"

namespace modlab {

constexpr int kLanes = 16;

template <typename Number>
using Lanes __attribute__((vector_size(kLanes * sizeof(Number)))) = Number;

// Of and to an array, which need not be aligned.
template <typename Number>
MODLAB_INLINE Lanes<Number> Load(const Number* from) {
  Lanes<Number> lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

template <typename Numbers, typename Number>
MODLAB_INLINE void Store(const Numbers& lanes, Number* to) {
  std::memcpy(to, &lanes, sizeof lanes);
}

// 2^y for -126 <= y <= 126. Relative error below 3e-7. NaN gives NaN.
MODLAB_INLINE Lanes<float> PowerOfTwo(const Lanes<float>& y) {
  using Bits = Lanes<int32_t>;
  // y = n + r, |r| <= 1/2. Adding 1.5 * 2^23 rounds to the integer n and leaves it in the
  // lowest bits.
  constexpr float kRound = 12582912.0f;
  const Lanes<float> shifted = y + kRound;
  const Lanes<float> r = y - (shifted - kRound);
  // 2^r, of all polynomials that are 1 at 0 the one with the least relative error.
  Lanes<float> p = 1.33374135e-3f * r + 9.66816675e-3f;
  p = p * r + 5.55049032e-2f;
  p = p * r + 2.40223035e-1f;
  p = p * r + 6.93147123e-1f;
  p = p * r + 1.0f;
  // Times 2^n: n is added to the exponent.
  return reinterpret_cast<Lanes<float>>(reinterpret_cast<Bits>(p) +
                                        (reinterpret_cast<Bits>(shifted) << 23));
}

// e^(scale x), but between 2^-30 and 2^30; `scale` is a constant. For what 1 is then added
// to: the relative error is below 4e-7 near 1 and 3e-6 at the ends. The product of four is
// finite, so that one division can serve several. NaN gives NaN.
MODLAB_INLINE Lanes<float> BoundedExp(const Lanes<float>& x, float scale) {
  Lanes<float> y = x * (scale * 1.44269504f);
  y = y < -30.0f ? Lanes<float>{} - 30.0f : y;
  y = y > 30.0f ? Lanes<float>{} + 30.0f : y;
  return PowerOfTwo(y);
}

// The same, between e^-150 and e^150.
MODLAB_INLINE Lanes<double> BoundedExp(Lanes<double> x, double scale) {
  for (int i = 0; i < kLanes; ++i) {
    double y = x[i] * scale;
    y = y < -150.0 ? -150.0 : y;
    y = y > 150.0 ? 150.0 : y;
    x[i] = std::exp(y);
  }
  return x;
}

// e^x for x <= 0, of a softmax: what is below 2^-126 is 2^-126. Relative error below 4e-7
// near 1. NaN gives NaN.
MODLAB_INLINE Lanes<float> ExpOfNegative(const Lanes<float>& x) {
  const Lanes<float> y = x * 1.44269504f;
  return PowerOfTwo(y < -126.0f ? Lanes<float>{} - 126.0f : y);
}

MODLAB_INLINE Lanes<double> ExpOfNegative(Lanes<double> x) {
  for (int i = 0; i < kLanes; ++i) x[i] = std::exp(x[i]);
  return x;
}

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_LANES_H_
