// A model's weights from a file of any format that modlab reads.

#ifndef MODLAB_LIB_WEIGHTS_WEIGHTS_H_
#define MODLAB_LIB_WEIGHTS_WEIGHTS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/weights/tensor_file.h"

namespace modlab {

// Tells a safetensors file from a state_dict of PyTorch by its first bytes, not
// by its name, and decodes it. INVALID_ARGUMENT if it is neither, or damaged.
// Pure, thread-safe.
absl::StatusOr<TensorFile> ReadWeights(absl::string_view bytes);

}  // namespace modlab

#endif  // MODLAB_LIB_WEIGHTS_WEIGHTS_H_
