#include "server/access/access.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/access/role.h"
#include "server/access/token_file.h"
#include "spdlog/spdlog.h"

namespace modlab {
namespace {

constexpr absl::string_view kScheme = "Bearer ";
// Users whose tokens are long revoked need no bucket any more.
constexpr size_t kBucketsMax = 2 * kTokensMax;

bool SameFile(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_size == b.st_size && a.st_mode == b.st_mode &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec &&
         a.st_ctim.tv_sec == b.st_ctim.tv_sec && a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

}  // namespace

Access::Access(Options options)
    : options_(std::move(options)), path_(TokenFilePath(options_.data_dir)), seen_() {}

absl::Status Access::Check(absl::string_view method, absl::string_view authorization,
                           absl::Time now) {
  const absl::StatusOr<std::string> user = Admit(method, authorization, now);
  if (!user.ok()) return user.status();
  if (NeedOf(method) != Need::kSubmit) return absl::OkStatus();
  return CountChange(*user, now);
}

absl::Status Access::Recheck(absl::string_view method, absl::string_view authorization,
                             absl::Time now) {
  return Admit(method, authorization, now).status();
}

std::string Access::User(absl::string_view authorization, absl::Time now) {
  if (authorization.empty()) return "";
  const absl::StatusOr<std::shared_ptr<const Token>> token = Find(authorization, now);
  return token.ok() ? (*token)->name : "";
}

absl::StatusOr<std::string> Access::Admit(absl::string_view method, absl::string_view authorization,
                                          absl::Time now) {
  const std::optional<Need> need = NeedOf(method);
  if (need == Need::kNothing) return std::string();
  if (!options_.tokens_required) {
    if (need.has_value()) return std::string();
    return absl::UnimplementedError("there is no such call");
  }
  if (authorization.empty()) {
    return absl::UnauthenticatedError("the call carries no token, and one is asked for here");
  }
  const absl::StatusOr<std::shared_ptr<const Token>> token = Find(authorization, now);
  if (!token.ok()) return token.status();
  if (!need.has_value()) return absl::UnimplementedError("there is no such call");
  if (!Allows((*token)->role, *need)) {
    return absl::PermissionDeniedError(absl::StrCat(
        "the token of ", (*token)->name, " has the role ", RoleName((*token)->role),
        "; this call (", method.substr(method.rfind('/') + 1), ") needs ", RolesFor(*need)));
  }
  return (*token)->name;
}

absl::StatusOr<std::shared_ptr<const Token>> Access::Find(absl::string_view authorization,
                                                          absl::Time now) {
  if (!absl::StartsWithIgnoreCase(authorization, kScheme)) {
    return absl::UnauthenticatedError("\"authorization\" must be \"Bearer TOKEN\"");
  }
  const absl::StatusOr<Tokens> tokens = Read();
  if (!tokens.ok()) return tokens.status();
  const Token* token = FindToken(**tokens, authorization.substr(kScheme.size()));
  if (token == nullptr) {
    return absl::UnauthenticatedError("the token is not known here; it may have been revoked");
  }
  if (token->expires <= now) {
    return absl::UnauthenticatedError(
        absl::StrCat("the token of ", token->name, " expired on ",
                     absl::FormatTime("%Y-%m-%d", token->expires, absl::UTCTimeZone())));
  }
  return std::shared_ptr<const Token>(*tokens, token);
}

absl::StatusOr<Access::Tokens> Access::Read() {
  const MutexLock lock(&mutex_);
  struct stat now_seen {};
  if (stat(path_.c_str(), &now_seen) != 0) {
    if (errno != ENOENT) {
      return absl::UnavailableError("the coordinator cannot read its tokens; its log says why");
    }
    now_seen = {};
  }
  if (has_seen_ && SameFile(seen_, now_seen)) return tokens_;
  has_seen_ = true;
  seen_ = now_seen;
  absl::StatusOr<std::vector<Token>> tokens = ReadTokenFile(options_.data_dir);
  if (tokens.ok()) {
    spdlog::info("{} tokens read from {}", tokens->size(), path_);
    tokens_ = std::make_shared<const std::vector<Token>>(*std::move(tokens));
  } else {
    spdlog::error("no token is taken: {}", std::string(tokens.status().message()));
    tokens_ = absl::UnavailableError("the coordinator cannot read its tokens; its log says why");
  }
  return tokens_;
}

absl::Status Access::CountChange(const std::string& user, absl::Time now) {
  const MutexLock lock(&mutex_);
  if (buckets_.size() >= kBucketsMax) buckets_.clear();
  const auto [at, is_new] = buckets_.try_emplace(user, Bucket{options_.changes_burst, now});
  Bucket& bucket = at->second;
  if (now > bucket.filled) {
    bucket.left = std::min(
        options_.changes_burst,
        bucket.left + options_.changes_per_second * absl::ToDoubleSeconds(now - bucket.filled));
    bucket.filled = now;
  }
  if (bucket.left >= 1) {
    bucket.left -= 1;
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      user.empty() ? "callers without a token" : user, " changed sweeps too often: allowed are ",
      options_.changes_burst, " such calls at once and ", options_.changes_per_second,
      " a second; try again in a second"));
}

}  // namespace modlab
