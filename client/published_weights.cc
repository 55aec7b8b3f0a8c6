#include "client/published_weights.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/weights/safetensors.h"
#include "lib/weights/state_dict.h"
#include "lib/weights/tensor_file.h"

namespace modlab {

absl::StatusOr<std::string> PublishedWeights(const v1::JobConfig& canonical,
                                             absl::string_view safetensors) {
  absl::StatusOr<TensorFile> file = DecodeSafetensors(safetensors);
  if (!file.ok()) return file.status();
  if (canonical.architecture() == v1::RNN && canonical.model() == v1::MODULAR) {
    const int modules = canonical.modules();
    file->tensors.push_back({"rnn.scorer.1.b",
                             {1, modules, 1},
                             std::vector<float>(static_cast<size_t>(modules), 0.0F)});
  }
  return EncodeStateDict(*file);
}

}  // namespace modlab
