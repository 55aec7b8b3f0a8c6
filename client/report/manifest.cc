#include "client/report/manifest.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "lib/config/sha256.h"

namespace modlab {
namespace {

namespace fs = std::filesystem;

constexpr char kHeader[] = "# Files of a modlab report. The next one here removes those it lacks.";
constexpr uintmax_t kManifestBytesMax = uintmax_t{1} << 20;
constexpr size_t kPieceBytes = size_t{1} << 16;

// A file that a report may have written, and not a way out of its directory.
bool IsNameOfOurs(absl::string_view name) {
  if (!absl::ConsumeSuffix(&name, ".svg") && !absl::ConsumeSuffix(&name, ".csv")) return false;
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-';
  });
}

// Empty where there is none, or something else by its name.
Manifest ReadManifest(const fs::path& path) {
  std::error_code error;
  const uintmax_t size = fs::file_size(path, error);
  if (error || size > kManifestBytesMax) return {};
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  Manifest manifest;
  if (lines[0] != kHeader) return manifest;
  for (const std::string& line : lines) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(line, absl::MaxSplits("  ", 1));
    if (IsNameOfOurs(parts.second)) manifest[parts.second] = parts.first;
  }
  return manifest;
}

// "" where it cannot be read.
std::string HashOf(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  Sha256 hash;
  std::vector<char> piece(kPieceBytes);
  while (file) {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    hash.Update({piece.data(), static_cast<size_t>(file.gcount())});
  }
  return file.eof() ? hash.FinishHex() : "";
}

}  // namespace

std::string ManifestText(const Manifest& manifest) {
  std::string text = absl::StrCat(kHeader, "\n");
  for (const auto& [name, hash] : manifest) absl::StrAppend(&text, hash, "  ", name, "\n");
  return text;
}

absl::Status RemoveStale(const std::string& directory, const Manifest& now,
                         const std::function<void(const std::string&)>& say) {
  for (const auto& [name, hash] : ReadManifest(fs::path(directory) / kManifestName)) {
    const fs::path path = fs::path(directory) / name;
    std::error_code error;
    if (now.count(name) > 0 || !fs::exists(fs::symlink_status(path, error))) continue;
    if (!fs::is_regular_file(fs::symlink_status(path, error)) || HashOf(path) != hash) {
      say(absl::StrCat(path.string(),
                       " is of an earlier report, and was changed since: it stays, and is not of "
                       "this one"));
      continue;
    }
    if (!fs::remove(path, error) && error) {
      return absl::InternalError(absl::StrCat("cannot remove ", path.string(),
                                              " of an earlier report: ", error.message()));
    }
    say(absl::StrCat("removed ", path.string(), " of an earlier report"));
  }
  return absl::OkStatus();
}

}  // namespace modlab
