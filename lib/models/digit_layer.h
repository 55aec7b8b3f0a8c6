// An MLP's two digits through their encoder and the modules' first layer, part of the
// graph that backward() goes through. digit_kernel.h says how that is done without their
// products.

#ifndef MODLAB_LIB_MODELS_DIGIT_LAYER_H_
#define MODLAB_LIB_MODELS_DIGIT_LAYER_H_

#include <ATen/ATen.h>

namespace modlab {

// J jobs, e units of the digit encoder's first layer, R rules, U units of the modules, T
// columns.
struct DigitLayerInput {
  at::Tensor slope;   // [J, e, 1] the digit encoder's first layer: weight
  at::Tensor offset;  // [J, e] and bias
  at::Tensor weight;  // [J, 2e + R, U] as FoldInputs() makes it
  at::Tensor digits;  // [J, 2, T]
  at::Tensor rule;    // [J, R, T] one-hot
  // Undefined: all units compute all columns. Else [J, G + 1], int64, on the CPU, as in
  // LayerInput: group g of U / G units computes its own columns alone.
  at::Tensor columns = {};
};

// [J, U, T] behind the ReLU; with `columns` [J, U / G, T]. Differentiable once by slope,
// offset and weight. Each job is computed alone. Thread-safe. Elsewhere than on the CPU
// composed of LibTorch's operations.
at::Tensor DigitLayer(const DigitLayerInput& input);

// The same on any device. Not with `columns`.
at::Tensor ComposedDigitLayer(const DigitLayerInput& input);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_DIGIT_LAYER_H_
