// Artifacts: files named by their content, under DATA_DIR/artifacts. The one
// with the SHA-256 abc1... is artifacts/ab/abc1...; uploads in progress are
// artifacts/tmp/*, and the next start removes what a crash left of them. All
// directories are made at the start, so that a file's name never waits for one. The store
// has a row for every artifact; it is made when the content is sealed and before it
// is published.
//
// Errors: RESOURCE_EXHAUSTED where the disk is full or a limit would be passed,
// FAILED_PRECONDITION where the directory cannot be used, INTERNAL for other
// failures of the disk.

#ifndef MODLAB_SERVER_STORE_ARTIFACTS_H_
#define MODLAB_SERVER_STORE_ARTIFACTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/config/sha256.h"
#include "lib/sync/mutex.h"
#include "server/store/artifact_files.h"
#include "server/store/reserve.h"

namespace modlab {

struct Artifact {
  std::string sha256;  // 64 lower-case hex digits
  int64_t size_bytes = 0;
};

// How much all artifacts take, those on their way in included. Thread-safe.
class ArtifactSpace {
 public:
  // 0: as much as their disk has.
  ArtifactSpace(int64_t used_bytes, int64_t bytes_max)
      : bytes_max_(bytes_max), used_bytes_(used_bytes) {}

  // RESOURCE_EXHAUSTED: would pass the limit.
  absl::Status Take(int64_t bytes);
  void GiveBack(int64_t bytes) { used_bytes_ -= bytes; }
  // While it is closed there is room for none.
  void set_closed(bool closed) { closed_ = closed; }
  int64_t used_bytes() const { return used_bytes_; }
  // Held by who gives a file its name or takes it away, so that none counts twice.
  Mutex* names() { return &names_; }

 private:
  const int64_t bytes_max_;
  std::atomic<int64_t> used_bytes_;
  std::atomic<bool> closed_{false};
  Mutex names_;
};

// One file on its way in. Not thread-safe. Without Publish() nothing stays.
class ArtifactUpload {
 public:
  ~ArtifactUpload();
  ArtifactUpload(const ArtifactUpload&) = delete;
  ArtifactUpload& operator=(const ArtifactUpload&) = delete;

  // INVALID_ARGUMENT: larger than an artifact may be. RESOURCE_EXHAUSTED: there is no room
  // for it now. After an error, drop the upload.
  absl::Status Append(absl::string_view data);
  // The content is whole: OK once it is on disk, without a name. Call it once.
  absl::StatusOr<Artifact> Seal();
  // OK once the sealed file is on disk under its name. Call it once, and last. Content
  // that is there already is replaced by the same.
  absl::Status Publish();

 private:
  friend class Artifacts;
  ArtifactUpload(std::string root, std::string path, int fd, int64_t bytes_max,
                 std::shared_ptr<ArtifactSpace> space);

  const std::string root_;
  const std::string path_;  // of the temporary file
  const int fd_;
  const int64_t bytes_max_;
  const std::shared_ptr<ArtifactSpace> space_;
  int64_t size_bytes_ = 0;
  int64_t taken_bytes_ = 0;  // of the space; to be given back
  Sha256 hash_;
  std::string sha256_;  // once sealed
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
class Artifacts final : public ArtifactFiles {
 public:
  struct Options {
    int64_t bytes_max = kArtifactBytesMax;  // of one
    int64_t total_bytes_max = 0;            // of all; 0: as much as their disk has
    // Kept free on the disk for pruning, in DATA_DIR/reserve; less on a small disk (reserve.h).
    int64_t reserve_bytes = 0;
  };

  // Creates the directories if need be, and looks at the size of every file. The
  // caller holds the data directory's lock.
  static absl::StatusOr<std::unique_ptr<Artifacts>> Open(const std::string& data_dir,
                                                         const Options& options);
  static absl::StatusOr<std::unique_ptr<Artifacts>> Open(const std::string& data_dir) {
    return Open(data_dir, Options());
  }

  absl::StatusOr<std::unique_ptr<ArtifactUpload>> Create() const;
  // INVALID_ARGUMENT: `sha256` is not 64 lower-case hex digits. NOT_FOUND.
  absl::StatusOr<std::unique_ptr<ArtifactReader>> Read(absl::string_view sha256) const;
  // What all files take, uploads in progress included.
  int64_t total_bytes() const { return space_->used_bytes(); }

  bool Contains(absl::string_view sha256) const override;
  absl::Status Remove(absl::string_view sha256) override;
  absl::Status SyncRemovals() override;
  void UseReserve() override;
  void KeepReserve() override;

 private:
  Artifacts(const std::string& data_dir, const Options& options);

  const std::string root_;
  const int64_t bytes_max_;
  const std::shared_ptr<ArtifactSpace> space_;
  Reserve reserve_;
  Mutex removals_mutex_;
  std::set<std::string> removed_from_ ABSL_GUARDED_BY(removals_mutex_);  // since they were synced
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_ARTIFACTS_H_
