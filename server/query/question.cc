#include "server/query/question.h"

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "lib/config/words.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

absl::Status CheckSweepGiven(const std::string& sweep) {
  if (!sweep.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("sweep: required; `modlab ls` lists them");
}

absl::StatusOr<v1::Metric> ParseFinalMetric(const std::string& name) {
  const absl::StatusOr<v1::Metric> metric = ParseMetric(name);
  if (!metric.ok() || *metric >= v1::ID) return metric;
  return absl::InvalidArgumentError(
      absl::StrCat("metric ", QuotedWord(name),
                   ": measured while a job trains; ask for its curve, or for \"id\""));
}

absl::Status CheckCheckpoint(v1::Checkpoint checkpoint) {
  if (v1::Checkpoint_IsValid(checkpoint)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("checkpoint: ", static_cast<int>(checkpoint),
                                                 " is not allowed; allowed: LAST, BEST"));
}

}  // namespace modlab
