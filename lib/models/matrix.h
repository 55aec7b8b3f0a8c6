// Products of matrices for loops over jobs: LibTorch's BLAS without what a call of a
// LibTorch operation costs, which for small matrices is more than the arithmetic.

#ifndef MODLAB_LIB_MODELS_MATRIX_H_
#define MODLAB_LIB_MODELS_MATRIX_H_

#include <cstdint>

namespace modlab {

// Rows of numbers behind a pointer; `stride` from row to row. Transposed: element
// (i, j) is where (j, i) would be.
template <typename Real>
struct Matrix {
  Real* data = nullptr;
  int64_t stride = 0;
  bool transposed = false;

  Matrix t() const { return {data, stride, !transposed}; }
  // What begins at that element.
  Matrix From(int64_t row, int64_t column) const {
    return {data + (transposed ? column * stride + row : row * stride + column), stride,
            transposed};
  }
  operator Matrix<const Real>() const { return {data, stride, transposed}; }
};

// c = a b + scale c for a [rows, depth], b [depth, columns] and c, which is not read
// where scale is 0. On the calling thread. Thread-safe.
void Multiply(int64_t rows, int64_t columns, int64_t depth, const Matrix<const float>& a,
              const Matrix<const float>& b, float scale, const Matrix<float>& c);
void Multiply(int64_t rows, int64_t columns, int64_t depth, const Matrix<const double>& a,
              const Matrix<const double>& b, double scale, const Matrix<double>& c);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_MATRIX_H_
