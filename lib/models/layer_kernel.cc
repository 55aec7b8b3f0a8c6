#include "lib/models/layer_kernel.h"

#include <cstdint>

#include "lib/models/vector_math.h"

namespace modlab {
namespace {

// Numbers that are added up side by side.
constexpr int kLanes = 32;

template <typename Real>
MODLAB_INLINE void AddBiasTo(int64_t rows, int64_t columns, int64_t stride,
                             const Real* __restrict bias, bool relu, Real* __restrict y) {
  for (int64_t i = 0; i < rows; ++i, y += stride) {
    const Real b = bias != nullptr ? bias[i] : Real{0};
    if (relu) {
      for (int64_t t = 0; t < columns; ++t) {
        const Real z = y[t] + b;
        y[t] = z < Real{0} ? Real{0} : z;  // NaN stays
      }
    } else {
      for (int64_t t = 0; t < columns; ++t) y[t] += b;
    }
  }
}

template <typename Real>
MODLAB_INLINE void Bend(int64_t rows, int64_t columns, int64_t stride, const Real* __restrict y,
                        const Real* __restrict d_y, Real* __restrict d_z) {
  for (int64_t i = 0; i < rows; ++i, y += stride, d_y += stride, d_z += columns) {
    for (int64_t t = 0; t < columns; ++t) d_z[t] = y[t] > Real{0} ? d_y[t] : Real{0};
  }
}

template <typename Real>
MODLAB_INLINE void AddSums(int64_t rows, int64_t columns, int64_t stride, const Real* x,
                           Real* __restrict sums) {
  for (int64_t i = 0; i < rows; ++i, x += stride) sums[i] += RowSum<Real, kLanes>(x, columns);
}

}  // namespace

MODLAB_VECTOR_CLONES
void AddBias(int64_t rows, int64_t columns, int64_t stride, const float* bias, bool relu,
             float* y) {
  AddBiasTo(rows, columns, stride, bias, relu, y);
}

void AddBias(int64_t rows, int64_t columns, int64_t stride, const double* bias, bool relu,
             double* y) {
  AddBiasTo(rows, columns, stride, bias, relu, y);
}

MODLAB_VECTOR_CLONES
void BendGradient(int64_t rows, int64_t columns, int64_t stride, const float* y, const float* d_y,
                  float* d_z) {
  Bend(rows, columns, stride, y, d_y, d_z);
}

void BendGradient(int64_t rows, int64_t columns, int64_t stride, const double* y, const double* d_y,
                  double* d_z) {
  Bend(rows, columns, stride, y, d_y, d_z);
}

MODLAB_VECTOR_CLONES
void AddRowSums(int64_t rows, int64_t columns, int64_t stride, const float* x, float* sums) {
  AddSums(rows, columns, stride, x, sums);
}

void AddRowSums(int64_t rows, int64_t columns, int64_t stride, const double* x, double* sums) {
  AddSums(rows, columns, stride, x, sums);
}

}  // namespace modlab
