// Reads the pickle in a PyTorch state_dict file: which tensors there are, and
// where among the file's storages their numbers lie. Reading one executes nothing: it
// is a tiny machine that knows the few instructions and names that torch.save
// writes for an (Ordered)dict of tensors, and refuses every other.

#ifndef MODLAB_LIB_WEIGHTS_STATE_DICT_UNPICKLER_H_
#define MODLAB_LIB_WEIGHTS_STATE_DICT_UNPICKLER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace modlab {

enum class StorageType { kFloat, kDouble, kHalf, kBFloat16 };

// A tensor as numbers of a storage: element (i, j, ..) is number
// offset + i * strides[0] + j * strides[1] + ..
struct TensorView {
  std::string name;
  StorageType type = StorageType::kFloat;
  std::string storage;       // its key: the file's entry data/KEY
  int64_t storage_size = 0;  // numbers in it
  int64_t offset = 0;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
};

// In the dict's order. Names are unique and printable ASCII; sizes, offsets and
// strides are not negative, shape and strides equally long, and nothing else is
// known of them. INVALID_ARGUMENT says what is wrong with the bytes, whatever
// they are; memory is bounded (below 0.5 GB for the worst of them). Pure,
// thread-safe.
absl::StatusOr<std::vector<TensorView>> UnpickleStateDict(absl::string_view pickle);

}  // namespace modlab

#endif  // MODLAB_LIB_WEIGHTS_STATE_DICT_UNPICKLER_H_
