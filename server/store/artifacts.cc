#include "server/store/artifacts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/config/words.h"
#include "server/store/file_error.h"

namespace modlab {
namespace {

std::string TemporaryDir(const std::string& root) { return root + "/tmp"; }
std::string DirOf(const std::string& root, absl::string_view sha256) {
  return absl::StrCat(root, "/", sha256.substr(0, 2));
}

// A file's name is on disk once its directory is.
absl::Status SyncDir(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError(errno, "open", path);
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  return result == 0 ? absl::OkStatus() : FileError(error, "write", path);
}

absl::Status CreateDir(const std::string& parent, const std::string& path) {
  if (mkdir(path.c_str(), 0755) == 0) return SyncDir(parent);
  return errno == EEXIST ? absl::OkStatus() : FileError(errno, "create directory", path);
}

bool IsSha256(absl::string_view name) {
  return name.size() == 64 && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

// -- upload -------------------------------------------------------------------

ArtifactUpload::ArtifactUpload(std::string root, std::string path, int fd, int64_t bytes_max)
    : root_(std::move(root)), path_(std::move(path)), fd_(fd), bytes_max_(bytes_max) {}

ArtifactUpload::~ArtifactUpload() {
  close(fd_);
  unlink(path_.c_str());  // fails once it has been renamed, as it should
}

absl::Status ArtifactUpload::Append(absl::string_view data) {
  if (static_cast<int64_t>(data.size()) > bytes_max_ - size_bytes_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("artifact: larger than the limit of ", bytes_max_, " bytes"));
  }
  hash_.Update(data);
  size_bytes_ += static_cast<int64_t>(data.size());
  while (!data.empty()) {
    const ssize_t written = write(fd_, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError(errno, "write", path_);
    data.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::StatusOr<Artifact> ArtifactUpload::Finish() {
  if (fsync(fd_) != 0) return FileError(errno, "write", path_);
  Artifact artifact{hash_.FinishHex(), size_bytes_};
  const std::string dir = DirOf(root_, artifact.sha256);
  absl::Status status = CreateDir(root_, dir);
  if (!status.ok()) return status;
  const std::string name = absl::StrCat(dir, "/", artifact.sha256);
  if (std::rename(path_.c_str(), name.c_str()) != 0) return FileError(errno, "write", name);
  status = SyncDir(dir);
  if (!status.ok()) return status;
  return artifact;
}

// -- reader -------------------------------------------------------------------

ArtifactReader::ArtifactReader(std::string sha256, std::string path, int fd, int64_t size_bytes)
    : sha256_(std::move(sha256)), path_(std::move(path)), fd_(fd), size_bytes_(size_bytes) {}

ArtifactReader::~ArtifactReader() { close(fd_); }

absl::StatusOr<std::string> ArtifactReader::Next(size_t bytes_max) {
  if (checked_) return std::string();
  const int64_t rest_bytes = size_bytes_ - read_bytes_;
  std::string piece(std::min(bytes_max, static_cast<size_t>(rest_bytes)), '\0');
  size_t filled = 0;
  while (filled < piece.size()) {
    const ssize_t got = read(fd_, &piece[filled], piece.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(errno, "read", path_);
    if (got == 0) break;  // cut short since: the hash will tell
    filled += static_cast<size_t>(got);
  }
  const bool cut_short = filled < piece.size();
  piece.resize(filled);
  hash_.Update(piece);
  read_bytes_ += static_cast<int64_t>(filled);
  if (read_bytes_ < size_bytes_ && !cut_short) return piece;
  checked_ = true;
  if (hash_.FinishHex() != sha256_) {
    return absl::DataLossError(
        absl::StrCat("artifact ", sha256_, ": its file's content no longer has that hash"));
  }
  return piece;
}

// -- the directory ------------------------------------------------------------

Artifacts::Artifacts(std::string root, int64_t bytes_max)
    : root_(std::move(root)), bytes_max_(bytes_max) {}

absl::StatusOr<std::unique_ptr<Artifacts>> Artifacts::Open(const std::string& data_dir,
                                                           int64_t bytes_max) {
  const std::string root = data_dir + "/artifacts";
  absl::Status status = CreateDir(data_dir, root);
  if (!status.ok()) return status;
  std::error_code error;
  std::filesystem::remove_all(TemporaryDir(root), error);
  if (error) return FileError(error.value(), "remove", TemporaryDir(root));
  status = CreateDir(root, TemporaryDir(root));
  if (!status.ok()) return status;
  return std::unique_ptr<Artifacts>(new Artifacts(root, bytes_max));
}

absl::StatusOr<std::unique_ptr<ArtifactUpload>> Artifacts::Create() const {
  std::string path = TemporaryDir(root_) + "/upload-XXXXXX";
  const int fd = mkostemp(&path[0], O_CLOEXEC);
  if (fd < 0) return FileError(errno, "create", path);
  return std::unique_ptr<ArtifactUpload>(new ArtifactUpload(root_, path, fd, bytes_max_));
}

absl::StatusOr<std::unique_ptr<ArtifactReader>> Artifacts::Read(absl::string_view sha256) const {
  if (!IsSha256(sha256)) {
    return absl::InvalidArgumentError(
        absl::StrCat("sha256 ", QuotedWord(sha256), ": must be 64 lower-case hex digits"));
  }
  const std::string path = absl::StrCat(DirOf(root_, sha256), "/", sha256);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    if (errno == ENOENT) return absl::NotFoundError(absl::StrCat("no artifact ", sha256));
    return FileError(errno, "open", path);
  }
  struct stat facts = {};
  const int result = fstat(fd, &facts);
  std::unique_ptr<ArtifactReader> reader(
      new ArtifactReader(std::string(sha256), path, fd, facts.st_size));
  if (result != 0) return FileError(errno, "read", path);
  return reader;
}

}  // namespace modlab
