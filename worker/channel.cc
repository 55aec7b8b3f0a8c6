#include "worker/channel.h"

#include "grpc/grpc.h"
#include "grpcpp/support/channel_arguments.h"

namespace modlab {

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenWorkerChannel(const Endpoint& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // How long one attempt to connect may take, by an odd name.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  // A coordinator's view lists every lease with its config.
  arguments.SetMaxReceiveMessageSize(64 << 20);
  return OpenChannel(endpoint, arguments);
}

}  // namespace modlab
