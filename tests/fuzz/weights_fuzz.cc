// Files of weights from strangers: safetensors, and the zip archives around a pickle
// that PyTorch writes.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/weights/safetensors.h"
#include "lib/weights/weights.h"
#include "tests/fuzz/expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file =
      modlab::ReadWeights(absl::string_view(reinterpret_cast<const char*>(data), size));
  if (!file.ok()) {
    MODLAB_EXPECT(!absl::IsInternal(file.status()));
    return 0;
  }
  for (const modlab::NamedArray& tensor : file->tensors) {
    int64_t numbers = 1;
    for (const int64_t length : tensor.shape) numbers *= length;
    MODLAB_EXPECT(numbers == static_cast<int64_t>(tensor.values.size()));
  }
  const auto again = modlab::DecodeSafetensors(modlab::EncodeSafetensors(*file));
  MODLAB_EXPECT(again.ok());
  MODLAB_EXPECT(again->tensors.size() == file->tensors.size());
  return 0;
}
