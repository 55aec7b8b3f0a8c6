// A backup: the store as it is at one moment, in one file, while everything goes on.
//
// The file is a SQLite database: the store's own tables, and
//
//   backup         one row: format (1), created_us, modlab_version, artifacts (0 or 1)
//   backup_pieces  sha256, n, data: the artifacts that jobs refer to, in pieces of 1 MiB
//
// Without artifacts, no job has weights or a checkpoint in it. restore.h reads it.

#ifndef MODLAB_SERVER_CARE_BACKUP_H_
#define MODLAB_SERVER_CARE_BACKUP_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/config/sha256.h"
#include "server/care/scratch.h"

namespace modlab {

inline constexpr int64_t kBackupFormat = 1;

// One that is made and waits to be read. Not thread-safe. Its file, in the data
// directory, goes with it.
class Backup {
 public:
  // `now_us` is written down. `go_on` is asked now and then; CANCELLED if it says no.
  // RESOURCE_EXHAUSTED: the disk has not as much free space as the file takes.
  // DATA_LOSS: the store, or an artifact that a job refers to, is damaged; names it.
  static absl::StatusOr<std::unique_ptr<Backup>> Make(const std::string& data_dir,
                                                      bool with_artifacts, int64_t now_us,
                                                      const std::function<bool()>& go_on);
  ~Backup();
  Backup(const Backup&) = delete;
  Backup& operator=(const Backup&) = delete;

  int64_t size_bytes() const { return size_bytes_; }
  // The next piece, at most `bytes_max`; "" at the end.
  absl::StatusOr<std::string> Next(size_t bytes_max);
  // Of all that Next() returned: lower-case hex SHA-256. Call it once, and last.
  std::string FinishHex() { return hash_.FinishHex(); }

 private:
  Backup(std::unique_ptr<ScratchDirectory> directory, std::string path, int fd, int64_t size_bytes)
      : directory_(std::move(directory)),
        path_(std::move(path)),
        fd_(fd),
        size_bytes_(size_bytes) {}

  const std::unique_ptr<ScratchDirectory> directory_;
  const std::string path_;
  const int fd_;
  const int64_t size_bytes_;
  int64_t read_bytes_ = 0;
  Sha256 hash_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_CARE_BACKUP_H_
