// Turns matrices of numbers so that rows become columns, by shuffles of whole vectors. Pure,
// thread-safe; arrays must not overlap.

#ifndef MODLAB_LIB_MODELS_TRANSPOSE_H_
#define MODLAB_LIB_MODELS_TRANSPOSE_H_

#include <cstdint>
#include <cstring>

#include "lib/models/vector_math.h"

namespace modlab {

// to[j, i] = from[i, j] for i below `rows` and j below `columns`. Rows of `from` are
// `from_stride` apart, those of `to` `to_stride`.
void Transpose(int64_t rows, int64_t columns, const float* from, int64_t from_stride, float* to,
               int64_t to_stride);
void Transpose(int64_t rows, int64_t columns, const double* from, int64_t from_stride, double* to,
               int64_t to_stride);

// What follows is for functions marked MODLAB_VECTOR_CLONES.

// Numbers that are turned at once: blocks are this wide and high.
inline constexpr int64_t kTurn = 8;

// Eight numbers that compilers keep in a vector, or in several.
template <typename Real>
struct Eight {
  typedef Real Vector __attribute__((vector_size(kTurn * sizeof(Real))));
};

// Pairs of rows are woven together: numbers, then pairs of numbers, then halves. Each weaving
// is one instruction of AVX a vector.
template <typename Vector>
MODLAB_INLINE void Turn(Vector* row) {
  Vector numbers[kTurn], pairs[kTurn];
  for (int i = 0; i < kTurn; i += 2) {
    const Vector a = row[i], b = row[i + 1];
    numbers[i] = __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
    numbers[i + 1] = __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < kTurn; i += 4) {
    for (int k = 0; k < 2; ++k) {
      const Vector a = numbers[i + k], b = numbers[i + k + 2];
      pairs[i + 2 * k] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
      pairs[i + 2 * k + 1] = __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int i = 0; i < 4; ++i) {
    const Vector a = pairs[i], b = pairs[i + 4];
    row[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
    row[i + 4] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

// One block; as Transpose().
template <typename Real>
MODLAB_INLINE void TurnBlock(const Real* __restrict from, int64_t from_stride, Real* __restrict to,
                             int64_t to_stride) {
  typename Eight<Real>::Vector row[kTurn];
  for (int64_t k = 0; k < kTurn; ++k) std::memcpy(&row[k], from + k * from_stride, sizeof row[k]);
  Turn(row);
  for (int64_t k = 0; k < kTurn; ++k) std::memcpy(to + k * to_stride, &row[k], sizeof row[k]);
}

// The same for dense arrays whose sizes are multiples of kTurn.
template <int64_t kRows, int64_t kColumns, typename Real>
MODLAB_INLINE void TransposeDense(const Real* __restrict from, Real* __restrict to) {
  static_assert(kRows % kTurn == 0 && kColumns % kTurn == 0, "blocks are whole");
  for (int64_t i = 0; i < kRows; i += kTurn) {
    for (int64_t j = 0; j < kColumns; j += kTurn) {
      TurnBlock(from + i * kColumns + j, kColumns, to + j * kRows + i, kRows);
    }
  }
}

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_TRANSPOSE_H_
