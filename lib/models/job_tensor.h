// Tensors with a leading jobs axis as loops over jobs see them.

#ifndef MODLAB_LIB_MODELS_JOB_TENSOR_H_
#define MODLAB_LIB_MODELS_JOB_TENSOR_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <cstring>

#include "lib/models/matrix.h"

namespace modlab {

// Job `job`'s numbers from number `offset` on. Null for an empty tensor.
template <typename Real>
Real* JobOf(const at::Tensor& tensor, int64_t job, int64_t offset = 0) {
  return tensor.numel() > 0 ? tensor.data_ptr<Real>() + job * tensor.stride(0) + offset : nullptr;
}

// Each job's part contiguous. Without LibTorch's operations, which take as long as a small
// product each.
inline at::Tensor ByJob(const at::Tensor& tensor) {
  int64_t step = 1;
  for (int64_t i = tensor.dim() - 1; i > 0 && tensor.numel() > 0; --i) {
    if (tensor.size(i) != 1 && tensor.stride(i) != step) return tensor.contiguous();
    step *= tensor.size(i);
  }
  return tensor;
}

// New zeros on the CPU, at half of what at::zeros() costs.
inline at::Tensor ZerosLike(const at::Tensor& tensor) {
  at::Tensor zeros = at::empty(tensor.sizes(), tensor.options());
  if (zeros.numel() > 0) std::memset(zeros.data_ptr(), 0, zeros.nbytes());
  return zeros;
}

// Before LibTorch 2 a Function takes no undefined tensors: one that is not given is empty, of
// the options of `other`, and by it nothing is returned.
inline at::Tensor Argument(const at::Tensor& tensor, const at::Tensor& other) {
  return tensor.defined() ? ByJob(tensor) : at::empty({0}, other.options());
}
inline at::Tensor Given(const at::Tensor& gradient) {
  return gradient.numel() > 0 ? gradient : at::Tensor();
}

// The matrix of a job and group in [J, G, rows, columns], or [J, rows, columns] for one group,
// which lies there as it is or transposed.
template <typename Real>
Matrix<Real> MatrixOf(const at::Tensor& tensor, int64_t job, int64_t group) {
  const int64_t of_group = tensor.dim() > 3 ? group * tensor.stride(1) : 0;
  Real* const data = tensor.data_ptr<Real>() + job * tensor.stride(0) + of_group;
  if (tensor.stride(-1) == 1) return {data, tensor.stride(-2), false};
  return {data, tensor.stride(-1), true};
}

// The tensor itself, or a copy, of which MatrixOf() can be had.
inline at::Tensor ByMatrix(const at::Tensor& tensor) {
  const int64_t down = tensor.stride(-2), right = tensor.stride(-1);
  const bool lies =
      (right == 1 && down >= tensor.size(-1)) || (down == 1 && right >= tensor.size(-2));
  return lies ? tensor : tensor.contiguous();
}

// A new tensor of the same sizes whose matrices lie as those of `tensor`.
inline at::Tensor LikeMatrices(const at::Tensor& tensor) {
  if (tensor.stride(-1) == 1) return at::empty(tensor.sizes(), tensor.options());
  return at::empty(tensor.transpose(-1, -2).sizes(), tensor.options()).transpose(-1, -2);
}

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_JOB_TENSOR_H_
