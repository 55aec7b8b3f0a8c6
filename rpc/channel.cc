#include "rpc/channel.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpc/grpc.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/client_interceptor.h"

namespace modlab {
namespace {

using grpc::experimental::ClientInterceptorFactoryInterface;
using grpc::experimental::ClientRpcInfo;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;

// gRPC's own call credentials refuse connections that are not encrypted, also
// those that do not leave the machine.
class TokenSender final : public Interceptor {
 public:
  explicit TokenSender(std::string header) : header_(std::move(header)) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace("authorization", header_);
    }
    methods->Proceed();
  }

 private:
  const std::string header_;
};

class TokenSenderFactory final : public ClientInterceptorFactoryInterface {
 public:
  explicit TokenSenderFactory(absl::string_view token) : header_(absl::StrCat("Bearer ", token)) {}

  Interceptor* CreateClientInterceptor(ClientRpcInfo* /*info*/) override {
    return new TokenSender(header_);  // gRPC takes it
  }

 private:
  const std::string header_;
};

std::shared_ptr<grpc::ChannelCredentials> Credentials(const Endpoint& endpoint) {
  if (endpoint.tls_ca.empty()) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = endpoint.tls_ca;
  options.pem_cert_chain = endpoint.tls_cert;
  options.pem_private_key = endpoint.tls_key;
  return grpc::SslCredentials(options);
}

}  // namespace

bool IsLocalAddress(absl::string_view address) {
  if (absl::StartsWith(address, "unix:")) return true;
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos) return false;
  const std::string host(address.substr(0, colon));
  in_addr v4;
  // A name that begins with "127." may be anywhere.
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  return host == "localhost" || host == "[::1]";
}

absl::Status CheckEndpoint(const Endpoint& endpoint) {
  if (endpoint.tls_cert.empty() != endpoint.tls_key.empty()) {
    return absl::InvalidArgumentError(
        "a client certificate and its key are given both or neither (--tls-cert, --tls-key)");
  }
  if (!endpoint.tls_cert.empty() && endpoint.tls_ca.empty()) {
    return absl::InvalidArgumentError(
        "a client certificate is for TLS: give --tls-ca FILE too (or set MODLAB_TLS_CA)");
  }
  if (!endpoint.token.empty() && endpoint.tls_ca.empty() && !IsLocalAddress(endpoint.address)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the token would go to ", endpoint.address,
        " in clear, for all on the way to read: give --tls-ca FILE (or set MODLAB_TLS_CA) to "
        "encrypt, or call without a token"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const Endpoint& endpoint,
                                                           grpc::ChannelArguments arguments) {
  absl::Status status = CheckEndpoint(endpoint);
  if (!status.ok()) return status;
  // gRPC is kept for the life of the process: ending it, as the last channel does,
  // may wait 10 s for a poller of its own.
  static const bool kept = (grpc_init(), true);
  static_cast<void>(kept);
  // A host that vanished without a word: a new call on the same connection would
  // be as dead. No pings are sent while anything is heard.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  // gRPC's own waits, up to two minutes, would hide a coordinator that is back.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // Coordinators are near; a proxy for the web does not lead to them.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (endpoint.token.empty()) {
    return grpc::CreateCustomChannel(endpoint.address, Credentials(endpoint), arguments);
  }
  std::vector<std::unique_ptr<ClientInterceptorFactoryInterface>> senders;
  senders.push_back(std::make_unique<TokenSenderFactory>(endpoint.token));
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      endpoint.address, Credentials(endpoint), arguments, std::move(senders));
}

}  // namespace modlab
