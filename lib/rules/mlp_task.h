// The MLP task: y = alpha_c a + beta_c b for a rule c (docs/benchmark.md,
// section 1).

#ifndef MODLAB_LIB_RULES_MLP_TASK_H_
#define MODLAB_LIB_RULES_MLP_TASK_H_

#include <cstdint>
#include <vector>

#include "lib/rules/random_stream.h"

namespace modlab {

// Immutable once made, so thread-safe.
class MlpTask {
 public:
  // The task of data seed `data_seed` with `rules` rules: alpha = randn(rules),
  // then beta = randn(rules).
  MlpTask(int rules, uint32_t data_seed);

  int rules() const { return static_cast<int>(alpha_.size()); }
  // One number a rule.
  const std::vector<double>& alpha() const { return alpha_; }
  const std::vector<double>& beta() const { return beta_; }

  // Where to write `count` samples.
  struct Batch {
    float* a;       // [count] first number
    float* b;       // [count] second number
    int32_t* rule;  // [count] c
    float* target;  // [count] alpha_c a + beta_c b; the caller takes >= 0 for labels
  };

  // Draws block `block` of the stream `key`. `scale` multiplies a and b before
  // the target is computed (1 in distribution, 2 out of it). `rule_weights`,
  // if given, has one weight a rule; otherwise rules are equally likely.
  void Sample(const StreamKey& key, uint64_t block, float scale,
              const std::vector<double>* rule_weights, int64_t count, const Batch& batch) const;

 private:
  std::vector<double> alpha_;
  std::vector<double> beta_;
};

}  // namespace modlab

#endif  // MODLAB_LIB_RULES_MLP_TASK_H_
