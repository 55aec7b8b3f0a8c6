// Where one job's training stands, as a file: what a trainer needs to go on to the
// same bits as if it had never stopped.

#ifndef MODLAB_LIB_TRAIN_CHECKPOINT_H_
#define MODLAB_LIB_TRAIN_CHECKPOINT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/weights/tensor_file.h"

namespace modlab {

struct Checkpoint {
  std::string job_key;
  // Iterations done.
  int64_t iteration = 0;
  // Whether the point of this iteration was measured; false where it has none.
  bool measured = false;
  // Of the training losses since the last point.
  double loss_sum = 0;
  // When the best weights so far were had, and their validation; 0: none yet.
  int64_t best_iteration = 0;
  double best_figure = 0;
  // Weights by name; Adam's means by "mean/" and "mean_square/" and name; the best
  // weights, if there are any, by "best/" and name.
  std::vector<NamedArray> tensors;
};

// A .safetensors file. Pure, thread-safe.
std::string EncodeCheckpoint(Checkpoint checkpoint);

// INVALID_ARGUMENT says what is wrong with the bytes. Pure, thread-safe.
absl::StatusOr<Checkpoint> DecodeCheckpoint(absl::string_view bytes);

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_CHECKPOINT_H_
