#include "lib/weights/weights.h"

#include <cstddef>

#include "absl/status/status.h"
#include "lib/weights/safetensors.h"
#include "lib/weights/state_dict.h"

namespace modlab {

absl::StatusOr<TensorFile> ReadWeights(absl::string_view bytes) {
  // Behind its length a safetensors header is a JSON object. No zip archive of
  // PyTorch has a brace there.
  constexpr size_t kHeader = 8;
  if (bytes.size() > kHeader && bytes[kHeader] == '{') return DecodeSafetensors(bytes);
  if (LooksLikeStateDict(bytes)) return DecodeStateDict(bytes);
  return absl::InvalidArgumentError(
      "neither a safetensors file nor a state_dict written by PyTorch's torch.save");
}

}  // namespace modlab
