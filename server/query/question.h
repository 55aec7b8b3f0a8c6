// What questions about results have in common: words that they are checked for.
//
// All functions are pure and thread-safe; their errors are INVALID_ARGUMENT.

#ifndef MODLAB_SERVER_QUERY_QUESTION_H_
#define MODLAB_SERVER_QUERY_QUESTION_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// OK unless `sweep` is empty.
absl::Status CheckSweepGiven(const std::string& sweep);

// The metric of a name, one that finished jobs have.
absl::StatusOr<v1::Metric> ParseFinalMetric(const std::string& name);

// OK for checkpoints that this version knows.
absl::Status CheckCheckpoint(v1::Checkpoint checkpoint);

}  // namespace modlab

#endif  // MODLAB_SERVER_QUERY_QUESTION_H_
