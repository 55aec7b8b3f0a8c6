// Whether what a worker says makes sense. Pure, thread-safe.

#ifndef MODLAB_SERVER_ENGINE_REPORT_CHECK_H_
#define MODLAB_SERVER_ENGINE_REPORT_CHECK_H_

#include "absl/status/status.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/worker.pb.h"

namespace modlab {

inline constexpr int kMetricsMax = 64;

// INVALID_ARGUMENT unless the view keeps the limits of worker.proto: then the
// stream ends. Reports are looked at one by one, by the functions below.
absl::Status CheckView(const v1::WorkerView& view);

// INVALID_ARGUMENT for an iteration at which the config has no point (beyond its
// last, in a result), more than kMetricsMax values, a value that is not a finite
// number, or an activation matrix of the wrong size.
absl::Status CheckPoint(const v1::CurvePoint& point, const v1::JobConfig& config);
absl::Status CheckResult(const v1::JobResult& result, const v1::JobConfig& config);

// INVALID_ARGUMENT for an iteration that is not the config's, a name that is no
// SHA-256, or a size that no artifact has.
absl::Status CheckCheckpoint(const v1::TrainingCheckpoint& checkpoint, const v1::JobConfig& config);

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_REPORT_CHECK_H_
