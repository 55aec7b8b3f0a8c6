#include "tests/sim/artifacts.h"

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "lib/config/sha256.h"

namespace modlab {
namespace sim {

namespace {

absl::Status FileError(int error, absl::string_view path) {
  if (error == ENOSPC) return absl::ResourceExhaustedError(absl::StrCat("disk full: ", path));
  return absl::InternalError(absl::StrCat("errno ", error, ": ", path));
}

}  // namespace

std::string Artifacts::DirOf(absl::string_view sha256) const {
  return absl::StrCat(root_, "/", sha256.substr(0, 2));
}

std::string Artifacts::PathOf(absl::string_view sha256) const {
  return absl::StrCat(DirOf(sha256), "/", sha256);
}

void Artifacts::Clean() {
  for (const std::string& path : disk_->List(root_ + "/tmp/")) disk_->Remove(path);
}

absl::StatusOr<std::string> Artifacts::Put(absl::string_view content) {
  const std::string path = absl::StrCat(root_, "/tmp/upload-", ++uploads_);
  int error = 0;
  const Disk::FilePtr file = disk_->Create(path, &error);
  if (error == 0) error = disk_->Write(file.get(), 0, content);
  if (error == 0) error = disk_->Sync(file.get());
  if (error == 0) return path;
  disk_->Remove(path);
  return FileError(error, path);
}

absl::Status Artifacts::Name(const std::string& temporary, absl::string_view sha256) {
  int error = disk_->Rename(temporary, PathOf(sha256));
  if (error == 0) error = disk_->SyncDirectory(DirOf(sha256));
  return error == 0 ? absl::OkStatus() : FileError(error, PathOf(sha256));
}

absl::StatusOr<std::string> Artifacts::Get(absl::string_view sha256) const {
  const Disk::FilePtr file = disk_->Find(PathOf(sha256));
  if (file == nullptr) return absl::NotFoundError(absl::StrCat("no artifact ", sha256));
  if (Sha256Hex(file->content()) != sha256) {
    return absl::DataLossError(absl::StrCat("artifact ", sha256, " is damaged"));
  }
  return file->content();
}

std::vector<std::string> Artifacts::List() const {
  std::vector<std::string> names;
  for (const std::string& path : disk_->List(root_ + "/")) {
    if (path.compare(0, root_.size() + 5, root_ + "/tmp/") == 0) continue;
    names.push_back(path.substr(path.rfind('/') + 1));
  }
  return names;
}

bool Artifacts::Contains(absl::string_view sha256) const {
  return disk_->Find(PathOf(sha256)) != nullptr;
}

absl::Status Artifacts::Remove(absl::string_view sha256) {
  const int error = disk_->Remove(PathOf(sha256));
  if (error != 0 && error != ENOENT) return FileError(error, PathOf(sha256));
  removed_from_.insert(DirOf(sha256));
  return absl::OkStatus();
}

absl::Status Artifacts::SyncRemovals() {
  for (; !removed_from_.empty(); removed_from_.erase(removed_from_.begin())) {
    const int error = disk_->SyncDirectory(*removed_from_.begin());
    if (error != 0) return FileError(error, *removed_from_.begin());
  }
  return absl::OkStatus();
}

}  // namespace sim
}  // namespace modlab
