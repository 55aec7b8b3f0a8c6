// The file that Python's torch.save(model.state_dict(), f) writes and torch.load
// reads: a zip archive with a pickle that names the tensors (data.pkl) and their
// numbers (data/0, data/1, ..). Reading one executes nothing.

#ifndef MODLAB_LIB_WEIGHTS_STATE_DICT_H_
#define MODLAB_LIB_WEIGHTS_STATE_DICT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/weights/tensor_file.h"

namespace modlab {

// An OrderedDict of float32 tensors on the CPU, which PyTorch 1.6 and newer open,
// with weights_only=True too. The metadata have no place in it and are left out.
// Equal contents give equal bytes. Fails only if libzip does. Thread-safe.
absl::StatusOr<std::string> EncodeStateDict(const TensorFile& file);

// Reads a dict of float, double, half or bfloat16 tensors, as floats, in its
// order; views, shared storages and tensors of other devices as well, but no
// tensors nested in other objects (save model.state_dict(), not a checkpoint), nor
// names that are not printable ASCII of 1024 characters at most.
// INVALID_ARGUMENT says what is wrong with the bytes, whatever they are: no more
// numbers are given than the file has bytes. Pure, thread-safe.
absl::StatusOr<TensorFile> DecodeStateDict(absl::string_view bytes);

// Whether the bytes begin as those that torch.save writes, today's or before
// PyTorch 1.6 (which DecodeStateDict() refuses with advice).
bool LooksLikeStateDict(absl::string_view bytes);

}  // namespace modlab

#endif  // MODLAB_LIB_WEIGHTS_STATE_DICT_H_
