// Mixing of a gang's modules before their last layer, part of the graph that
// backward() goes through.

#ifndef MODLAB_LIB_MODELS_MIXING_H_
#define MODLAB_LIB_MODELS_MIXING_H_

#include <ATen/ATen.h>

namespace modlab {

// For `hidden`, [J, M K, T], and p, [J, M, T]: [J, M K + M, T], p_m times each unit of
// module m, and below them p. Differentiable once by both. Each job is computed alone.
// Thread-safe. On the CPU by a kernel of our own; elsewhere composed of LibTorch's
// operations.
at::Tensor Mix(const at::Tensor& hidden, const at::Tensor& p);

// The same where p is the softmax over modules of score_m = weight_m . (units of module
// m) + bias_m, for [J, M, K] and [J, M].
at::Tensor MixScored(const at::Tensor& hidden, const at::Tensor& score_weight,
                     const at::Tensor& score_bias);

// Both on any device.
at::Tensor ComposedMix(const at::Tensor& hidden, const at::Tensor& p);
at::Tensor ComposedMixScored(const at::Tensor& hidden, const at::Tensor& score_weight,
                             const at::Tensor& score_bias);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_MIXING_H_
