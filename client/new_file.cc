#include "client/new_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace modlab {
namespace {

namespace fs = std::filesystem;

constexpr int kLinksMax = 40;  // as many as Linux follows

absl::Status CannotWrite(const std::string& path, const char* why) {
  return absl::InternalError(absl::StrCat("cannot write ", path, ": ", why));
}

// What the path means in the end, whether it exists or not.
fs::path Followed(fs::path path) {
  std::error_code error;
  for (int i = 0; i < kLinksMax && fs::is_symlink(path, error); ++i) {
    const fs::path target = fs::read_symlink(path, error);
    if (error) break;
    path = path.parent_path() / target;
  }
  return path;
}

// What open() would have given it: mkstemp() lets nobody else read.
mode_t UsualMode() {
  const mode_t mask = umask(0);
  umask(mask);
  return 0666U & ~mask;
}

}  // namespace

absl::StatusOr<std::unique_ptr<NewFile>> NewFile::Create(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("the name of the file to write is empty");
  const fs::path target = Followed(path);
  std::error_code error;
  const fs::file_status status = fs::status(target, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot write ", path, ": it exists and is no regular file; name a file, or a new one"));
  }
  std::string partial = (target.parent_path() / ".modlab-XXXXXX").string();
  const int file = mkstemp(&partial[0]);
  if (file < 0) return CannotWrite(path, std::strerror(errno));
  const bool ok = fchmod(file, UsualMode()) == 0;
  const int why = errno;
  close(file);
  std::unique_ptr<NewFile> result(new NewFile(target.string(), std::move(partial)));
  if (!ok) return CannotWrite(path, std::strerror(why));
  return result;
}

NewFile::~NewFile() {
  if (!partial_.empty()) std::remove(partial_.c_str());
}

absl::Status NewFile::Commit() {
  if (std::rename(partial_.c_str(), target_.c_str()) != 0) {
    return CannotWrite(target_, std::strerror(errno));
  }
  partial_.clear();
  return absl::OkStatus();
}

}  // namespace modlab
