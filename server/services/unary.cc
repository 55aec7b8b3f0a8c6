#include "server/services/unary.h"

#include <atomic>

#include "absl/strings/str_cat.h"

namespace modlab {
namespace {

// Below this the socket's buffers take it.
constexpr size_t kSmallBytes = size_t{64} << 10;

std::atomic<size_t> held_bytes{0};

}  // namespace

absl::Status AnswerMemory::Hold(size_t bytes) {
  if (held_bytes.fetch_add(bytes) + bytes > kBytesMax) {
    held_bytes.fetch_sub(bytes);
    return absl::ResourceExhaustedError(
        absl::StrCat("answers of more than ", kBytesMax >> 20,
                     " MiB wait for their readers; try again later, or filter"));
  }
  bytes_ = bytes;
  return absl::OkStatus();
}

AnswerMemory::~AnswerMemory() { held_bytes.fetch_sub(bytes_); }

void UnaryCall::End(absl::Status status, const google::protobuf::MessageLite* answer) {
  if (status.ok() && answer != nullptr) {
    const size_t bytes = answer->ByteSizeLong();
    if (bytes > kSmallBytes) {
      status = memory_.Hold(2 * bytes);  // as a message and as bytes
      watch_.Begin(StallWatch::kAnswerPatience);
    }
  }
  Finish(ToGrpcStatus(status));
}

}  // namespace modlab
