// The safetensors file format: an 8-byte little-endian header length, a JSON
// header (name -> dtype, shape, data_offsets), then the numbers. Python's
// `safetensors` package opens such a file, and nothing in it can be executed.

#ifndef MODLAB_LIB_TRAIN_SAFETENSORS_H_
#define MODLAB_LIB_TRAIN_SAFETENSORS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace modlab {

struct NamedArray {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;  // row by row
};

struct TensorFile {
  std::vector<NamedArray> tensors;  // names are unique
  std::map<std::string, std::string> metadata;
};

// Equal contents give equal bytes. Pure, thread-safe.
std::string EncodeSafetensors(const TensorFile& file);

// Reads 32-bit float tensors, in the order of their offsets. INVALID_ARGUMENT
// says what is wrong with the bytes, whatever they are. Pure, thread-safe.
absl::StatusOr<TensorFile> DecodeSafetensors(absl::string_view bytes);

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_SAFETENSORS_H_
