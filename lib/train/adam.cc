#include "lib/train/adam.h"

#include <c10/core/GradMode.h>

#include <cmath>
#include <cstdint>

#include "lib/train/adam_kernel.h"

namespace modlab {
namespace {

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;
constexpr double kEpsilon = 1e-8;

}  // namespace

Adam::Adam(const Parameters& parameters, const std::vector<double>& learning_rates)
    : learning_rate_(at::tensor(learning_rates).to(parameters.flat().options()).unsqueeze(1)),
      mean_(at::zeros_like(parameters.flat())),
      mean_square_(at::zeros_like(parameters.flat())) {}

Adam Adam::Jobs(int64_t first, int64_t jobs) const {
  Adam some = *this;
  for (at::Tensor* tensor : {&some.learning_rate_, &some.mean_, &some.mean_square_}) {
    *tensor = tensor->narrow(0, first, jobs);
  }
  return some;
}

void Adam::Step(int64_t step, double factor, Parameters* parameters) {
  at::NoGradGuard no_grad;
  const double correction1 = 1.0 - std::pow(kBeta1, static_cast<double>(step));
  const double correction2 = 1.0 - std::pow(kBeta2, static_cast<double>(step));
  const double step_scale = factor / correction1, root_scale = 1.0 / std::sqrt(correction2);
  const at::Tensor &flat = parameters->flat(), &gradient = parameters->flat_gradient();
  if (!flat.is_cpu()) {
    mean_.mul_(kBeta1).add_(gradient, 1.0 - kBeta1);
    mean_square_.mul_(kBeta2).addcmul_(gradient, gradient, 1.0 - kBeta2);
    const at::Tensor root = mean_square_.sqrt().mul_(root_scale).add_(kEpsilon);
    flat.addcmul_(at::div(mean_, root), learning_rate_, -step_scale);
    return;
  }
  const int64_t numbers = flat.size(1);
  AdamStep constants;
  constants.beta1 = static_cast<float>(kBeta1);
  constants.beta2 = static_cast<float>(kBeta2);
  constants.epsilon = static_cast<float>(kEpsilon);
  constants.root_scale = static_cast<float>(root_scale);
  for (int64_t j = 0; j < flat.size(0); ++j) {
    const double learning_rate = learning_rate_.data_ptr<float>()[j];
    constants.step_size = static_cast<float>(learning_rate * step_scale);
    StepAdam(constants, numbers, gradient.data_ptr<float>() + j * numbers,
             flat.data_ptr<float>() + j * numbers, mean_.data_ptr<float>() + j * numbers,
             mean_square_.data_ptr<float>() + j * numbers);
  }
}

void Adam::SelectJobs(const std::vector<int64_t>& keep) {
  learning_rate_ = modlab::SelectJobs(learning_rate_, keep);
  mean_ = modlab::SelectJobs(mean_, keep);
  mean_square_ = modlab::SelectJobs(mean_square_, keep);
}

void ClipGradientNorm(Parameters* parameters, double norm_max) {
  at::NoGradGuard no_grad;
  const at::Tensor gradient = parameters->flat_gradient().unsqueeze(1);  // [J, 1, numbers]
  const at::Tensor norm = at::bmm(gradient, gradient.transpose(1, 2)).sqrt();
  // As PyTorch's clip_grad_norm_ guards against a norm of 0.
  parameters->flat_gradient().mul_((norm_max / (norm + 1e-6)).clamp_max(1.0).squeeze(-1));
}

}  // namespace modlab
