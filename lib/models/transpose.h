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

// Swaps what stands kStep to the right of the diagonal, in each square of 2 kStep, with what
// stands kStep below it.
template <int kStep, typename Vector>
MODLAB_INLINE void SwapSquares(Vector* row) {
#define MODLAB_UPPER(j) ((j)&kStep ? kTurn + (j)-kStep : (j))
#define MODLAB_LOWER(j) ((j)&kStep ? kTurn + (j) : (j) + kStep)
  for (int i = 0; i < kTurn; ++i) {
    if ((i & kStep) != 0) continue;
    const Vector a = row[i], b = row[i + kStep];
    row[i] = __builtin_shufflevector(a, b, MODLAB_UPPER(0), MODLAB_UPPER(1), MODLAB_UPPER(2),
                                     MODLAB_UPPER(3), MODLAB_UPPER(4), MODLAB_UPPER(5),
                                     MODLAB_UPPER(6), MODLAB_UPPER(7));
    row[i + kStep] = __builtin_shufflevector(a, b, MODLAB_LOWER(0), MODLAB_LOWER(1),
                                             MODLAB_LOWER(2), MODLAB_LOWER(3), MODLAB_LOWER(4),
                                             MODLAB_LOWER(5), MODLAB_LOWER(6), MODLAB_LOWER(7));
  }
#undef MODLAB_UPPER
#undef MODLAB_LOWER
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
      SwapSquares<4>(row);
      SwapSquares<2>(row);
      SwapSquares<1>(row);
      for (int64_t k = 0; k < kTurn; ++k) {
        std::memcpy(to + (j + k) * kRows + i, &row[k], sizeof row[k]);
      }
    }
  }
}

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_TRANSPOSE_H_
