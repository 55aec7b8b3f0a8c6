// The one place where absl::Status becomes gRPC's.

#ifndef MODLAB_SERVER_SERVICES_STATUS_H_
#define MODLAB_SERVER_SERVICES_STATUS_H_

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace modlab {

// Pure, thread-safe. Messages are cut to what fits into gRPC's trailers.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_STATUS_H_
