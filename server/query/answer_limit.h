// How large an answer may become.

#ifndef MODLAB_SERVER_QUERY_ANSWER_LIMIT_H_
#define MODLAB_SERVER_QUERY_ANSWER_LIMIT_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace modlab {

inline constexpr size_t kAnswerBytesMax = size_t{64} << 20;
// Numbers that one question may gather before it summarises them: 200 MB.
inline constexpr int64_t kGatheredValuesMax = 25'000'000;

inline absl::Status CheckAnswerSize(const google::protobuf::Message& answer) {
  if (answer.ByteSizeLong() <= kAnswerBytesMax) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      "the answer would pass 64 MiB: filter, or group by fewer fields");
}

inline absl::Status CheckGathered(int64_t values) {
  if (values <= kGatheredValuesMax) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      "the question covers more than 25,000,000 numbers: filter, or ask for fewer metrics");
}

}  // namespace modlab

#endif  // MODLAB_SERVER_QUERY_ANSWER_LIMIT_H_
