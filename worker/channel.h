// The connection to the coordinator that all of the worker's calls share.

#ifndef MODLAB_WORKER_CHANNEL_H_
#define MODLAB_WORKER_CHANNEL_H_

#include <memory>
#include <string>

#include "grpcpp/channel.h"

namespace modlab {

// `address` is "host:port" or "unix:path". Connects when first used and again,
// for ever, within seconds of the coordinator being back. Thread-safe.
std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address);

}  // namespace modlab

#endif  // MODLAB_WORKER_CHANNEL_H_
