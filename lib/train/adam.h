// Adam (Kingma and Ba, 2015) for a gang, one pass over the flat buffer.

#ifndef MODLAB_LIB_TRAIN_ADAM_H_
#define MODLAB_LIB_TRAIN_ADAM_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "lib/models/parameters.h"

namespace modlab {

// betas 0.9 and 0.999, eps 1e-8; no weight decay. (section 3) Not thread-safe.
class Adam {
 public:
  // One step size a job. `parameters` gives the layout.
  Adam(const Parameters& parameters, const std::vector<double>& learning_rates);

  // The jobs [first, first + jobs), which share their running means with this.
  Adam Jobs(int64_t first, int64_t jobs) const;

  // Moves the parameters against gradients that Differentiate() returned, by step sizes
  // multiplied by `factor`. `step` counts from 1. `scale`, [J, 1], multiplies each job's
  // gradients; undefined: nothing does.
  void Step(int64_t step, double factor, const std::vector<at::Tensor>& gradients,
            const at::Tensor& scale, const Parameters& parameters);

  // Forgets all jobs but these.
  void SelectJobs(const std::vector<int64_t>& keep);

  // What a checkpoint keeps: the running means of gradients and of their squares,
  // laid out as Parameters::flat().
  const at::Tensor& mean() const { return mean_; }
  const at::Tensor& mean_square() const { return mean_square_; }

 private:
  at::Tensor learning_rate_;  // [J, 1]
  at::Tensor mean_;
  at::Tensor mean_square_;
};

// What scales every job's gradients down to a norm of at most `norm_max`, over all its
// parameters together, [J, 1]. (section 3, RNN)
at::Tensor ClippingScale(const std::vector<at::Tensor>& gradients, double norm_max);

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_ADAM_H_
