// The MLP task: y = alpha_c a + beta_c b for a rule c (docs/benchmark.md,
// section 1).

#ifndef MODLAB_LIB_RULES_MLP_TASK_H_
#define MODLAB_LIB_RULES_MLP_TASK_H_

#include <cstdint>
#include <vector>

#include "lib/rules/linear_rules.h"
#include "lib/rules/task.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Immutable, so thread-safe. Inputs a and b, one target, samples of length 1.
class MlpTask : public Task {
 public:
  explicit MlpTask(const v1::JobConfig& canonical) : rules_(canonical) {}

  int64_t inputs() const override { return 2; }
  int64_t targets() const override { return 1; }
  std::vector<Coefficients> coefficients() const override { return rules_.coefficients(); }
  void Sample(const SampleRequest& request, const SampleBuffers& buffers) const override;

 private:
  LinearRules rules_;
};

}  // namespace modlab

#endif  // MODLAB_LIB_RULES_MLP_TASK_H_
