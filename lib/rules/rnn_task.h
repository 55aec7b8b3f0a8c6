// The RNN task: a linear system whose matrices are chosen anew by the rule of
// every step (docs/benchmark.md, section 1).

#ifndef MODLAB_LIB_RULES_RNN_TASK_H_
#define MODLAB_LIB_RULES_RNN_TASK_H_

#include <cstdint>
#include <vector>

#include "lib/rules/task.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Immutable, so thread-safe. q = input_dim numbers in, o = order:
//   s_t = x_t B[c_t] + sum_{k=1..o, k<=t} s_{t-k} A[c_t, k-1]   (row vectors)
// The target is s_t, q numbers, or for CLASSIFICATION the label s_t w >= 0.
class RnnTask : public Task {
 public:
  explicit RnnTask(const v1::JobConfig& canonical);

  int64_t inputs() const override { return dim_; }
  int64_t targets() const override { return labels_ ? 1 : dim_; }
  // A [R, o, q, q], B [R, q, q] and, for CLASSIFICATION, w [q, 1].
  std::vector<Coefficients> coefficients() const override;
  void Sample(const SampleRequest& request, const SampleBuffers& buffers) const override;

 private:
  void WriteTargets(const float* states, int64_t count, int64_t tokens, float* target) const;

  int64_t rules_;
  int64_t dim_;
  int64_t order_;
  bool labels_;
  uint32_t data_seed_;
  // Of each rule B[c] above A[c, 0] above A[c, 1] ... and rows of zeros below, so
  // that a step is one product with [x_t, s_{t-1}, s_{t-2}, ..., zeros].
  int64_t rows_;
  std::vector<float> matrices_;  // [R, rows_, q]
  std::vector<float> w_;         // [q]; empty for REGRESSION
};

}  // namespace modlab

#endif  // MODLAB_LIB_RULES_RNN_TASK_H_
