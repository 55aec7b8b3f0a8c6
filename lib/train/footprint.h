// What a config's model is made of, and what memory its training takes.

#ifndef MODLAB_LIB_TRAIN_FOOTPRINT_H_
#define MODLAB_LIB_TRAIN_FOOTPRINT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// One tensor of a model.
struct TensorShape {
  std::string name;
  std::vector<int64_t> shape;
};

// The tensors of the config's model in the order in which they are stored, as
// the paper's published code names and shapes them. Pure, thread-safe.
std::vector<TensorShape> ModelTensors(const v1::JobConfig& canonical);

// Trained numbers in the config's model.
int64_t ParameterCount(const v1::JobConfig& canonical);

// About how many bytes the training of one job takes. Pure, thread-safe.
struct Footprint {
  int64_t kept = 0;  // for as long as it is trained: weights, Adam's means, samples
  int64_t step = 0;  // while it steps: what is computed there and back
};
Footprint TrainingFootprint(const v1::JobConfig& canonical);

// How many of a gang of `jobs` may step together in `memory_bytes`; all if that is 0.
// RESOURCE_EXHAUSTED: not even one. Pure, thread-safe.
absl::StatusOr<int64_t> StackThatFits(const v1::JobConfig& canonical, int64_t jobs,
                                      int64_t memory_bytes);

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_FOOTPRINT_H_
