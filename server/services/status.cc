#include "server/services/status.h"

#include <cstddef>
#include <string>

namespace modlab {

namespace {

constexpr size_t kMessageBytesMax = 4096;  // of the 8 KiB that all trailers share

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  // Both enums are google.rpc.Code.
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message().substr(0, kMessageBytesMax)));
}

}  // namespace modlab
