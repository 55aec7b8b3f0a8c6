// Which errors of a call are worth another try.

#ifndef MODLAB_WORKER_RETRY_H_
#define MODLAB_WORKER_RETRY_H_

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace modlab {

// The coordinator is away, or in trouble that may pass (a full disk). Not so what it
// would answer again, and what it does not know.
inline bool MayPass(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::NOT_FOUND:
    case grpc::StatusCode::DATA_LOSS:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::UNIMPLEMENTED:
      return false;
    default:
      return true;
  }
}

inline absl::Status ToAbsl(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace modlab

#endif  // MODLAB_WORKER_RETRY_H_
