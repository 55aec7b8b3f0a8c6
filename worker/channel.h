// The connection to the coordinator that all of the worker's calls share.

#ifndef MODLAB_WORKER_CHANNEL_H_
#define MODLAB_WORKER_CHANNEL_H_

#include <memory>

#include "absl/status/statusor.h"
#include "grpcpp/channel.h"
#include "rpc/channel.h"

namespace modlab {

// OpenChannel() with a worker's limits: connects again, for ever, within seconds
// of the coordinator being back. Thread-safe.
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenWorkerChannel(const Endpoint& endpoint);

}  // namespace modlab

#endif  // MODLAB_WORKER_CHANNEL_H_
