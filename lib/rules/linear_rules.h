// The rules of MLP and MHA: rule c makes alpha_c a + beta_c b of two numbers.

#ifndef MODLAB_LIB_RULES_LINEAR_RULES_H_
#define MODLAB_LIB_RULES_LINEAR_RULES_H_

#include <cstdint>
#include <vector>

#include "lib/rules/task.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Immutable, so thread-safe.
class LinearRules {
 public:
  // Of the config's target, rules and data_seed: alpha = randn(rules), then
  // beta = randn(rules).
  explicit LinearRules(const v1::JobConfig& canonical);

  int32_t count() const { return static_cast<int32_t>(alpha_.size()); }
  // alpha and beta.
  std::vector<Coefficients> coefficients() const;
  // The number that `rule` makes of a and b; for CLASSIFICATION its label, 1
  // where it is not negative and 0 where it is.
  float Target(int32_t rule, float a, float b) const;

 private:
  bool labels_;
  std::vector<double> alpha_;
  std::vector<double> beta_;
};

}  // namespace modlab

#endif  // MODLAB_LIB_RULES_LINEAR_RULES_H_
