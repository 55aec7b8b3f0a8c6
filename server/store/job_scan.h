// The one way to go through many jobs, by ascending id: by a sweep's list of them, or by an
// index of the few that are in the states asked for.

#ifndef MODLAB_SERVER_STORE_JOB_SCAN_H_
#define MODLAB_SERVER_STORE_JOB_SCAN_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/store/job_filter.h"
#include "server/store/sqlite.h"

namespace modlab {

// A statement, ready to step through `columns` (of jobs and results) of the jobs above
// `after_id` that are in a state and between the ids that `filter` lets pass; of all sweeps
// unless `sweep` (sweeps.number) has a value. The rest of the filter is for the caller.
absl::StatusOr<Statement> ScanJobs(Connection* connection, absl::string_view columns,
                                   std::optional<int64_t> sweep, const JobFilter& filter,
                                   int64_t after_id);

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_JOB_SCAN_H_
