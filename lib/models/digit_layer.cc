#include "lib/models/digit_layer.h"

#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <cstdint>

#include "lib/models/digit_kernel.h"
#include "lib/models/job_tensor.h"
#include "lib/models/layer.h"

namespace modlab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

int64_t GroupsOf(const at::Tensor& columns) {
  return columns.numel() > 0 ? columns.size(1) - 1 : 1;
}

// Calls visit(sizes, lines) for each job; y [J, units of a group, T].
template <typename Real, typename Visit>
void ForEachJob(const DigitLayerInput& in, const at::Tensor& y, const Visit& visit) {
  const std::array<int64_t, 2> all = {0, in.digits.size(2)};
  DigitSizes sizes;
  sizes.hinges = in.slope.size(1);
  sizes.rules = in.rule.size(1);
  sizes.units = in.weight.size(2);
  sizes.columns = in.digits.size(2);
  sizes.groups = GroupsOf(in.columns);
  for (int64_t job = 0; job < y.size(0); ++job) {
    sizes.begins = in.columns.numel() > 0 ? JobOf<int64_t>(in.columns, job) : all.data();
    visit(job, sizes,
          DigitLines<Real>{JobOf<Real>(in.slope, job), JobOf<Real>(in.offset, job),
                           JobOf<Real>(in.weight, job), JobOf<Real>(in.digits, job),
                           JobOf<Real>(in.rule, job), JobOf<Real>(y, job)});
  }
}

class DigitLayerFunction : public torch::autograd::Function<DigitLayerFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& slope,
                            const at::Tensor& offset, const at::Tensor& weight,
                            const at::Tensor& digits, const at::Tensor& rule,
                            const at::Tensor& columns) {
    const at::Tensor y = at::empty(
        {weight.size(0), weight.size(2) / GroupsOf(columns), digits.size(2)}, digits.options());
    AT_DISPATCH_FLOATING_TYPES(y.scalar_type(), "DigitLayer", [&] {
      ForEachJob<scalar_t>({slope, offset, weight, digits, rule, columns}, y,
                           [](int64_t, const DigitSizes& sizes, const DigitLines<scalar_t>& lines) {
                             DigitForward(sizes, lines);
                           });
    });
    context->save_for_backward({slope, offset, weight, digits, rule, columns, y});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list d_outputs) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &slope = saved[0], &offset = saved[1], &weight = saved[2], &y = saved[6];
    const at::Tensor d_y = ByJob(d_outputs[0]);
    const at::Tensor d_slope = ZerosLike(slope), d_offset = ZerosLike(offset);
    const at::Tensor d_weight = at::empty(weight.sizes(), weight.options());
    AT_DISPATCH_FLOATING_TYPES(y.scalar_type(), "DigitLayerBackward", [&] {
      ForEachJob<scalar_t>(
          {slope, offset, weight, saved[3], saved[4], saved[5]}, y,
          [&](int64_t job, const DigitSizes& sizes, const DigitLines<scalar_t>& lines) {
            DigitBackward(sizes, lines,
                          DigitGradient<scalar_t>{
                              JobOf<scalar_t>(d_y, job), JobOf<scalar_t>(d_slope, job),
                              JobOf<scalar_t>(d_offset, job), JobOf<scalar_t>(d_weight, job)});
          });
    });
    return {d_slope, d_offset, d_weight, {}, {}, {}};
  }
};

}  // namespace

at::Tensor DigitLayer(const DigitLayerInput& in) {
  if (!in.digits.is_cpu()) return ComposedDigitLayer(in);
  return DigitLayerFunction::apply(ByJob(in.slope), ByJob(in.offset), ByJob(in.weight),
                                   ByJob(in.digits), ByJob(in.rule),
                                   in.columns.defined() ? in.columns : at::empty({0}, at::kLong));
}

at::Tensor ComposedDigitLayer(const DigitLayerInput& in) {
  const int64_t jobs = in.slope.size(0), columns = in.digits.size(2);
  const at::Tensor hidden = at::relu(in.digits.unsqueeze(2) * in.slope.view({jobs, 1, -1, 1}) +
                                     in.offset.view({jobs, 1, -1, 1}))
                                .view({jobs, -1, columns});  // [J, 2e, T]
  return ComposedLayer(
      {in.weight.transpose(1, 2).unsqueeze(1), {}, hidden, /*relu=*/true, {}, in.rule});
}

}  // namespace modlab
