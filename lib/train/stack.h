// Jobs of one shape, trained step by step: those of a stack as one program, stack after
// stack.

#ifndef MODLAB_LIB_TRAIN_STACK_H_
#define MODLAB_LIB_TRAIN_STACK_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "lib/models/model.h"
#include "lib/models/parameters.h"
#include "lib/train/adam.h"
#include "lib/train/sampler.h"
#include "lib/train/stack_size.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Where the time of steps went, in seconds of the thread's processor time. On a device
// that computes by itself that is what it took to give it its work.
struct StepTimes {
  double data = 0;  // samples and their labels
  double forward = 0;
  double backward = 0;
  double optimizer = 0;
};

// Jobs that step together. Not thread-safe.
class Stack {
 public:
  // Shares the numbers of all that it is given: they are the same jobs', in the same
  // order. `parameters` require gradients; `loss_sum` is [J], double. `shape` and
  // `model` must outlive the stack.
  Stack(const v1::JobConfig& shape, const Model& model, Parameters parameters, Adam adam,
        Sampler sampler, at::Tensor loss_sum);

  // Step number `step`, counted from 1, of every job. Adds each job's loss to
  // `loss_sum`, and what the step took to `times` unless that is null.
  void Step(int64_t step, StepTimes* times = nullptr);

  const Parameters& parameters() const { return parameters_; }
  Sampler* sampler() { return &sampler_; }

 private:
  const v1::JobConfig& shape_;
  const Model& model_;
  Parameters parameters_;
  Adam adam_;
  Sampler sampler_;
  at::Tensor loss_sum_;
};

// All jobs of a gang in stacks, as many a stack as is best. Not thread-safe.
class Stacks {
 public:
  // `jobs_max` in a stack; if it `measures`, whatever up to that is the fastest. Both
  // references must outlive this.
  Stacks(const v1::JobConfig& shape, const Model& model, int64_t jobs_max, bool measures);

  // From now on of these jobs; arguments as a Stack's.
  void Set(const Parameters& parameters, const Adam& adam, const Sampler& sampler,
           const at::Tensor& loss_sum);
  void Step(int64_t step);

  // In the order of the jobs.
  std::vector<Stack>& stacks() { return stacks_; }

 private:
  void Split();

  const v1::JobConfig& shape_;
  const Model& model_;
  int64_t size_;  // most jobs of a stack
  StackSizeSearch search_;
  // Of all jobs.
  std::optional<Parameters> parameters_;
  std::optional<Adam> adam_;
  std::optional<Sampler> sampler_;
  at::Tensor loss_sum_;
  std::vector<Stack> stacks_;
};

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_STACK_H_
