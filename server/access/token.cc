#include "server/access/token.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "lib/config/sha256.h"

namespace modlab {
namespace {

constexpr absl::string_view kPrefix = "modlab_";
constexpr size_t kIdBytes = 4;
constexpr size_t kIdDigits = 2 * kIdBytes;
constexpr size_t kSecretBytes = 32;
constexpr size_t kNameBytesMax = 63;

absl::StatusOr<std::string> RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) != 1) {
    return absl::InternalError("the system gives no random numbers");
  }
  return bytes;
}

bool HasId(const std::vector<Token>& tokens, absl::string_view id) {
  return std::any_of(tokens.begin(), tokens.end(),
                     [id](const Token& token) { return token.id == id; });
}

}  // namespace

absl::Status CheckTokenName(absl::string_view name) {
  const bool good = !name.empty() && name.size() <= kNameBytesMax &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' ||
                             c == '_' || c == '.' || c == '@';
                    });
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the name \"", absl::CHexEscape(name.substr(0, kNameBytesMax + 1)),
                   "\" is not allowed; allowed are 1 to ", kNameBytesMax,
                   " letters, digits, \"-\", \"_\", \".\" and \"@\""));
}

absl::StatusOr<NewToken> MakeToken(const std::string& name, Role role, absl::Time now,
                                   absl::Time expires, const std::vector<Token>& others) {
  const absl::Status name_status = CheckTokenName(name);
  if (!name_status.ok()) return name_status;
  NewToken made;
  do {
    const absl::StatusOr<std::string> id = RandomBytes(kIdBytes);
    if (!id.ok()) return id.status();
    made.token.id = absl::BytesToHexString(*id);
  } while (HasId(others, made.token.id));
  const absl::StatusOr<std::string> secret = RandomBytes(kSecretBytes);
  if (!secret.ok()) return secret.status();
  made.text = absl::StrCat(kPrefix, made.token.id, "_", absl::WebSafeBase64Escape(*secret));
  made.token.name = name;
  made.token.role = role;
  made.token.sha256 = Sha256Hex(made.text);
  made.token.created = now;
  made.token.expires = expires;
  return made;
}

const Token* FindToken(const std::vector<Token>& tokens, absl::string_view text) {
  absl::string_view rest = text;
  if (!absl::ConsumePrefix(&rest, kPrefix)) return nullptr;
  const absl::string_view id = rest.substr(0, kIdDigits);
  const auto found = std::find_if(tokens.begin(), tokens.end(),
                                  [id](const Token& token) { return token.id == id; });
  if (found == tokens.end()) return nullptr;
  const std::string sha256 = Sha256Hex(text);
  const bool same = sha256.size() == found->sha256.size() &&
                    CRYPTO_memcmp(sha256.data(), found->sha256.data(), sha256.size()) == 0;
  return same ? &*found : nullptr;
}

}  // namespace modlab
