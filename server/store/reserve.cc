#include "server/store/reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "server/store/file_error.h"

namespace modlab {
namespace {

constexpr int64_t kPartOfDisk = 16;

// Of the disk that `path` is to be on; nothing where that is not known.
struct statvfs DiskOf(const std::string& path) {
  struct statvfs disk = {};
  const std::string dir = std::filesystem::path(path).parent_path().string();
  if (statvfs(dir.c_str(), &disk) != 0) return {};
  return disk;
}

int64_t BytesWanted(const std::string& path, int64_t bytes_max) {
  const struct statvfs disk = DiskOf(path);
  const auto part_bytes = static_cast<int64_t>(disk.f_blocks * disk.f_frsize) / kPartOfDisk;
  return part_bytes == 0 ? bytes_max : std::min(bytes_max, part_bytes);
}

// The bytes that the file takes already.
int64_t TakenBytes(const std::string& path) {
  struct stat facts = {};
  return stat(path.c_str(), &facts) == 0 ? int64_t{facts.st_blocks} * 512 : 0;
}

}  // namespace

Reserve::Reserve(std::string path, int64_t bytes)
    : path_(std::move(path)), bytes_(BytesWanted(path_, bytes)) {}

absl::Status Reserve::Keep() {
  const MutexLock lock(&mutex_);
  if (kept_ || bytes_ == 0) return absl::OkStatus();
  // Looked at first: while it is tried in vain, others would find no room at all.
  const struct statvfs disk = DiskOf(path_);
  const auto free_bytes = static_cast<int64_t>(disk.f_bavail * disk.f_frsize);
  if (disk.f_blocks > 0 && free_bytes < bytes_ - TakenBytes(path_)) {
    return FileError(ENOSPC, "keep a reserve in", path_);
  }
  const int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return FileError(errno, "create", path_);
  // Of an earlier size, maybe; what it has already costs nothing.
  int error = ftruncate(fd, bytes_) == 0 ? 0 : errno;
  if (error == 0) error = posix_fallocate(fd, 0, bytes_);
  close(fd);
  kept_ = error == 0;
  if (kept_) return absl::OkStatus();
  unlink(path_.c_str());  // a part of it serves nobody
  return FileError(error, "keep a reserve in", path_);
}

bool Reserve::LetGo() {
  const MutexLock lock(&mutex_);
  const bool kept = std::exchange(kept_, false);
  return unlink(path_.c_str()) == 0 && kept;
}

}  // namespace modlab
