// What a layer does to each number beside its product, on the processor. Without
// LibTorch: rows of numbers behind pointers. Pure, thread-safe.

#ifndef MODLAB_LIB_MODELS_LAYER_KERNEL_H_
#define MODLAB_LIB_MODELS_LAYER_KERNEL_H_

#include <cstdint>

namespace modlab {

// y[i, t] += bias[i], then not below 0 if `relu`, for y [rows, columns] whose rows are
// `stride` apart. `bias` may be null.
void AddBias(int64_t rows, int64_t columns, int64_t stride, const float* bias, bool relu, float* y);
void AddBias(int64_t rows, int64_t columns, int64_t stride, const double* bias, bool relu,
             double* y);

// The gradient before the ReLU, d_z [rows, columns], dense, from that behind it: 0 where
// y is. Rows of y and d_y are `stride` apart.
void BendGradient(int64_t rows, int64_t columns, int64_t stride, const float* y, const float* d_y,
                  float* d_z);
void BendGradient(int64_t rows, int64_t columns, int64_t stride, const double* y, const double* d_y,
                  double* d_z);

// Adds the sum of each row of x to `sums`.
void AddRowSums(int64_t rows, int64_t columns, int64_t stride, const float* x, float* sums);
void AddRowSums(int64_t rows, int64_t columns, int64_t stride, const double* x, double* sums);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_LAYER_KERNEL_H_
