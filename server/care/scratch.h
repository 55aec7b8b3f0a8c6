// A directory for files that are needed for a while: gone, with all in it, at its end,
// or at the coordinator's next start.

#ifndef MODLAB_SERVER_CARE_SCRATCH_H_
#define MODLAB_SERVER_CARE_SCRATCH_H_

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/statusor.h"
#include "server/store/artifact_tree.h"
#include "server/store/file_error.h"

namespace modlab {

// Not thread-safe.
class ScratchDirectory {
 public:
  // In the data directory, so on the disk of the store and its artifacts.
  static absl::StatusOr<std::unique_ptr<ScratchDirectory>> Create(const std::string& data_dir) {
    std::string path = ArtifactTemporaryDir(data_dir) + "/care-XXXXXX";
    if (mkdtemp(&path[0]) == nullptr) return FileError(errno, "create", path);
    return std::unique_ptr<ScratchDirectory>(new ScratchDirectory(std::move(path)));
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  explicit ScratchDirectory(std::string path) : path_(std::move(path)) {}

  const std::string path_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_CARE_SCRATCH_H_
