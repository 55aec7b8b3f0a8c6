// Sweeps that are small enough for tests of seconds.

#ifndef MODLAB_TESTS_E2E_SWEEPS_H_
#define MODLAB_TESTS_E2E_SWEEPS_H_

#include <string>

namespace modlab::e2e {

// Defaults of a job that trains in a moment, to be completed by a grid.
inline constexpr char kSmallJob[] = R"(
defaults:
  architecture: mlp
  target: regression
  encoder_dim: 4
  model_dim: 8
  iterations: 60
  batch_size: 16
  eval_interval: 20
  eval_batches: 2
  final_batches: 2
  final_batch_size: 100
  activation_batches: 2
  adaptation_draws: 5
  adaptation_batches: 1
)";

// `name` with jobs as above; `grid` is YAML's flow style: "{rules: [2, 4]}".
inline std::string SmallSweep(const std::string& name, const std::string& grid) {
  return "name: " + name + kSmallJob + "grid: " + grid + "\n";
}

}  // namespace modlab::e2e

#endif  // MODLAB_TESTS_E2E_SWEEPS_H_
