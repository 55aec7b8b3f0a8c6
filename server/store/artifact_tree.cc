#include "server/store/artifact_tree.h"

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "lib/config/sha256.h"
#include "server/store/file_error.h"

namespace modlab {
namespace {

namespace fs = std::filesystem;

// Calls `visit` on each entry; a directory that vanished has none.
template <typename Visit>
absl::Status ForEachEntry(const fs::path& dir, const Visit& visit) {
  std::error_code error;
  fs::directory_iterator entry(dir, error);
  while (!error && entry != fs::directory_iterator()) {
    absl::Status status = visit(*entry);
    if (!status.ok()) return status;
    entry.increment(error);
  }
  if (!error || error.value() == ENOENT) return absl::OkStatus();
  return FileError(error.value(), "read", dir.string());
}

}  // namespace

std::string ArtifactPath(const std::string& data_dir, absl::string_view sha256) {
  return absl::StrCat(data_dir, "/artifacts/", sha256.substr(0, 2), "/", sha256);
}

std::string ArtifactTemporaryDir(const std::string& data_dir) {
  return data_dir + "/artifacts/tmp";
}

absl::Status ScanArtifactFiles(const std::string& data_dir,
                               const std::function<absl::Status(const ArtifactOnDisk&)>& visit) {
  return ForEachEntry(data_dir + "/artifacts", [&](const fs::directory_entry& top) {
    if (top.path() == ArtifactTemporaryDir(data_dir)) return absl::OkStatus();
    std::error_code error;
    if (!top.is_directory(error)) return visit({top.path().string(), ""});
    return ForEachEntry(top.path(), [&](const fs::directory_entry& file) {
      const std::string name = file.path().filename().string();
      const bool in_place = IsLowerHex(name, kSha256HexDigits) &&
                            file.path() == ArtifactPath(data_dir, name) &&
                            file.is_regular_file(error);
      return visit({file.path().string(), in_place ? name : ""});
    });
  });
}

}  // namespace modlab
