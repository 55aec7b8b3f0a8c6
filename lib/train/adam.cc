#include "lib/train/adam.h"

#include <c10/core/GradMode.h>

#include <cmath>

namespace modlab {
namespace {

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;
constexpr double kEpsilon = 1e-8;

}  // namespace

Adam::Adam(const Parameters& parameters, const std::vector<double>& learning_rates)
    : learning_rate_(parameters.SpreadPerJob(learning_rates)),
      mean_(at::zeros_like(learning_rate_)),
      mean_square_(at::zeros_like(learning_rate_)) {}

void Adam::Step(Parameters* parameters, double factor) {
  at::NoGradGuard no_grad;
  ++step_;
  const at::Tensor& gradient = parameters->flat_gradient();
  mean_.mul_(kBeta1).add_(gradient, 1.0 - kBeta1);
  mean_square_.mul_(kBeta2).addcmul_(gradient, gradient, 1.0 - kBeta2);
  const auto step = static_cast<double>(step_);
  const double correction1 = 1.0 - std::pow(kBeta1, step);
  const double correction2 = 1.0 - std::pow(kBeta2, step);
  at::Tensor change = mean_square_.sqrt();
  change.mul_(1.0 / std::sqrt(correction2)).add_(kEpsilon);
  at::div_out(change, mean_, change);
  parameters->flat().addcmul_(change, learning_rate_, -factor / correction1);
}

void Adam::SelectJobs(const Parameters& before, const std::vector<int64_t>& keep) {
  learning_rate_ = before.SelectJobs(learning_rate_, keep);
  mean_ = before.SelectJobs(mean_, keep);
  mean_square_ = before.SelectJobs(mean_square_, keep);
}

void ClipGradientNorm(Parameters* parameters, double norm_max) {
  at::NoGradGuard no_grad;
  const int64_t jobs = parameters->jobs();
  at::Tensor square_sum = at::zeros({jobs, 1, 1}, parameters->flat().options());
  for (const at::Tensor& tensor : parameters->tensors()) {
    const at::Tensor gradient = tensor.grad().view({jobs, 1, -1});
    square_sum.baddbmm_(gradient, gradient.transpose(1, 2));
  }
  // As PyTorch's clip_grad_norm_ guards against a norm of 0.
  const at::Tensor scale = (norm_max / (square_sum.sqrt() + 1e-6)).clamp_max(1.0);
  for (const at::Tensor& tensor : parameters->tensors()) {
    tensor.grad().view({jobs, 1, -1}).mul_(scale);
  }
}

}  // namespace modlab
