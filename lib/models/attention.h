// Attention of section 2 for a gang of jobs, part of the graph that backward() goes
// through.

#ifndef MODLAB_LIB_MODELS_ATTENTION_H_
#define MODLAB_LIB_MODELS_ATTENTION_H_

#include <ATen/ATen.h>

#include <cstdint>

#include "lib/models/attention_kernel.h"

namespace modlab {

struct AttentionInput {
  at::Tensor weight;  // [J, shape.projected_rows(), e]
  at::Tensor bias;    // [J, shape.projected_rows()]
  // [J, e, T], samples in tiles: tiles lie one after the other, each as a batch of so many
  // samples lies by itself.
  at::Tensor tokens;
  int64_t tile = 1;  // samples; T is a multiple of tile * shape.length
};

// What is projected, weight tokens + bias, attended to: [J, shape.joined_rows(), T]; float or
// double. On the processor tile by tile by the kernel, so that no more is projected at a time
// than the cache holds, and each job alone, so that gang mates change no bit; elsewhere
// composed of LibTorch's operations. Differentiable once by weight, bias and tokens.
// Thread-safe.
at::Tensor Attend(const AttentionInput& input, const AttentionShape& shape);

// The same on any device.
at::Tensor ComposedAttend(const AttentionInput& input, const AttentionShape& shape);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_ATTENTION_H_
