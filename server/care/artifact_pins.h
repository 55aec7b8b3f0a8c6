// Artifacts that stay readable while they are needed, whatever the coordinator removes
// meanwhile: hard links to their files.

#ifndef MODLAB_SERVER_CARE_ARTIFACT_PINS_H_
#define MODLAB_SERVER_CARE_ARTIFACT_PINS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace modlab {

// Not thread-safe. Errors as in artifacts.h.
class ArtifactPins {
 public:
  // Links are made in `directory`, which must be there, on the disk of `data_dir`, and
  // is its owner's to remove.
  ArtifactPins(const std::string& data_dir, const std::string& directory)
      : data_dir_(data_dir), directory_(directory) {}

  // Bytes of the artifact's file. NOT_FOUND: it has none.
  absl::StatusOr<int64_t> Pin(absl::string_view sha256);
  // The content of a pinned artifact, in pieces of at most 1 MiB; ends with the error
  // that `visit` returns. DATA_LOSS: it is not what its name says.
  absl::Status Read(absl::string_view sha256,
                    const std::function<absl::Status(absl::string_view)>& visit) const;

 private:
  std::string PathOf(absl::string_view sha256) const;

  const std::string data_dir_;
  const std::string directory_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_CARE_ARTIFACT_PINS_H_
