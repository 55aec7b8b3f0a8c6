#include "lib/models/transpose.h"

namespace modlab {
namespace {

template <typename Real>
MODLAB_INLINE void TransposeTo(int64_t rows, int64_t columns, const Real* from, int64_t from_stride,
                               Real* to, int64_t to_stride) {
  const int64_t whole_rows = rows / kTurn * kTurn, whole_columns = columns / kTurn * kTurn;
  for (int64_t i = 0; i < whole_rows; i += kTurn) {
    for (int64_t j = 0; j < whole_columns; j += kTurn) {
      TurnBlock(from + i * from_stride + j, from_stride, to + j * to_stride + i, to_stride);
    }
  }
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = i < whole_rows ? whole_columns : 0; j < columns; ++j) {
      to[j * to_stride + i] = from[i * from_stride + j];
    }
  }
}

}  // namespace

MODLAB_VECTOR_CLONES
void Transpose(int64_t rows, int64_t columns, const float* from, int64_t from_stride, float* to,
               int64_t to_stride) {
  TransposeTo(rows, columns, from, from_stride, to, to_stride);
}

void Transpose(int64_t rows, int64_t columns, const double* from, int64_t from_stride, double* to,
               int64_t to_stride) {
  TransposeTo(rows, columns, from, from_stride, to, to_stride);
}

}  // namespace modlab
