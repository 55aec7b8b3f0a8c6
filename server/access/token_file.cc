#include "server/access/token_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/store/file_error.h"

namespace modlab {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kFileBytesMax = size_t{16} << 20;
constexpr char kTimeFormat[] = "%Y-%m-%dT%H:%M:%SZ";

// Closes it in the end.
class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int fd() const { return fd_; }

 private:
  const int fd_;
};

bool IsHex(absl::string_view text, size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
         });
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime(kTimeFormat, time, absl::UTCTimeZone());
}

std::string Text(const Json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<absl::Time> Time(const Json& row, const char* key) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(kTimeFormat, Text(row, key), &time, &error)) return std::nullopt;
  return time;
}

// Empty if anything in it is not as written here.
std::optional<Token> ReadToken(const Json& row) {
  if (!row.is_object()) return std::nullopt;
  Token token;
  token.id = Text(row, "id");
  token.name = Text(row, "name");
  token.sha256 = Text(row, "sha256");
  const std::optional<Role> role = ParseRole(Text(row, "role"));
  const std::optional<absl::Time> created = Time(row, "created");
  const std::optional<absl::Time> expires =
      row.contains("expires") ? Time(row, "expires") : absl::InfiniteFuture();
  if (!IsHex(token.id, 8) || !CheckTokenName(token.name).ok() || !IsHex(token.sha256, 64) ||
      !role.has_value() || !created.has_value() || !expires.has_value()) {
    return std::nullopt;
  }
  token.role = *role;
  token.created = *created;
  token.expires = *expires;
  return token;
}

absl::Status Damaged(const std::string& path, absl::string_view where) {
  return absl::FailedPreconditionError(
      absl::StrCat(path, " is damaged (", where, "): put a good copy in its place, or remove it ",
                   "and make new tokens with `modlabd tokens create`"));
}

absl::StatusOr<std::vector<Token>> ParseTokens(const std::string& text, const std::string& path) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto rows = json.is_object() ? json.find("tokens") : json.end();
  if (rows == json.end() || !rows->is_array()) return Damaged(path, "no list of tokens");
  if (rows->size() > kTokensMax) return Damaged(path, "too many tokens");
  std::vector<Token> tokens;
  for (const Json& row : *rows) {
    std::optional<Token> token = ReadToken(row);
    if (!token.has_value()) {
      return Damaged(path, absl::StrCat("token ", tokens.size() + 1, " of the list"));
    }
    tokens.push_back(*std::move(token));
  }
  return tokens;
}

std::string Print(const std::vector<Token>& tokens) {
  Json rows = Json::array();
  for (const Token& token : tokens) {
    Json row = {{"id", token.id},
                {"name", token.name},
                {"role", std::string(RoleName(token.role))},
                {"sha256", token.sha256},
                {"created", TimeText(token.created)}};
    if (token.expires != absl::InfiniteFuture()) row["expires"] = TimeText(token.expires);
    rows.push_back(std::move(row));
  }
  return Json{{"tokens", std::move(rows)}}.dump(2) + "\n";
}

// A file of root's in another one's directory could not be read by that one.
absl::Status GiveToOwnerOf(const std::string& data_dir, int fd, const std::string& path) {
  struct stat directory {};
  if (geteuid() != 0 || stat(data_dir.c_str(), &directory) != 0) return absl::OkStatus();
  if (fchown(fd, directory.st_uid, directory.st_gid) == 0) return absl::OkStatus();
  return FileError(errno, "give away", path);
}

absl::Status WriteAll(int fd, absl::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return FileError(written < 0 ? errno : ENOSPC, "write", path);
    text.remove_prefix(static_cast<size_t>(written));
  }
  return fsync(fd) == 0 ? absl::OkStatus() : FileError(errno, "write", path);
}

absl::Status Replace(const std::string& data_dir, const std::string& text) {
  const std::string path = TokenFilePath(data_dir);
  const std::string fresh = path + ".new";
  unlink(fresh.c_str());  // of one who was interrupted; we hold the lock
  {
    const File file(open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file.fd() < 0) return FileError(errno, "create", fresh);
    absl::Status status = GiveToOwnerOf(data_dir, file.fd(), fresh);
    if (status.ok()) status = WriteAll(file.fd(), text, fresh);
    if (!status.ok()) return status;
  }
  if (rename(fresh.c_str(), path.c_str()) != 0) return FileError(errno, "write", path);
  const File directory(open(data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.fd() < 0 || fsync(directory.fd()) != 0) return FileError(errno, "write", data_dir);
  return absl::OkStatus();
}

}  // namespace

std::string TokenFilePath(const std::string& data_dir) { return data_dir + "/tokens.json"; }

absl::StatusOr<std::vector<Token>> ReadTokenFile(const std::string& data_dir) {
  const std::string path = TokenFilePath(data_dir);
  const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd() < 0) {
    if (errno == ENOENT) return std::vector<Token>();
    return FileError(errno, "read", path);
  }
  struct stat state {};
  if (fstat(file.fd(), &state) != 0) return FileError(errno, "read", path);
  if ((state.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " can be written by others than its owner: look it through, then chmod 600 it"));
  }
  std::string text(kFileBytesMax + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = read(file.fd(), &text[size], text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(errno, "read", path);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > kFileBytesMax) return Damaged(path, "too long");
  text.resize(size);
  return ParseTokens(text, path);
}

absl::Status ChangeTokenFile(const std::string& data_dir,
                             const std::function<absl::Status(std::vector<Token>*)>& change) {
  std::error_code error;
  std::filesystem::create_directories(data_dir, error);
  if (error) return FileError(error.value(), "create directory", data_dir);
  const std::string lock_path = data_dir + "/tokens.lock";
  const File lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.fd() < 0) return FileError(errno, "open", lock_path);
  absl::Status status = GiveToOwnerOf(data_dir, lock.fd(), lock_path);
  if (!status.ok()) return status;
  while (flock(lock.fd(), LOCK_EX) != 0) {
    if (errno != EINTR) return FileError(errno, "lock", lock_path);
  }
  absl::StatusOr<std::vector<Token>> tokens = ReadTokenFile(data_dir);
  if (!tokens.ok()) return tokens.status();
  status = change(&*tokens);
  if (!status.ok()) return status;
  if (tokens->size() > kTokensMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat(kTokensMax, " tokens are there already: revoke some"));
  }
  return Replace(data_dir, Print(*tokens));
}

}  // namespace modlab
