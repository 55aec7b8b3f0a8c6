// The files under DATA_DIR/artifacts as they lie there, whatever they should be. See
// artifacts.h for how they are named.

#ifndef MODLAB_SERVER_STORE_ARTIFACT_TREE_H_
#define MODLAB_SERVER_STORE_ARTIFACT_TREE_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace modlab {

// Where the artifact of this hash, 64 lower-case hex digits, is or would be.
std::string ArtifactPath(const std::string& data_dir, absl::string_view sha256);
// For files that are not artifacts yet, or no longer needed: emptied at each start.
std::string ArtifactTemporaryDir(const std::string& data_dir);

struct ArtifactOnDisk {
  std::string path;
  std::string sha256;  // empty: it is not where an artifact would be
};

// Visits all that lies there but the temporary files, in any order; ends with the error
// that `visit` returns. What vanishes meanwhile is left out. Errors as in artifacts.h.
absl::Status ScanArtifactFiles(const std::string& data_dir,
                               const std::function<absl::Status(const ArtifactOnDisk&)>& visit);

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_ARTIFACT_TREE_H_
