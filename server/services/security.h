// How a coordinator's calls are protected: certificates, tokens, or nothing.

#ifndef MODLAB_SERVER_SERVICES_SECURITY_H_
#define MODLAB_SERVER_SERVICES_SECURITY_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "grpcpp/security/server_credentials.h"
#include "server/access/access.h"
#include "server/services/listen_address.h"

namespace modlab {

// What the user asked for.
struct Security {
  // PEM files, read again when they change; "" without TLS.
  std::string tls_cert;
  std::string tls_key;
  // Callers must show a certificate that those in it signed.
  std::string tls_client_ca;
  // Serve a network without TLS and tokens.
  bool insecure = false;
  // Ask for tokens also where only this machine can call.
  bool require_tokens = false;
};

// Whether calls must carry a token: on a network, unless it is served insecurely.
bool TokensRequired(const ListenAddress& address, const Security& security);

// Whether this may be served. INVALID_ARGUMENT: flags that contradict each other,
// or a certificate that cannot be used. FAILED_PRECONDITION: a network without TLS,
// or tokens are required and `data_dir` has none. Messages say what to do.
absl::Status CheckSecurity(const ListenAddress& address, const Security& security,
                           const std::string& data_dir);

// For an address that CheckSecurity() passed. Every call is put to `access`, which
// must outlive the server, before anything else of it is read; those on a network
// that is served insecurely are not.
std::shared_ptr<grpc::ServerCredentials> MakeCredentials(const ListenAddress& address,
                                                         const Security& security, Access* access);

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_SECURITY_H_
