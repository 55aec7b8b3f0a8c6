// A coordinator's data directory, and the lock that makes it the only one.
//
// The lock is a kernel lock on DIR/modlabd.lock, gone with its holder however
// that ends; the file's text tells others who holds it and where it answers.
// This library links neither SQLite nor gRPC, so that clients may use it.

#ifndef MODLAB_SERVER_STORE_DATA_DIR_H_
#define MODLAB_SERVER_STORE_DATA_DIR_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace modlab {

// Not thread-safe. Holds the lock for its life.
class DataDir {
 public:
  // Creates the directory if need be, and locks it. FAILED_PRECONDITION: another
  // coordinator has it (names its process and address), or it cannot be made or
  // written (says why). RESOURCE_EXHAUSTED: the disk is full.
  static absl::StatusOr<std::unique_ptr<DataDir>> Acquire(const std::string& path);
  ~DataDir();
  DataDir(const DataDir&) = delete;
  DataDir& operator=(const DataDir&) = delete;

  // Tells others where this coordinator listens. Call it once it does.
  absl::Status SetAddress(absl::string_view address);
  const std::string& path() const { return path_; }

  // The address of the coordinator that has `path`, if any has. UNAVAILABLE:
  // one does and has no address yet, as it is just starting: ask again soon.
  static absl::StatusOr<std::optional<std::string>> RunningAddress(const std::string& path);

 private:
  DataDir(std::string path, int lock_fd) : path_(std::move(path)), lock_fd_(lock_fd) {}

  const std::string path_;
  const int lock_fd_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_DATA_DIR_H_
