// SHA-256, as lower-case hex: the names of jobs and of artifacts.

#ifndef MODLAB_LIB_CONFIG_SHA256_H_
#define MODLAB_LIB_CONFIG_SHA256_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace modlab {

// The hash of what was given piece by piece. Not thread-safe. Throws
// std::bad_alloc, the only way in which OpenSSL fails here.
class Sha256 {
 public:
  Sha256();

  void Update(absl::string_view data);
  // 64 lower-case hex digits. Ends the hash: call it once, and last.
  std::string FinishHex();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

// The same of one piece. Thread-safe.
std::string Sha256Hex(absl::string_view data);

inline constexpr size_t kSha256HexDigits = 64;

// Whether `text` is so many lower-case hex digits, as hashes and ids are written.
// Thread-safe.
bool IsLowerHex(absl::string_view text, size_t digits);

}  // namespace modlab

#endif  // MODLAB_LIB_CONFIG_SHA256_H_
