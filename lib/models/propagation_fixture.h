// For tests of functions that are written by hand in both directions: what goes through
// them forth and back.

#ifndef MODLAB_LIB_MODELS_PROPAGATION_FIXTURE_H_
#define MODLAB_LIB_MODELS_PROPAGATION_FIXTURE_H_

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace modlab {

using Tensors = std::vector<at::Tensor>;
using Function = std::function<at::Tensor(const Tensors&)>;

inline Tensors Random(const std::vector<std::vector<int64_t>>& sizes) {
  Tensors tensors;
  for (const std::vector<int64_t>& size : sizes) tensors.push_back(at::randn(size, at::kDouble));
  return tensors;
}

// What `function` makes of `arguments`, then the gradients of a sum of it with unequal
// weights by each of them.
inline Tensors Propagate(const Function& function, const Tensors& arguments) {
  Tensors leaves;
  for (const at::Tensor& argument : arguments) {
    leaves.push_back(argument.detach().clone().set_requires_grad(true));
  }
  const at::Tensor output = function(leaves);
  const at::Tensor weights = at::cos(at::arange(output[0].numel(), output.options()));
  (output * weights.view(output[0].sizes())).sum().backward();
  Tensors result = {output.detach()};
  for (const at::Tensor& leaf : leaves) result.push_back(leaf.grad());
  return result;
}

inline void ExpectNear(const Tensors& got, const Tensors& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].sizes(), want[i].sizes()) << i;
    if (want[i].numel() == 0) continue;
    const at::Tensor scale = want[i].abs().max().clamp_min(1.0);
    EXPECT_LT(((got[i] - want[i]).abs().max() / scale).item<double>(), tolerance) << i;
  }
}

inline Tensors To(at::ScalarType type, Tensors tensors) {
  for (at::Tensor& tensor : tensors) tensor = tensor.to(type);
  return tensors;
}

// The fast form agrees with the composed one, and gives a job alone the bits that it has
// in the gang. Rounding to float may bend another number where there is a ReLU.
inline void ExpectSame(const Function& fast, const Function& composed, const Tensors& arguments,
                       bool relu = false) {
  const Tensors want = Propagate(composed, arguments);
  ExpectNear(Propagate(fast, arguments), want, 1e-12);
  const Tensors floats = To(at::kFloat, arguments);
  const Tensors gang = Propagate(fast, floats);
  if (relu) {
    ExpectNear(To(at::kDouble, {gang[0]}), {want[0]}, 2e-4);
  } else {
    ExpectNear(To(at::kDouble, gang), want, 2e-4);
  }
  for (int64_t job = 0; job < arguments[0].size(0); ++job) {
    Tensors alone;
    for (const at::Tensor& argument : floats) alone.push_back(argument.narrow(0, job, 1));
    const Tensors result = Propagate(fast, alone);
    for (size_t i = 0; i < result.size(); ++i) {
      EXPECT_TRUE(at::equal(result[i][0], gang[i][job])) << i;
    }
  }
}

// [J, R, T]
inline at::Tensor RandomRules(int64_t jobs, int64_t rules, int64_t columns) {
  return at::one_hot(at::randint(rules, {jobs, columns}), rules)
      .transpose(1, 2)
      .contiguous()
      .to(at::kDouble);
}

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_PROPAGATION_FIXTURE_H_
