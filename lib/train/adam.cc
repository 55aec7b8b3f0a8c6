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

void Adam::Step(int64_t step, double factor, const std::vector<at::Tensor>& gradients,
                const at::Tensor& scale, const Parameters& parameters) {
  at::NoGradGuard no_grad;
  const double correction1 = 1.0 - std::pow(kBeta1, static_cast<double>(step));
  const double correction2 = 1.0 - std::pow(kBeta2, static_cast<double>(step));
  const double step_scale = factor / correction1, root_scale = 1.0 / std::sqrt(correction2);
  const at::Tensor& flat = parameters.flat();
  const int64_t jobs = flat.size(0);
  if (!flat.is_cpu()) {
    std::vector<at::Tensor> rows;
    for (const at::Tensor& gradient : gradients) rows.push_back(gradient.reshape({jobs, -1}));
    at::Tensor gradient = at::cat(rows, 1);
    if (scale.defined()) gradient.mul_(scale);
    mean_.mul_(kBeta1).add_(gradient, 1.0 - kBeta1);
    mean_square_.mul_(kBeta2).addcmul_(gradient, gradient, 1.0 - kBeta2);
    const at::Tensor root = mean_square_.sqrt().mul_(root_scale).add_(kEpsilon);
    flat.addcmul_(at::div(mean_, root), learning_rate_, -step_scale);
    return;
  }
  AdamStep constants;
  constants.beta1 = static_cast<float>(kBeta1);
  constants.beta2 = static_cast<float>(kBeta2);
  constants.epsilon = static_cast<float>(kEpsilon);
  constants.root_scale = static_cast<float>(root_scale);
  for (int64_t j = 0; j < jobs; ++j) {
    const double learning_rate = learning_rate_.data_ptr<float>()[j];
    constants.step_size = static_cast<float>(learning_rate * step_scale);
    constants.gradient_scale = scale.defined() ? scale.data_ptr<float>()[j] : 1.0F;
    int64_t at = j * flat.size(1);
    for (const at::Tensor& gradient : gradients) {
      const int64_t numbers = gradient.numel() / jobs;
      StepAdam(constants, numbers, gradient.data_ptr<float>() + j * gradient.stride(0),
               flat.data_ptr<float>() + at, mean_.data_ptr<float>() + at,
               mean_square_.data_ptr<float>() + at);
      at += numbers;
    }
  }
}

void Adam::SelectJobs(const std::vector<int64_t>& keep) {
  learning_rate_ = modlab::SelectJobs(learning_rate_, keep);
  mean_ = modlab::SelectJobs(mean_, keep);
  mean_square_ = modlab::SelectJobs(mean_square_, keep);
}

at::Tensor ClippingScale(const std::vector<at::Tensor>& gradients, double norm_max) {
  at::NoGradGuard no_grad;
  const int64_t jobs = gradients.front().size(0);
  at::Tensor square_sum = at::zeros({jobs, 1, 1}, gradients.front().options());
  for (const at::Tensor& gradient : gradients) {
    const at::Tensor row = gradient.reshape({jobs, 1, -1});
    square_sum.baddbmm_(row, row.transpose(1, 2));
  }
  // As PyTorch's clip_grad_norm_ guards against a norm of 0.
  return (norm_max / (square_sum.sqrt() + 1e-6)).clamp_max(1.0).squeeze(-1);
}

}  // namespace modlab
