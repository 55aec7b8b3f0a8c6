// Artifacts: files named by their content, under DATA_DIR/artifacts. The one
// with the SHA-256 abc1... is artifacts/ab/abc1...; uploads in progress are
// artifacts/tmp/*, and the next start removes what a crash left of them.
//
// Errors: RESOURCE_EXHAUSTED where the disk is full, FAILED_PRECONDITION where
// the directory cannot be used, INTERNAL for other failures of the disk.

#ifndef MODLAB_SERVER_STORE_ARTIFACTS_H_
#define MODLAB_SERVER_STORE_ARTIFACTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/config/sha256.h"

namespace modlab {

inline constexpr int64_t kArtifactBytesMax = int64_t{4} << 30;

struct Artifact {
  std::string sha256;  // 64 lower-case hex digits
  int64_t size_bytes = 0;
};

// One file on its way in. Not thread-safe. Without Finish() nothing stays.
class ArtifactUpload {
 public:
  ~ArtifactUpload();
  ArtifactUpload(const ArtifactUpload&) = delete;
  ArtifactUpload& operator=(const ArtifactUpload&) = delete;

  // RESOURCE_EXHAUSTED: would pass the limit. After an error, drop the upload.
  absl::Status Append(absl::string_view data);
  // OK once the file is on disk under its name. Call it once, and last. Content
  // that is there already is replaced by the same.
  absl::StatusOr<Artifact> Finish();

 private:
  friend class Artifacts;
  ArtifactUpload(std::string root, std::string path, int fd, int64_t bytes_max);

  const std::string root_;
  const std::string path_;  // of the temporary file
  const int fd_;
  const int64_t bytes_max_;
  int64_t size_bytes_ = 0;
  Sha256 hash_;
};

// One file on its way out. Not thread-safe.
class ArtifactReader {
 public:
  ~ArtifactReader();
  ArtifactReader(const ArtifactReader&) = delete;
  ArtifactReader& operator=(const ArtifactReader&) = delete;

  int64_t size_bytes() const { return size_bytes_; }
  // The next piece, at most `bytes_max`; "" at the end. DATA_LOSS, in place of
  // the last piece, where the content no longer matches the name.
  absl::StatusOr<std::string> Next(size_t bytes_max);

 private:
  friend class Artifacts;
  ArtifactReader(std::string sha256, std::string path, int fd, int64_t size_bytes);

  const std::string sha256_;
  const std::string path_;
  const int fd_;
  const int64_t size_bytes_;
  int64_t read_bytes_ = 0;
  bool checked_ = false;
  Sha256 hash_;
};

// Thread-safe. Uploads and readers may outlive it.
class Artifacts {
 public:
  // Creates the directories if need be. The caller holds the data directory's
  // lock. No artifact may be larger than `bytes_max`.
  static absl::StatusOr<std::unique_ptr<Artifacts>> Open(const std::string& data_dir,
                                                         int64_t bytes_max = kArtifactBytesMax);

  absl::StatusOr<std::unique_ptr<ArtifactUpload>> Create() const;
  // INVALID_ARGUMENT: `sha256` is not 64 lower-case hex digits. NOT_FOUND.
  absl::StatusOr<std::unique_ptr<ArtifactReader>> Read(absl::string_view sha256) const;

 private:
  Artifacts(std::string root, int64_t bytes_max);

  const std::string root_;
  const int64_t bytes_max_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_ARTIFACTS_H_
