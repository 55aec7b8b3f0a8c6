// The layers that the oracles share, as plainly as they read.

#ifndef MODLAB_TESTS_ORACLE_NAIVE_LAYERS_H_
#define MODLAB_TESTS_ORACLE_NAIVE_LAYERS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <string>

namespace modlab {

// One job's tensors by their published names. `x` is [..., in] everywhere.
using Tensors = std::map<std::string, at::Tensor>;

inline at::Tensor Product(const Tensors& tensors, const std::string& name, const at::Tensor& x) {
  return at::matmul(x, tensors.at(name + ".weight").t());
}

inline at::Tensor Linear(const Tensors& tensors, const std::string& name, const at::Tensor& x) {
  return Product(tensors, name, x) + tensors.at(name + ".bias");
}

// A linear layer, ReLU, a linear layer.
inline at::Tensor TwoLayers(const Tensors& tensors, const std::string& name, const at::Tensor& x) {
  return Linear(tensors, name + ".2", at::relu(Linear(tensors, name + ".0", x)));
}

// The same of module m, whose layers stand beside those of the other modules.
inline at::Tensor ModuleTwoLayers(const Tensors& tensors, const std::string& name, int64_t m,
                                  const at::Tensor& x) {
  const auto layer = [&](const std::string& of, const at::Tensor& in) {
    return at::matmul(in, tensors.at(of + ".w")[m]) + tensors.at(of + ".b")[0][m];
  };
  return layer(name + ".2", at::relu(layer(name + ".0", x)));
}

}  // namespace modlab

#endif  // MODLAB_TESTS_ORACLE_NAIVE_LAYERS_H_
