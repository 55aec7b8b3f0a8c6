// The safetensors file format: an 8-byte little-endian header length, a JSON
// header (name -> dtype, shape, data_offsets), then the numbers. Python's
// `safetensors` package opens such a file, and nothing in it can be executed.

#ifndef MODLAB_LIB_WEIGHTS_SAFETENSORS_H_
#define MODLAB_LIB_WEIGHTS_SAFETENSORS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/weights/tensor_file.h"

namespace modlab {

// Equal contents give equal bytes. Pure, thread-safe.
std::string EncodeSafetensors(const TensorFile& file);

// Reads 32-bit float tensors, in the order of their offsets. INVALID_ARGUMENT
// says what is wrong with the bytes, whatever they are. Pure, thread-safe.
absl::StatusOr<TensorFile> DecodeSafetensors(absl::string_view bytes);

}  // namespace modlab

#endif  // MODLAB_LIB_WEIGHTS_SAFETENSORS_H_
