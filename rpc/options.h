// What users say of their connection: files named by flags, and the environment.

#ifndef MODLAB_RPC_OPTIONS_H_
#define MODLAB_RPC_OPTIONS_H_

#include <string>

#include "absl/status/statusor.h"
#include "rpc/channel.h"

namespace modlab {

// Paths; "" where the flag was not given.
struct EndpointOptions {
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  std::string token_file;
};

// Reads the files. Without the flags: the certificates that MODLAB_TLS_CA names,
// and the token in MODLAB_TOKEN or in the file that MODLAB_TOKEN_FILE names. A
// variable that is empty counts as not set. A Unix socket needs no TLS: there
// MODLAB_TLS_CA is not looked at, and the flags are INVALID_ARGUMENT, as is a file
// that cannot be read or holds something else, and all that OpenChannel() refuses.
// Messages name flag or variable, and never a token. Not thread-safe (getenv).
absl::StatusOr<Endpoint> ReadEndpoint(const std::string& address, const EndpointOptions& options);

}  // namespace modlab

#endif  // MODLAB_RPC_OPTIONS_H_
