#include "server/services/security.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "server/access/token_file.h"
#include "server/services/call_guard.h"

namespace modlab {
namespace {

constexpr unsigned int kCertificateRefreshSeconds = 10;

absl::Status Bad(absl::string_view flag, const std::string& path) {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return absl::InvalidArgumentError(
      absl::StrCat(flag, ": ", path, " cannot be used: ", reason == nullptr ? "unknown" : reason,
                   "; a PEM file is expected"));
}

// gRPC would find out with the first caller, and tell nobody.
absl::Status CheckCertificates(const Security& security) {
  ERR_clear_error();
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_server_method()),
                                                             &SSL_CTX_free);
  if (context == nullptr) return absl::InternalError("OpenSSL cannot be used");
  if (SSL_CTX_use_certificate_chain_file(context.get(), security.tls_cert.c_str()) != 1) {
    return Bad("--tls-cert", security.tls_cert);
  }
  // An encrypted key would ask for its password on the terminal.
  SSL_CTX_set_default_passwd_cb(context.get(), [](char*, int, int, void*) { return -1; });
  if (SSL_CTX_use_PrivateKey_file(context.get(), security.tls_key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return Bad("--tls-key", security.tls_key);
  }
  if (!security.tls_client_ca.empty() &&
      SSL_CTX_load_verify_locations(context.get(), security.tls_client_ca.c_str(), nullptr) != 1) {
    return Bad("--tls-client-ca", security.tls_client_ca);
  }
  return absl::OkStatus();
}

absl::Status CheckTokens(const ListenAddress& address, const std::string& data_dir) {
  const absl::StatusOr<std::vector<Token>> tokens = ReadTokenFile(data_dir);
  if (!tokens.ok()) return tokens.status();
  const absl::Time now = absl::Now();
  if (std::any_of(tokens->begin(), tokens->end(),
                  [now](const Token& token) { return token.expires > now; })) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "calls to ", address.ToString(), " must carry a token, and ", data_dir,
      " has none that is valid: make one with `modlabd tokens create --name NAME --role admin "
      "--data-dir ",
      data_dir, "`, and one with --role worker for the workers"));
}

std::shared_ptr<grpc::ServerCredentials> TlsCredentials(const Security& security) {
  namespace tls = grpc::experimental;
  const bool asks = !security.tls_client_ca.empty();
  tls::TlsServerCredentialsOptions options(std::make_shared<tls::FileWatcherCertificateProvider>(
      security.tls_key, security.tls_cert, security.tls_client_ca, kCertificateRefreshSeconds));
  options.watch_identity_key_cert_pairs();
  if (asks) options.watch_root_certs();
  options.set_cert_request_type(asks ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                     : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  return tls::TlsServerCredentials(options);
}

}  // namespace

bool TokensRequired(const ListenAddress& address, const Security& security) {
  return security.require_tokens || (!address.is_local() && !security.insecure);
}

absl::Status CheckSecurity(const ListenAddress& address, const Security& security,
                           const std::string& data_dir) {
  const bool tls = !security.tls_cert.empty();
  if (tls != !security.tls_key.empty()) {
    return absl::InvalidArgumentError("--tls-cert and --tls-key are given both or neither");
  }
  if (!tls && !security.tls_client_ca.empty()) {
    return absl::InvalidArgumentError("--tls-client-ca needs --tls-cert and --tls-key");
  }
  if (tls && address.is_unix()) {
    return absl::InvalidArgumentError(
        absl::StrCat("TLS is for HOST:PORT; ", address.ToString(),
                     " does not leave this machine: leave out --tls-cert and --tls-key"));
  }
  if (security.insecure && (tls || security.require_tokens)) {
    return absl::InvalidArgumentError(
        "--insecure serves everyone, without TLS and tokens: leave it out, or --tls-cert, "
        "--tls-key and --require-tokens");
  }
  if (!tls && !security.insecure && !address.is_local()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "other machines can reach ", address.ToString(),
        ": give --tls-cert FILE and --tls-key FILE, and make tokens with `modlabd tokens create "
        "--data-dir ",
        data_dir,
        "`. Or listen at 127.0.0.1 or unix:PATH. Or, where everyone who can reach it may do "
        "everything, give --insecure"));
  }
  if (tls) {
    const absl::Status usable = CheckCertificates(security);
    if (!usable.ok()) return usable;
  }
  return TokensRequired(address, security) ? CheckTokens(address, data_dir) : absl::OkStatus();
}

std::shared_ptr<grpc::ServerCredentials> MakeCredentials(const ListenAddress& address,
                                                         const Security& security, Access* access) {
  std::shared_ptr<grpc::ServerCredentials> credentials;
  if (!security.tls_cert.empty()) {
    credentials = TlsCredentials(security);
  } else if (address.is_local()) {
    credentials = grpc::experimental::LocalServerCredentials(address.is_unix() ? UDS : LOCAL_TCP);
  } else {
    // gRPC takes no guard without credentials.
    return grpc::InsecureServerCredentials();
  }
  credentials->SetAuthMetadataProcessor(std::make_shared<CallGuard>(access));
  return credentials;
}

}  // namespace modlab
