#include "server/store/data_dir.h"

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/store/file_error.h"

namespace modlab {
namespace {

constexpr size_t kLockFileBytesMax = 4096;

std::string LockPath(const std::string& path) { return path + "/modlabd.lock"; }

// Open-file-description locks: unlike flock they can be asked about without
// being taken, so that asking never gets in a starting coordinator's way.
struct flock WholeFile() {
  struct flock whole = {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return whole;
}

struct Holder {
  std::string pid;
  std::string address;  // "" until it listens
};

// What the lock file says. A holder that has not written yet reads as "".
Holder ReadHolder(int fd) {
  std::string text(kLockFileBytesMax, '\0');
  const ssize_t size = pread(fd, &text[0], text.size(), 0);
  text.resize(size < 0 ? 0 : static_cast<size_t>(size));
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  return Holder{lines[0], lines.size() > 1 ? lines[1] : ""};
}

absl::Status WriteHolder(int fd, absl::string_view address, const std::string& path) {
  const std::string text = absl::StrCat(getpid(), "\n", address, "\n");
  // One write, then cut what was longer before: a reader may see the old tail
  // for a moment, but behind the newline that ends the address.
  const ssize_t written = pwrite(fd, text.data(), text.size(), 0);
  if (written < 0) return FileError(errno, "write", LockPath(path));
  if (static_cast<size_t>(written) < text.size()) return FileError(ENOSPC, "write", LockPath(path));
  if (ftruncate(fd, static_cast<off_t>(text.size())) != 0) {
    return FileError(errno, "write", LockPath(path));
  }
  return absl::OkStatus();
}

absl::Status TakenBy(const Holder& holder, const std::string& path) {
  return absl::FailedPreconditionError(absl::StrCat(
      "data directory ", path, " is in use by another coordinator: process ",
      holder.pid.empty() ? "unknown" : holder.pid, ", ",
      holder.address.empty() ? "not listening yet" : absl::StrCat("listening on ", holder.address),
      ". Connect to it, stop it, or use another directory"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataDir>> DataDir::Acquire(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return FileError(error.value(), "create directory", path);
  const int fd = open(LockPath(path).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return FileError(errno, "open", LockPath(path));
  std::unique_ptr<DataDir> dir(new DataDir(path, fd));
  struct flock lock = WholeFile();
  if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
    if (errno != EAGAIN && errno != EACCES) return FileError(errno, "lock", LockPath(path));
    return TakenBy(ReadHolder(fd), path);
  }
  absl::Status status = WriteHolder(fd, "", path);
  if (!status.ok()) return status;
  return dir;
}

DataDir::~DataDir() { close(lock_fd_); }

absl::Status DataDir::SetAddress(absl::string_view address) {
  return WriteHolder(lock_fd_, address, path_);
}

absl::StatusOr<std::optional<std::string>> DataDir::RunningAddress(const std::string& path) {
  const int fd = open(LockPath(path).c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<std::string>();
    return FileError(errno, "open", LockPath(path));
  }
  struct flock lock = WholeFile();
  const int asked = fcntl(fd, F_OFD_GETLK, &lock);
  const int error = errno;
  const Holder holder = ReadHolder(fd);
  close(fd);
  if (asked != 0) return FileError(error, "lock", LockPath(path));
  if (lock.l_type == F_UNLCK) return std::optional<std::string>();
  if (holder.address.empty()) {
    return absl::UnavailableError(
        absl::StrCat("the coordinator of ", path, " (process ", holder.pid, ") is still starting"));
  }
  return std::make_optional(holder.address);
}

}  // namespace modlab
