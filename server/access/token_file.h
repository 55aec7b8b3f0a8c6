// The coordinator's tokens on disk: DIR/tokens.json, for its owner alone.
//
// Whoever changes it holds a lock on DIR/tokens.lock and puts a whole new file in
// its place, so that a reader sees the old one or the new one, without locking.

#ifndef MODLAB_SERVER_ACCESS_TOKEN_FILE_H_
#define MODLAB_SERVER_ACCESS_TOKEN_FILE_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/access/token.h"

namespace modlab {

inline constexpr size_t kTokensMax = 10'000;

std::string TokenFilePath(const std::string& data_dir);

// No token where there is no file. FAILED_PRECONDITION: it cannot be read, others
// than its owner may write it, or it is damaged; says where. Thread-safe.
absl::StatusOr<std::vector<Token>> ReadTokenFile(const std::string& data_dir);

// Reads the tokens, lets `change` change them, and writes them, on disk when it
// returns. Makes the directory if need be; what is made belongs to the directory's
// owner. Errors of `change` leave all as it was. RESOURCE_EXHAUSTED: the disk is
// full, or more than kTokensMax. Blocks while others change it.
absl::Status ChangeTokenFile(const std::string& data_dir,
                             const std::function<absl::Status(std::vector<Token>*)>& change);

}  // namespace modlab

#endif  // MODLAB_SERVER_ACCESS_TOKEN_FILE_H_
