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
#include "lib/config/sha256.h"
#include "lib/config/words.h"
#include "server/store/file_error.h"

namespace modlab {
namespace {

std::string RootOf(const std::string& data_dir) { return data_dir + "/artifacts"; }
std::string TemporaryDir(const std::string& root) { return root + "/tmp"; }
std::string DirOf(const std::string& root, absl::string_view sha256) {
  return absl::StrCat(root, "/", sha256.substr(0, 2));
}
std::string PathOf(const std::string& root, absl::string_view sha256) {
  return absl::StrCat(DirOf(root, sha256), "/", sha256);
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

// Its name is on disk once its parent is synced.
absl::Status CreateDir(const std::string& path) {
  if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return absl::OkStatus();
  return FileError(errno, "create directory", path);
}

// Also those that are there are synced: the start that made them may have been cut short.
absl::Status CreateDirs(const std::string& root) {
  constexpr absl::string_view kDigits = "0123456789abcdef";
  absl::Status status = CreateDir(TemporaryDir(root));
  for (const char high : kDigits) {
    for (const char low : kDigits) {
      if (status.ok()) status = CreateDir(DirOf(root, std::string{high, low}));
    }
  }
  return status.ok() ? SyncDir(root) : status;
}

// 0 if it is not there.
int64_t FileSize(const std::string& path) {
  struct stat facts = {};
  return lstat(path.c_str(), &facts) == 0 ? int64_t{facts.st_size} : 0;
}

int64_t SumFileSizes(const std::string& root) {
  int64_t bytes = 0;
  std::error_code error;
  for (auto it = std::filesystem::recursive_directory_iterator(root, error);
       !error && it != std::filesystem::end(it); it.increment(error)) {
    if (it->is_regular_file(error)) bytes += FileSize(it->path().string());
  }
  return bytes;
}

}  // namespace

// -- upload -------------------------------------------------------------------

absl::Status ArtifactSpace::Take(int64_t bytes) {
  if (closed_) {
    return absl::ResourceExhaustedError(
        "disk full: until there is room again no artifact is taken; free some space and try again");
  }
  const int64_t used_bytes = used_bytes_.fetch_add(bytes) + bytes;
  if (bytes_max_ == 0 || used_bytes <= bytes_max_) return absl::OkStatus();
  GiveBack(bytes);
  return absl::ResourceExhaustedError(
      absl::StrCat("artifacts: there are ", used_bytes - bytes, " bytes; at most ", bytes_max_,
                   " are allowed (modlabd --artifacts-max-gib). Removing old sweeps makes room"));
}

ArtifactUpload::ArtifactUpload(std::string root, std::string path, int fd, int64_t bytes_max,
                               std::shared_ptr<ArtifactSpace> space)
    : root_(std::move(root)),
      path_(std::move(path)),
      fd_(fd),
      bytes_max_(bytes_max),
      space_(std::move(space)) {}

ArtifactUpload::~ArtifactUpload() {
  close(fd_);
  unlink(path_.c_str());  // fails once it has been renamed, as it should
  space_->GiveBack(taken_bytes_);
}

absl::Status ArtifactUpload::Append(absl::string_view data) {
  const auto size = static_cast<int64_t>(data.size());
  if (size > bytes_max_ - size_bytes_) {
    return absl::InvalidArgumentError(
        absl::StrCat("artifact: larger than the limit of ", bytes_max_, " bytes"));
  }
  absl::Status status = space_->Take(size);
  if (!status.ok()) return status;
  taken_bytes_ += size;
  hash_.Update(data);
  size_bytes_ += size;
  while (!data.empty()) {
    const ssize_t written = write(fd_, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError(errno, "write", path_);
    data.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::StatusOr<Artifact> ArtifactUpload::Seal() {
  if (fsync(fd_) != 0) return FileError(errno, "write", path_);
  sha256_ = hash_.FinishHex();
  return Artifact{sha256_, size_bytes_};
}

absl::Status ArtifactUpload::Publish() {
  const std::string name = PathOf(root_, sha256_);
  {
    const MutexLock lock(space_->names());
    const int64_t replaced_bytes = FileSize(name);
    if (std::rename(path_.c_str(), name.c_str()) != 0) return FileError(errno, "write", name);
    taken_bytes_ = replaced_bytes;
  }
  return SyncDir(DirOf(root_, sha256_));
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

Artifacts::Artifacts(const std::string& data_dir, const Options& options)
    : root_(RootOf(data_dir)),
      bytes_max_(options.bytes_max),
      space_(std::make_shared<ArtifactSpace>(SumFileSizes(root_), options.total_bytes_max)),
      reserve_(data_dir + "/reserve", options.reserve_bytes) {}

absl::StatusOr<std::unique_ptr<Artifacts>> Artifacts::Open(const std::string& data_dir,
                                                           const Options& options) {
  const std::string root = RootOf(data_dir);
  absl::Status status = CreateDir(root);
  if (status.ok()) status = SyncDir(data_dir);
  if (!status.ok()) return status;
  std::error_code error;
  std::filesystem::remove_all(TemporaryDir(root), error);
  if (error) return FileError(error.value(), "remove", TemporaryDir(root));
  status = CreateDirs(root);
  if (!status.ok()) return status;
  std::unique_ptr<Artifacts> artifacts(new Artifacts(data_dir, options));
  artifacts->KeepReserve();
  return artifacts;
}

absl::StatusOr<std::unique_ptr<ArtifactUpload>> Artifacts::Create() const {
  std::string path = TemporaryDir(root_) + "/upload-XXXXXX";
  const int fd = mkostemp(&path[0], O_CLOEXEC);
  if (fd < 0) return FileError(errno, "create", path);
  return std::unique_ptr<ArtifactUpload>(new ArtifactUpload(root_, path, fd, bytes_max_, space_));
}

absl::StatusOr<std::unique_ptr<ArtifactReader>> Artifacts::Read(absl::string_view sha256) const {
  if (!IsLowerHex(sha256, kSha256HexDigits)) {
    return absl::InvalidArgumentError(
        absl::StrCat("sha256 ", QuotedWord(sha256), ": must be 64 lower-case hex digits"));
  }
  const std::string path = PathOf(root_, sha256);
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

bool Artifacts::Contains(absl::string_view sha256) const {
  struct stat facts = {};
  return lstat(PathOf(root_, sha256).c_str(), &facts) == 0 || errno != ENOENT;
}

absl::Status Artifacts::Remove(absl::string_view sha256) {
  const std::string path = PathOf(root_, sha256);
  const MutexLock lock(space_->names());
  const int64_t bytes = FileSize(path);
  if (unlink(path.c_str()) != 0) {
    return errno == ENOENT ? absl::OkStatus() : FileError(errno, "remove", path);
  }
  space_->GiveBack(bytes);
  const MutexLock removals_lock(&removals_mutex_);
  removed_from_.insert(DirOf(root_, sha256));
  return absl::OkStatus();
}

absl::Status Artifacts::SyncRemovals() {
  const MutexLock lock(&removals_mutex_);
  while (!removed_from_.empty()) {
    absl::Status status = SyncDir(*removed_from_.begin());
    if (!status.ok()) return status;
    removed_from_.erase(removed_from_.begin());
  }
  return absl::OkStatus();
}

void Artifacts::UseReserve() {
  if (reserve_.LetGo()) space_->set_closed(true);
}

void Artifacts::KeepReserve() {
  if (reserve_.Keep().ok()) space_->set_closed(false);
}

}  // namespace modlab
