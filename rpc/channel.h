// Connections to a coordinator: encrypted or not, with a token or without. What
// the command line, workers and tests call through.

#ifndef MODLAB_RPC_CHANNEL_H_
#define MODLAB_RPC_CHANNEL_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "grpcpp/channel.h"
#include "grpcpp/support/channel_arguments.h"

namespace modlab {

// Where a coordinator is and who calls it. rpc/options.h reads one from flags,
// files and the environment.
struct Endpoint {
  std::string address;   // "host:port" or "unix:path"
  std::string tls_ca;    // PEM of the certificates that sign the coordinator's; "": no TLS
  std::string tls_cert;  // PEM of a client certificate and its key; both or neither
  std::string tls_key;
  std::string token;  // sent with every call; "": none
};

// Whether only processes of this machine answer at the address.
bool IsLocalAddress(absl::string_view address);

// INVALID_ARGUMENT: a token that would go over a network in clear, or a
// certificate without its key or without `tls_ca`.
absl::Status CheckEndpoint(const Endpoint& endpoint);

// A channel that connects when it is first used, and again, for ever, when the
// connection is lost. Every call on it, of whatever kind, carries the token.
// `arguments`: limits and waits of the caller; keepalive is set here.
// INVALID_ARGUMENT: what CheckEndpoint() refuses. Thread-safe.
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(
    const Endpoint& endpoint, grpc::ChannelArguments arguments = grpc::ChannelArguments());

}  // namespace modlab

#endif  // MODLAB_RPC_CHANNEL_H_
