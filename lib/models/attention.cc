#include "lib/models/attention.h"

#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>
#include <limits>
#include <vector>

namespace modlab {
namespace {

class KernelAttention : public torch::autograd::Function<KernelAttention> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& projected,
                            const AttentionShape& shape) {
    const int64_t jobs = projected.size(0), columns = projected.size(2);
    const at::Tensor from = projected.contiguous();
    // The weights are not kept: [N, N] for every head of every sample is much to
    // move, and to make them again costs little.
    context->save_for_backward({from});
    context->saved_data["shape"] =
        std::vector<int64_t>{shape.modules, shape.heads, shape.width, shape.length};
    at::Tensor joined = at::empty({jobs, shape.joined_rows(), columns}, from.options());
    AT_DISPATCH_FLOATING_TYPES(from.scalar_type(), "AttentionForward", [&] {
      for (int64_t j = 0; j < jobs; ++j) {
        AttentionForward(shape, columns / shape.length,
                         from.data_ptr<scalar_t>() + j * from.stride(0),
                         joined.data_ptr<scalar_t>() + j * joined.stride(0));
      }
    });
    return joined;
  }

  static std::vector<at::Tensor> backward(torch::autograd::AutogradContext* context,
                                          const std::vector<at::Tensor>& gradients) {
    const std::vector<int64_t> kept = context->saved_data["shape"].toIntVector();
    const AttentionShape shape{kept[0], kept[1], kept[2], kept[3]};
    const at::Tensor projected = context->get_saved_variables()[0];
    const at::Tensor joined_gradient = gradients[0].contiguous();
    at::Tensor gradient = at::empty_like(projected);
    AT_DISPATCH_FLOATING_TYPES(projected.scalar_type(), "AttentionBackward", [&] {
      for (int64_t j = 0; j < projected.size(0); ++j) {
        AttentionBackward(shape, projected.size(2) / shape.length,
                          projected.data_ptr<scalar_t>() + j * projected.stride(0),
                          joined_gradient.data_ptr<scalar_t>() + j * joined_gradient.stride(0),
                          gradient.data_ptr<scalar_t>() + j * gradient.stride(0));
      }
    });
    return {gradient, at::Tensor()};  // none by the shape
  }
};

}  // namespace

at::Tensor Attend(const at::Tensor& projected, const AttentionShape& shape) {
  return projected.device().is_cpu() ? KernelAttention::apply(projected, shape)
                                     : AttendComposed(projected, shape);
}

at::Tensor AttendComposed(const at::Tensor& projected, const AttentionShape& shape) {
  const int64_t jobs = projected.size(0), columns = projected.size(2);
  const int64_t heads = shape.modules * shape.heads, width = shape.width, length = shape.length;
  const int64_t samples = columns / length, batches = jobs * heads * samples;
  const int64_t A = shape.queries();
  const auto part = [&](int64_t index) {  // [J heads, h, N, B]
    return projected.narrow(1, index * A, A).reshape({jobs * heads, width, length, samples});
  };
  const at::Tensor query = part(0).permute({0, 3, 2, 1}).reshape({batches, length, width});
  const at::Tensor key = part(1).permute({0, 3, 1, 2}).reshape({batches, width, length});
  const at::Tensor value = part(2).permute({0, 3, 2, 1}).reshape({batches, length, width});
  const at::Tensor itself = at::eye(length, projected.options()).to(at::kBool);
  const at::Tensor scores =
      at::bmm(query, key).masked_fill(itself, -std::numeric_limits<double>::infinity());
  const at::Tensor output = at::bmm(at::softmax(scores, -1), value)
                                .view({jobs * heads, samples, length, width})
                                .permute({0, 3, 2, 1})
                                .reshape({jobs, shape.modules, shape.heads * width, columns});
  const at::Tensor token = projected.narrow(1, 3 * A, shape.modules * width)
                               .reshape({jobs, shape.modules, width, columns});
  return at::cat({output, token}, 2).view({jobs, shape.joined_rows(), columns});
}

}  // namespace modlab
