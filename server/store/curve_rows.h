// The curves of jobs: each call works on the connection that it is given, within its
// transaction.
//
// A curve is a few rows, each a chunk (curve_chunk.h) of points in a row. A row's key is
// its job and the iteration of its first point, so that a job's rows lie together, in
// order. What is appended joins the last row until that has kRowPointsMax points, so that
// a curve that came point by point is as compact as one that came at once.
//
// INTERNAL of every call that reads: a chunk is damaged; names the file and the job.

#ifndef MODLAB_SERVER_STORE_CURVE_ROWS_H_
#define MODLAB_SERVER_STORE_CURVE_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "modlab/v1/job.pb.h"
#include "server/store/curve_chunk.h"
#include "server/store/sqlite.h"

namespace modlab {

inline constexpr size_t kRowPointsMax = 128;

// Points that are there already are left as they are. INVALID_ARGUMENT for an iteration
// that no job can have.
absl::Status AppendPoints(Connection* connection, int64_t job_id,
                          const std::vector<const v1::CurvePoint*>& points);

// Removes the points beyond `iteration`; -1: all.
absl::Status RemovePointsAfter(Connection* connection, int64_t job_id, int64_t iteration);

absl::StatusOr<int64_t> CountPoints(Connection* connection, int64_t job_id);

// Replaces `points` by the job's, by iteration; none for an unknown job.
absl::Status ReadPoints(Connection* connection, int64_t job_id,
                        std::vector<v1::CurvePoint>* points);

// Replaces `curve` by what the job's points say of one metric.
absl::Status ReadMetric(Connection* connection, int64_t job_id, v1::Metric metric,
                        MetricCurve* curve);

// A row as it says of itself, and its points. For audits.
struct CurveRow {
  int64_t first = 0;
  int64_t last = 0;
  int64_t count = 0;
  std::vector<v1::CurvePoint> points;
};
absl::Status ScanCurveRows(Connection* connection, int64_t job_id,
                           const std::function<void(const CurveRow&)>& visit);
// Jobs that have rows, and are not there. For audits.
absl::StatusOr<std::vector<int64_t>> FindStrayCurves(Connection* connection);

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_CURVE_ROWS_H_
