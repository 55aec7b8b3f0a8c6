// Turns blocks of numbers so that rows become columns, by shuffles of whole vectors.
// For functions marked MODLAB_VECTOR_CLONES. Pure, thread-safe.

#ifndef MODLAB_LIB_MODELS_TRANSPOSE_H_
#define MODLAB_LIB_MODELS_TRANSPOSE_H_

#include <cstdint>
#include <cstring>

#include "lib/models/vector_math.h"

namespace modlab {

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

// to[j, i] = from[i, j] for arrays of kRows x kColumns, both multiples of kTurn; `to` is
// kColumns x kRows.
template <int64_t kRows, int64_t kColumns, typename Real>
MODLAB_INLINE void Transpose(const Real* __restrict from, Real* __restrict to) {
  static_assert(kRows % kTurn == 0 && kColumns % kTurn == 0, "blocks are whole");
  typename Eight<Real>::Vector row[kTurn];
  for (int64_t i = 0; i < kRows; i += kTurn) {
    for (int64_t j = 0; j < kColumns; j += kTurn) {
      for (int64_t k = 0; k < kTurn; ++k) {
        std::memcpy(&row[k], from + (i + k) * kColumns + j, sizeof row[k]);
      }
      Turn(row);
      for (int64_t k = 0; k < kTurn; ++k) {
        std::memcpy(to + (j + k) * kRows + i, &row[k], sizeof row[k]);
      }
    }
  }
}

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_TRANSPOSE_H_
