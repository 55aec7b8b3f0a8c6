// Attention of section 2 for a gang of jobs, part of the graph that backward() goes
// through.

#ifndef MODLAB_LIB_MODELS_ATTENTION_H_
#define MODLAB_LIB_MODELS_ATTENTION_H_

#include <ATen/ATen.h>

#include "lib/models/attention_kernel.h"

namespace modlab {

// [J, shape.projected_rows(), T] -> [J, shape.joined_rows(), T], contiguous; float or
// double. On the processor by the kernel, each job alone, so that gang mates change no
// bit; elsewhere AttendComposed(). Thread-safe.
at::Tensor Attend(const at::Tensor& projected, const AttentionShape& shape);

// The same on any device, from LibTorch's operations.
at::Tensor AttendComposed(const at::Tensor& projected, const AttentionShape& shape);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_ATTENTION_H_
