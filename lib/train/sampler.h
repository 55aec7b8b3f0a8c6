// Fresh samples for a gang, as tensors.

#ifndef MODLAB_LIB_TRAIN_SAMPLER_H_
#define MODLAB_LIB_TRAIN_SAMPLER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "lib/models/batch.h"
#include "lib/rules/random_stream.h"
#include "lib/rules/task.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// What to draw for every job of the gang.
struct Draw {
  StreamPurpose purpose;
  // Training step, or evaluation batch.
  uint64_t block = 0;
  int64_t samples = 0;
  // Tokens of each sample.
  int64_t length = 1;
  // Multiplies every real-valued input: 1 in distribution, 2 out of it.
  float scale = 1.0F;
  // One weight a rule; null where rules are equally likely.
  const std::vector<double>* rule_weights = nullptr;
};

// Not thread-safe: its buffers are used again by every call.
class Sampler {
 public:
  Sampler(const std::vector<v1::JobConfig>& configs, const at::Device& device);

  // The batch is valid until the next call. What job j gets depends on its own
  // config and on `draw` alone.
  Batch Sample(const Draw& draw);

  // Of the jobs [first, first + jobs), with buffers of its own.
  Sampler Jobs(int64_t first, int64_t jobs) const;

  // Forgets all jobs but these.
  void SelectJobs(const std::vector<int64_t>& keep);

 private:
  struct Member {
    std::shared_ptr<const Task> task;
    uint32_t data_seed;
    uint32_t model_seed;
  };

  std::vector<Member> members_;
  int64_t rules_;
  at::Device device_;
  at::Tensor input_;
  at::Tensor rule_;
  at::Tensor target_;
  std::vector<int32_t> rule_index_;
};

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_SAMPLER_H_
