#include "server/care/artifact_pins.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "lib/config/sha256.h"
#include "server/store/artifact_tree.h"
#include "server/store/file_error.h"

namespace modlab {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;

}  // namespace

std::string ArtifactPins::PathOf(absl::string_view sha256) const {
  return absl::StrCat(directory_, "/", sha256);
}

absl::StatusOr<int64_t> ArtifactPins::Pin(absl::string_view sha256) {
  const std::string from = ArtifactPath(data_dir_, sha256);
  const std::string to = PathOf(sha256);
  if (link(from.c_str(), to.c_str()) != 0 && errno != EEXIST) {
    if (errno == ENOENT) return absl::NotFoundError(absl::StrCat("no artifact ", sha256));
    return FileError(errno, "link", from);
  }
  struct stat facts = {};
  if (stat(to.c_str(), &facts) != 0) return FileError(errno, "read", to);
  return int64_t{facts.st_size};
}

absl::Status ArtifactPins::Read(absl::string_view sha256,
                                const std::function<absl::Status(absl::string_view)>& visit) const {
  const std::string path = PathOf(sha256);
  std::ifstream file(path, std::ios::binary);
  Sha256 hash;
  std::string piece(kPieceBytes, '\0');
  while (file) {
    file.read(&piece[0], static_cast<std::streamsize>(piece.size()));
    const absl::string_view got(piece.data(), static_cast<size_t>(file.gcount()));
    if (got.empty()) break;
    hash.Update(got);
    absl::Status status = visit(got);
    if (!status.ok()) return status;
  }
  if (!file.eof()) return FileError(errno, "read", path);
  if (hash.FinishHex() == sha256) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("artifact ", sha256, ": its file's content no longer has that hash"));
}

}  // namespace modlab
