// The files of the artifacts, as far as the engine has to do with them: it decides
// when one goes, and relies on no file that is gone.

#ifndef MODLAB_SERVER_STORE_ARTIFACT_FILES_H_
#define MODLAB_SERVER_STORE_ARTIFACT_FILES_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace modlab {

inline constexpr int64_t kArtifactBytesMax = int64_t{4} << 30;

// Thread-safe. `sha256` is 64 lower-case hex digits.
class ArtifactFiles {
 public:
  virtual ~ArtifactFiles() = default;

  // False only if there is no such file.
  virtual bool Contains(absl::string_view sha256) const = 0;
  // OK if it is not there. A power cut may bring it back before SyncRemovals().
  virtual absl::Status Remove(absl::string_view sha256) = 0;
  virtual absl::Status SyncRemovals() = 0;

  // Lets go of the room that is kept for pruning on a full disk, if there is any. From
  // then on no upload is taken, or it would be gone at once.
  virtual void UseReserve() {}
  // Takes it again, and uploads too, once there is as much room. Called often.
  virtual void KeepReserve() {}
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_ARTIFACT_FILES_H_
