#include "tests/e2e/certificates.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>

namespace modlab::e2e {
namespace {

template <typename T, void (*Free)(T*)>
struct Freer {
  void operator()(T* object) const { Free(object); }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509, X509_free>>;
using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

constexpr long kValidSeconds = 3600;

File Create(const std::string& path) {
  File file(std::fopen(path.c_str(), "wbe"), &std::fclose);
  EXPECT_NE(file, nullptr) << path;
  return file;
}

void AddExtension(X509* certificate, X509* issuer, int id, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
  EXPECT_NE(extension, nullptr) << value;
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Certificate Make(const std::string& name, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key) {
  static long serial = 0;
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kValidSeconds);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509* const signer = issuer == nullptr ? certificate.get() : issuer;
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer));
  if (issuer == nullptr) {
    AddExtension(certificate.get(), signer, NID_basic_constraints, "critical,CA:TRUE");
  } else {
    AddExtension(certificate.get(), signer, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  }
  EXPECT_GT(X509_sign(certificate.get(), issuer_key, EVP_sha256()), 0);
  return certificate;
}

void Write(const std::string& path, X509* certificate) {
  EXPECT_EQ(PEM_write_X509(Create(path).get(), certificate), 1) << path;
}

}  // namespace

struct Authority::Identity {
  Key key;
  Certificate certificate;
};

Authority::Authority(const std::string& dir, const std::string& name)
    : dir_(dir), path_(dir + "/" + name + ".pem"), identity_(std::make_unique<Identity>()) {
  identity_->key.reset(EVP_EC_gen("P-256"));
  identity_->certificate = Make(name, identity_->key.get(), nullptr, identity_->key.get());
  Write(path_, identity_->certificate.get());
}

Authority::~Authority() = default;

Authority::Pair Authority::Issue(const std::string& name) const {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate =
      Make(name, key.get(), identity_->certificate.get(), identity_->key.get());
  const Pair pair = {dir_ + "/" + name + ".pem", dir_ + "/" + name + ".key"};
  Write(pair.certificate, certificate.get());
  EXPECT_EQ(PEM_write_PrivateKey(Create(pair.key).get(), key.get(), nullptr, nullptr, 0, nullptr,
                                 nullptr),
            1);
  return pair;
}

}  // namespace modlab::e2e
