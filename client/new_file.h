// A file that appears under its name whole, or not at all.

#ifndef MODLAB_CLIENT_NEW_FILE_H_
#define MODLAB_CLIENT_NEW_FILE_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace modlab {

// Written under a name of its own in the same directory, and renamed at the end.
// Not thread-safe.
class NewFile {
 public:
  // A symbolic link stays, and what it points to is written. INVALID_ARGUMENT: an
  // empty name, or one of something that is no regular file (a directory, a device).
  // INTERNAL: the directory cannot be written.
  static absl::StatusOr<std::unique_ptr<NewFile>> Create(const std::string& path);
  // Removes what was written unless it has its name.
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  // Where to write; an empty file so far.
  const std::string& partial() const { return partial_; }
  // Gives the file its name, in place of one that has it. Call once.
  absl::Status Commit();

 private:
  NewFile(std::string target, std::string partial)
      : target_(std::move(target)), partial_(std::move(partial)) {}

  const std::string target_;
  std::string partial_;  // empty once it has its name
};

}  // namespace modlab

#endif  // MODLAB_CLIENT_NEW_FILE_H_
