#include "lib/models/matrix.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/models/transpose.h"

namespace modlab {
namespace {

// BLAS as Fortran knows it.
template <typename Real>
using Gemm = void(const char* transpose_a, const char* transpose_b, const int* m, const int* n,
                  const int* k, const Real* alpha, const Real* a, const int* lda, const Real* b,
                  const int* ldb, const Real* beta, Real* c, const int* ldc);

// A view of `matrix` as a tensor.
template <typename Real>
at::Tensor Wrap(const Matrix<Real>& matrix, int64_t rows, int64_t columns,
                const at::TensorOptions& options) {
  const int64_t down = matrix.transposed ? 1 : matrix.stride;
  const int64_t right = matrix.transposed ? matrix.stride : 1;
  return at::from_blob(const_cast<void*>(static_cast<const void*>(matrix.data)), {rows, columns},
                       {down, right}, options);
}

// `gemm` is null where LibTorch's BLAS is part of it and not to be seen from outside.
template <typename Real>
void Call(Gemm<Real>* gemm, int64_t rows, int64_t columns, int64_t depth,
          const Matrix<const Real>& a, const Matrix<const Real>& b, Real scale,
          const Matrix<Real>& c) {
  if (gemm == nullptr) {
    at::NoGradGuard no_grad;
    const auto options = at::TensorOptions().dtype(c10::CppTypeToScalarType<Real>::value);
    const at::Tensor of_a = Wrap(a, rows, depth, options), of_b = Wrap(b, depth, columns, options);
    at::Tensor to = Wrap(c, rows, columns, options);
    if (scale == Real{0}) {
      at::mm_out(to, of_a, of_b);
    } else {
      to.addmm_(of_a, of_b, scale);
    }
    return;
  }
  // BLAS counts columns first, so that it is given the transposed product. It insists on
  // strides of at least a row, where there is but one too.
  const auto form = [](const Matrix<const Real>& matrix) { return matrix.transposed ? "T" : "N"; };
  const auto stride = [](int64_t step, int64_t width) {
    return static_cast<int>(std::max({step, width, int64_t{1}}));
  };
  const int m = static_cast<int>(columns), n = static_cast<int>(rows), k = static_cast<int>(depth);
  const int step_a = stride(a.stride, a.transposed ? rows : depth);
  const int step_b = stride(b.stride, b.transposed ? depth : columns);
  const int step_c = stride(c.stride, columns);
  const Real one = 1;
  gemm(form(b), form(a), &m, &n, &k, &one, b.data, &step_b, a.data, &step_a, &scale, c.data,
       &step_c);
}

// Where the rows of both operands lie along the sum, as in gradients of weights, all of
// OpenBLAS's kernels are a fifth slower than else. So the smaller one is turned first, unless
// the product is so small that this takes longer.
constexpr int64_t kTurnedMin = 32;  // of the larger of rows and columns
// Rows that are a power of two apart would all fall into the same places of the cache.
constexpr int64_t kTurnedPadding = 16;

// Memory of a thread for an operand that it turns.
template <typename Real>
Real* TurnedSpace(int64_t numbers) {
  thread_local std::vector<Real> space;
  if (space.size() < static_cast<size_t>(numbers)) space.resize(static_cast<size_t>(numbers));
  return space.data();
}

// `matrix` [rows, columns], whose rows lie along, as a matrix whose columns do.
template <typename Real>
Matrix<const Real> Turned(const Matrix<const Real>& matrix, int64_t rows, int64_t columns) {
  const int64_t stride = rows + kTurnedPadding;
  Real* const to = TurnedSpace<Real>(columns * stride);
  Transpose(rows, columns, matrix.data, matrix.stride, to, stride);
  return Matrix<const Real>{to, stride}.t();
}

// OpenBLAS has kernels for products of at most 100^3 multiply-adds that do not copy
// their operands first, and are a fifth faster than those for large ones. So a product
// is made of blocks of this many columns, and as many rows and as much depth as fit.
constexpr int64_t kSmall = 1'000'000;
constexpr int64_t kBlockColumns = 64;
constexpr int64_t kRowsMin = 16;

template <typename Real>
void MultiplyBy(Gemm<Real>* gemm, int64_t rows, int64_t columns, int64_t depth,
                const Matrix<const Real>& a, const Matrix<const Real>& b, Real scale,
                const Matrix<Real>& c) {
  if (rows == 0 || columns == 0) return;
  if (c.transposed) {
    return MultiplyBy(gemm, columns, rows, depth, b.t(), a.t(), scale, c.t());
  }
  if (!a.transposed && b.transposed && std::max(rows, columns) >= kTurnedMin) {
    if (columns <= rows) {
      return MultiplyBy(gemm, rows, columns, depth, a, Turned(b.t(), columns, depth).t(), scale, c);
    }
    return MultiplyBy(gemm, rows, columns, depth, Turned(a, rows, depth), b, scale, c);
  }
  if (rows * columns * depth <= kSmall || rows < kRowsMin) {
    return Call(gemm, rows, columns, depth, a, b, scale, c);
  }
  const int64_t parts = depth * kRowsMin * kBlockColumns / kSmall + 1;
  const int64_t block_depth = (depth + parts - 1) / parts;
  const int64_t fit = kSmall / (kBlockColumns * block_depth);
  const int64_t block_rows = fit >= rows ? rows : fit / kRowsMin * kRowsMin;
  for (int64_t j = 0; j < columns; j += kBlockColumns) {
    for (int64_t i = 0; i < rows; i += block_rows) {
      for (int64_t k = 0; k < depth; k += block_depth) {
        Call(gemm, std::min(block_rows, rows - i), std::min(kBlockColumns, columns - j),
             std::min(block_depth, depth - k), a.From(i, k), b.From(k, j), k == 0 ? scale : Real{1},
             c.From(i, j));
      }
    }
  }
}

}  // namespace

void Multiply(int64_t rows, int64_t columns, int64_t depth, const Matrix<const float>& a,
              const Matrix<const float>& b, float scale, const Matrix<float>& c) {
  static auto* const gemm = reinterpret_cast<Gemm<float>*>(dlsym(RTLD_DEFAULT, "sgemm_"));
  MultiplyBy(gemm, rows, columns, depth, a, b, scale, c);
}

void Multiply(int64_t rows, int64_t columns, int64_t depth, const Matrix<const double>& a,
              const Matrix<const double>& b, double scale, const Matrix<double>& c) {
  static auto* const gemm = reinterpret_cast<Gemm<double>*>(dlsym(RTLD_DEFAULT, "dgemm_"));
  MultiplyBy(gemm, rows, columns, depth, a, b, scale, c);
}

}  // namespace modlab
