#include "lib/config/sha256.h"

#include <openssl/evp.h>

#include <new>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"

namespace modlab {
namespace {

void Check(int openssl_result) {
  if (openssl_result != 1) throw std::bad_alloc();
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  Check(context_ != nullptr ? EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) : 0);
}

void Sha256::Update(absl::string_view data) {
  Check(EVP_DigestUpdate(context_.get(), data.data(), data.size()));
}

std::string Sha256::FinishHex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  Check(EVP_DigestFinal_ex(context_.get(), digest, &size));
  return absl::BytesToHexString(std::string(digest, digest + size));
}

std::string Sha256Hex(absl::string_view data) {
  Sha256 hash;
  hash.Update(data);
  return hash.FinishHex();
}

bool IsLowerHex(absl::string_view text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

}  // namespace modlab
