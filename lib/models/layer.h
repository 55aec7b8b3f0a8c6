// Linear layers of a gang's networks with what follows them at once, part of the
// graph that backward() goes through.

#ifndef MODLAB_LIB_MODELS_LAYER_H_
#define MODLAB_LIB_MODELS_LAYER_H_

#include <ATen/ATen.h>

#include <cstdint>

namespace modlab {

// y = W x + b, then ReLU if asked for. J jobs, G groups of I inputs and O outputs, T
// columns; each group has layers and rows of its own.
struct LayerInput {
  at::Tensor weight;  // [J, G, O, I]; or [J, O, I], one group
  at::Tensor bias;    // [J, G, O] or [J, O]; undefined: none
  at::Tensor x;       // [J, G I, T]
  bool relu = false;
  // Undefined: every group computes all columns from its own rows of x.
  // Else [J, G + 1], int64, on the CPU: group g computes columns [columns[g],
  // columns[g + 1]) alone, from all rows of x, which is [J, I, T].
  at::Tensor columns = {};
  // Undefined: none. Else R more inputs of every group, [J, R, T], after those of x;
  // `weight` has a column for each. There is no gradient by them.
  at::Tensor rule = {};
};

// [J, G O, T]; with `columns` [J, O, T]. Differentiable once by weight, bias and x. Each
// job is computed alone. Thread-safe.
//
// On the CPU each job's products and what follows are done while its numbers are in
// the cache; elsewhere composed of LibTorch's operations.
at::Tensor Layer(const LayerInput& input);

// The same on any device. Not with `columns`.
at::Tensor ComposedLayer(const LayerInput& input);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_LAYER_H_
