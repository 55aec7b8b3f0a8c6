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

  // Moves parameters->flat() against parameters->flat_gradient().
  void Step(Parameters* parameters);

  // Forgets all jobs but these, given the layout before.
  void SelectJobs(const Parameters& before, const std::vector<int64_t>& keep);

 private:
  int64_t step_ = 0;
  at::Tensor learning_rate_;  // these three laid out as Parameters::flat()
  at::Tensor mean_;
  at::Tensor mean_square_;
};

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_ADAM_H_
