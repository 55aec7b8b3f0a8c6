// Writes the pickle in a PyTorch state_dict file, which says what its tensors
// are; their numbers are beside it, one storage a tensor.

#ifndef MODLAB_LIB_WEIGHTS_STATE_DICT_PICKLER_H_
#define MODLAB_LIB_WEIGHTS_STATE_DICT_PICKLER_H_

#include <string>
#include <vector>

#include "lib/weights/tensor_file.h"

namespace modlab {

// An OrderedDict of the tensors; the k-th is all of the storage of key "k". Pure,
// thread-safe.
std::string PickleStateDict(const std::vector<NamedArray>& tensors);

}  // namespace modlab

#endif  // MODLAB_LIB_WEIGHTS_STATE_DICT_PICKLER_H_
