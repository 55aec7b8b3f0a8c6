// Exp for loops that the compiler vectorises: no branches, no calls (for float), so
// such a loop computes each number alike wherever it stands.
//
// A function with such loops is marked MODLAB_VECTOR_CLONES; its source file is
// compiled with -O3 -fno-math-errno -fno-trapping-math. Templates cannot be marked:
// mark a plain function for float that calls a MODLAB_INLINE template.
//
// NaN gives NaN, so that a training that diverges is seen to. Pure, thread-safe.

#ifndef MODLAB_LIB_MODELS_VECTOR_MATH_H_
#define MODLAB_LIB_MODELS_VECTOR_MATH_H_

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__GNUC__)
#define MODLAB_INLINE __attribute__((always_inline)) inline
#else
#define MODLAB_INLINE inline
#endif

// One function compiled for each vector width; the loader picks.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MODLAB_VECTOR_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MODLAB_VECTOR_CLONES
#endif

namespace modlab {

// Relative error below 2e-7. Below -87 it is 0, above 88 it stays at e^88.
MODLAB_INLINE float Exp(float x) {
  constexpr float kLowest = -87.0f, kHighest = 88.0f;
  float y = x < kLowest ? kLowest : x;
  y = y > kHighest ? kHighest : y;
  // y = n ln 2 + r, |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to the integer n and
  // leaves it in the lowest bits.
  constexpr float kRound = 12582912.0f;
  const float shifted = y * 1.44269504f + kRound;
  const float n = shifted - kRound;
  const float r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
  // e^r = 1 + r + r^2 p(r), p interpolated at Chebyshev nodes.
  float p = 1.98909908e-4f;
  p = p * r + 1.393365e-3f;
  p = p * r + 8.33331093e-3f;
  p = p * r + 4.16664649e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * (r * r) + r + 1.0f;
  uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << 23) + 0x3f800000u;  // 2^n
  float scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return x < kLowest ? 0.0f : p * scale;
}

MODLAB_INLINE double Exp(double x) { return std::exp(x); }

// Softmax over `rows` rows that are `stride` apart, of each of kWidth columns; in place.
template <typename Real, int kWidth>
MODLAB_INLINE void Softmax(int64_t rows, int64_t stride, Real* p) {
  Real highest[kWidth], sum[kWidth] = {};
  for (int i = 0; i < kWidth; ++i) highest[i] = p[i];
  for (int64_t row = 1; row < rows; ++row) {
    const Real* const x = p + row * stride;
    for (int i = 0; i < kWidth; ++i) highest[i] = x[i] > highest[i] ? x[i] : highest[i];
  }
  for (int64_t row = 0; row < rows; ++row) {
    Real* const x = p + row * stride;
    for (int i = 0; i < kWidth; ++i) {
      x[i] = Exp(x[i] - highest[i]);
      sum[i] += x[i];
    }
  }
  for (int i = 0; i < kWidth; ++i) sum[i] = Real{1} / sum[i];
  for (int64_t row = 0; row < rows; ++row) {
    Real* const x = p + row * stride;
    for (int i = 0; i < kWidth; ++i) x[i] *= sum[i];
  }
}

// Of an array's beginning, in one fixed order: kLanes sums side by side.
template <typename Real, int kLanes>
MODLAB_INLINE Real RowSum(const Real* x, int64_t count) {
  Real lane[kLanes] = {};
  int64_t begin = 0;
  for (; begin + kLanes <= count; begin += kLanes) {
    for (int i = 0; i < kLanes; ++i) lane[i] += x[begin + i];
  }
  Real sum = 0;
  for (; begin < count; ++begin) sum += x[begin];
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
  }
  return lane[0] + sum;
}

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_VECTOR_MATH_H_
