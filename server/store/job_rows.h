// Reading of jobs: each call works on the connection that it is
// given, within its transaction.

#ifndef MODLAB_SERVER_STORE_JOB_ROWS_H_
#define MODLAB_SERVER_STORE_JOB_ROWS_H_

#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "modlab/v1/job.pb.h"
#include "server/store/job_filter.h"
#include "server/store/sqlite.h"

namespace modlab {

// From three columns of jobs, checkpoint_iteration, _sha256 and _bytes, the first of
// which is `column`. Empty: there is none.
v1::TrainingCheckpoint ReadCheckpoint(const Statement& row, int column);

// NOT_FOUND.
absl::StatusOr<v1::Job> ReadJob(Connection* connection, int64_t id);

// Visits jobs above `after_id` that pass `filter`, ascending; of all sweeps
// unless `sweep` (sweeps.number) has a value. Stops where `visit` returns
// false. The job that `visit` sees is overwritten by the next.
absl::Status ScanJobRows(Connection* connection, std::optional<int64_t> sweep,
                         const JobFilter& filter, int64_t after_id,
                         const std::function<bool(const v1::Job&)>& visit);

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_JOB_ROWS_H_
