// The MHA task: a token searches the others of its sequence by two keys and
// combines what it finds: y = alpha_c a + beta_c b for its rule c
// (docs/benchmark.md, section 1).

#ifndef MODLAB_LIB_RULES_MHA_TASK_H_
#define MODLAB_LIB_RULES_MHA_TASK_H_

#include <cstdint>
#include <vector>

#include "lib/rules/linear_rules.h"
#include "lib/rules/task.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Immutable, so thread-safe. One target a token, samples of length 2 or more.
//
// Of its inputs a token has for each rule, one rule after the other: first key,
// second key, and the two numbers that others may find in it. A key is
//   search_version 1: one number; the other token with the nearest one is found;
//   search_version 2: two numbers, scaled to length `scale` of the request; the
//     other token with the largest inner product is found.
// Of equals the first token is found. A token uses its own rule's keys.
class MhaTask : public Task {
 public:
  explicit MhaTask(const v1::JobConfig& canonical)
      : rules_(canonical), key_size_(canonical.search_version()) {}

  int64_t inputs() const override { return rules_.count() * inputs_per_rule(); }
  int64_t targets() const override { return 1; }
  std::vector<Coefficients> coefficients() const override { return rules_.coefficients(); }
  void Sample(const SampleRequest& request, const SampleBuffers& buffers) const override;

 private:
  int64_t inputs_per_rule() const { return 2 * key_size_ + 2; }
  // The input in which rule c's key, or found number, `which` (0 or 1) begins.
  int64_t key_input(int64_t c, int64_t which) const {
    return c * inputs_per_rule() + which * key_size_;
  }
  int64_t found_input(int64_t c, int64_t which) const {
    return c * inputs_per_rule() + 2 * key_size_ + which;
  }
  void NormaliseKeys(int64_t tokens, float length, float* input) const;

  LinearRules rules_;
  int64_t key_size_;
};

}  // namespace modlab

#endif  // MODLAB_LIB_RULES_MHA_TASK_H_
