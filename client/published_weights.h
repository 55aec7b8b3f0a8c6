// A job's weights for the published code of the benchmark: a state_dict that
// PyTorch opens, with the names and shapes of that code's classes.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_PUBLISHED_WEIGHTS_H_
#define MODLAB_CLIENT_PUBLISHED_WEIGHTS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// From the .safetensors file of a job of that config, whose names are those of
// the published classes already. The class of a MODULAR RNN has one vector more,
// rnn.scorer.1.b of shape [1, modules, 1], which it never uses and a strict load
// asks for: it is added, all zeros. INVALID_ARGUMENT: the file is damaged.
absl::StatusOr<std::string> PublishedWeights(const v1::JobConfig& canonical,
                                             absl::string_view safetensors);

}  // namespace modlab

#endif  // MODLAB_CLIENT_PUBLISHED_WEIGHTS_H_
