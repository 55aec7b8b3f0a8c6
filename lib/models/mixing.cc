#include "lib/models/mixing.h"

#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>

#include "lib/models/job_tensor.h"
#include "lib/models/mixing_kernel.h"

namespace modlab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// `out` is what Mix() and MixScored() return.
template <typename Real>
Mixing<Real> MixingOf(const MixingSizes& sizes, int64_t job, const at::Tensor& hidden,
                      const at::Tensor& score_weight, const at::Tensor& score_bias,
                      const at::Tensor& out) {
  Mixing<Real> mixing;
  mixing.hidden = JobOf<Real>(hidden, job);
  mixing.score_weight = JobOf<Real>(score_weight, job);
  mixing.score_bias = JobOf<Real>(score_bias, job);
  mixing.mixed = JobOf<Real>(out, job);
  mixing.p = mixing.mixed + sizes.modules * sizes.units * sizes.columns;
  return mixing;
}

class MixFunction : public torch::autograd::Function<MixFunction> {
 public:
  // With p, or with the two of the scores; the rest is empty, as before LibTorch 2 a
  // Function takes no undefined tensors.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden, const at::Tensor& p,
                            const at::Tensor& score_weight, const at::Tensor& score_bias) {
    const bool scored = p.numel() == 0;
    const at::Tensor& by_module = scored ? score_weight : p;
    const int64_t jobs = hidden.size(0), modules = by_module.size(1), rows = hidden.size(1);
    const MixingSizes sizes{modules, rows / modules, hidden.size(2)};
    const at::Tensor out = at::empty({jobs, rows + modules, sizes.columns}, hidden.options());
    if (!scored) out.narrow(1, rows, modules).copy_(p);
    AT_DISPATCH_FLOATING_TYPES(hidden.scalar_type(), "Mix", [&] {
      for (int64_t j = 0; j < jobs; ++j) {
        Mix(sizes, MixingOf<scalar_t>(sizes, j, hidden, score_weight, score_bias, out));
      }
    });
    context->save_for_backward({hidden, score_weight, score_bias, out});
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list d_outputs) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &hidden = saved[0], &score_weight = saved[1], &score_bias = saved[2];
    const at::Tensor d_out = d_outputs[0].contiguous();
    const int64_t jobs = hidden.size(0), rows = hidden.size(1);
    const int64_t modules = d_out.size(1) - rows;
    const MixingSizes sizes{modules, rows / modules, hidden.size(2)};
    const at::Tensor d_hidden = at::empty_like(hidden);
    const at::Tensor d_p = d_out.narrow(1, rows, modules).clone(at::MemoryFormat::Contiguous);
    const bool scored = score_weight.numel() > 0;
    const at::Tensor d_weight = ZerosLike(score_weight);
    const at::Tensor d_bias = ZerosLike(score_bias);
    AT_DISPATCH_FLOATING_TYPES(hidden.scalar_type(), "MixBackward", [&] {
      for (int64_t j = 0; j < jobs; ++j) {
        MixingGradient<scalar_t> gradient;
        gradient.mixed = JobOf<scalar_t>(d_out, j);
        gradient.p = JobOf<scalar_t>(d_p, j);
        gradient.hidden = JobOf<scalar_t>(d_hidden, j);
        gradient.score_weight = JobOf<scalar_t>(d_weight, j);
        gradient.score_bias = JobOf<scalar_t>(d_bias, j);
        MixBackward(sizes, MixingOf<scalar_t>(sizes, j, hidden, score_weight, score_bias, saved[3]),
                    gradient);
      }
    });
    if (!scored) return {d_hidden, d_p, {}, {}};
    return {d_hidden, {}, d_weight, d_bias};
  }
};

}  // namespace

at::Tensor Mix(const at::Tensor& hidden, const at::Tensor& p) {
  if (!hidden.is_cpu()) return ComposedMix(hidden, p);
  const at::Tensor none = at::empty({0}, hidden.options());
  return MixFunction::apply(hidden.contiguous(), p, none, none);
}

at::Tensor MixScored(const at::Tensor& hidden, const at::Tensor& score_weight,
                     const at::Tensor& score_bias) {
  if (!hidden.is_cpu()) return ComposedMixScored(hidden, score_weight, score_bias);
  return MixFunction::apply(hidden.contiguous(), at::empty({0}, hidden.options()),
                            ByJob(score_weight), ByJob(score_bias));
}

at::Tensor ComposedMix(const at::Tensor& hidden, const at::Tensor& p) {
  const int64_t jobs = p.size(0), modules = p.size(1), columns = p.size(2);
  const at::Tensor mixed = hidden.reshape({jobs, modules, -1, columns}) * p.unsqueeze(2);
  return at::cat({mixed.view({jobs, -1, columns}), p}, 1);
}

at::Tensor ComposedMixScored(const at::Tensor& hidden, const at::Tensor& score_weight,
                             const at::Tensor& score_bias) {
  const int64_t jobs = score_weight.size(0), modules = score_weight.size(1);
  const at::Tensor units = hidden.reshape({jobs, modules, -1, hidden.size(2)});
  const at::Tensor scores = (units * score_weight.unsqueeze(-1)).sum(2) + score_bias.unsqueeze(-1);
  return ComposedMix(hidden, at::softmax(scores, 1));
}

}  // namespace modlab
