// A task: rules with fixed coefficients, and endless fresh samples of them
// (docs/benchmark.md, section 1).

#ifndef MODLAB_LIB_RULES_TASK_H_
#define MODLAB_LIB_RULES_TASK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/rules/random_stream.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Numbers that define the rules, e.g. "alpha", one a rule.
struct Coefficients {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<double> values;  // row by row
};

// What to draw.
struct SampleRequest {
  StreamKey key;
  // Of the stream: a training step, an evaluation batch.
  uint64_t block = 0;
  int64_t samples = 0;
  // Tokens of each sample; 1 for MLP.
  int64_t length = 1;
  // Multiplies every real-valued input before the target is computed: 1 in
  // distribution, 2 out of it.
  float scale = 1.0F;
  // One weight a rule; null where rules are equally likely.
  const std::vector<double>* rule_weights = nullptr;
};

// Where to write it. T = length * samples; token n of sample b is column
// n * samples + b.
struct SampleBuffers {
  float* input;   // [inputs(), T]
  int32_t* rule;  // [T]
  float* target;  // [targets(), T] numbers, or labels 0/1
};

// Immutable, so thread-safe.
class Task {
 public:
  virtual ~Task() = default;

  // C: real-valued inputs of a token.
  virtual int64_t inputs() const = 0;
  // O: numbers or labels that a token's target has.
  virtual int64_t targets() const = 0;
  // In the order in which they were drawn.
  virtual std::vector<Coefficients> coefficients() const = 0;
  // Equal requests give equal samples.
  virtual void Sample(const SampleRequest& request, const SampleBuffers& buffers) const = 0;
};

// The task that architecture, target, rules, data_seed and the fields of that
// architecture's task determine.
std::unique_ptr<Task> MakeTask(const v1::JobConfig& canonical);

}  // namespace modlab

#endif  // MODLAB_LIB_RULES_TASK_H_
