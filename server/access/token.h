// Tokens: what a caller shows to say who it is. The text of one,
// "modlab_<id>_<43 characters>", is known to its holder alone; the coordinator
// keeps the text's SHA-256. The last part is 32 random bytes, so that a plain hash
// is enough: there is nothing to guess.

#ifndef MODLAB_SERVER_ACCESS_TOKEN_H_
#define MODLAB_SERVER_ACCESS_TOKEN_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/access/role.h"

namespace modlab {

struct Token {
  std::string id;    // 8 lower-case hex digits; no secret
  std::string name;  // of whom it is for; the user of the sweeps that it submits
  Role role = Role::kRead;
  std::string sha256;  // of the text, 64 lower-case hex digits
  absl::Time created;
  absl::Time expires = absl::InfiniteFuture();
};

// INVALID_ARGUMENT unless 1..63 letters, digits, '-', '_', '.', '@'.
absl::Status CheckTokenName(absl::string_view name);

struct NewToken {
  Token token;
  std::string text;  // to be told once
};
// An id that none of `others` has. Thread-safe.
absl::StatusOr<NewToken> MakeToken(const std::string& name, Role role, absl::Time now,
                                   absl::Time expires, const std::vector<Token>& others);

// Of `tokens`, the one whose text this is; null if none. How long it takes says
// nothing of any secret. An expired one is found too.
const Token* FindToken(const std::vector<Token>& tokens, absl::string_view text);

}  // namespace modlab

#endif  // MODLAB_SERVER_ACCESS_TOKEN_H_
