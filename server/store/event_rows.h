// The events of jobs: each call works on the connection that it is given, within
// its transaction.

#ifndef MODLAB_SERVER_STORE_EVENT_ROWS_H_
#define MODLAB_SERVER_STORE_EVENT_ROWS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/sweep.pb.h"
#include "server/store/sqlite.h"

namespace modlab {

// Events that a job's row tells itself have no row of their own: the first, SUBMITTED; while
// the job runs, LEASED of its attempt, which is the last; once it has succeeded, that and
// FINISHED. An ordinary life writes none. jobs.events counts all of them; what changes a
// job's state has to count its event there.
//
// Why a job was leased its iteration tells, and why it was submitted the one sweep of its that
// is not newer: readers say so, and rows do not. Where that would no longer be plain,
// KeepSubmission() makes a row.

// Records the job's next event, and forgets the oldest beyond kJobEventsMax; to be called
// before the row is changed. If the job is RUNNING by its row, the event concerns its attempt,
// and `iteration` says how far that got (nullopt: as far as the row says). NOT_FOUND for the
// job.
absl::Status AddEvent(Connection* connection, int64_t job_id, v1::JobEventKind kind, int64_t now_us,
                      std::optional<int64_t> iteration, absl::string_view reason,
                      v1::FailureCause cause = v1::FAILURE_CAUSE_UNSPECIFIED);

// Gives SUBMITTED a row, if it has none, so that what its reason is stays: to be called before
// one of the job's sweeps is forgotten, or another that is not newer than the job asks for it.
absl::Status KeepSubmission(Connection* connection, int64_t job_id);

// The newest events of a job, at most kJobEventsMax, as they happened. None for an unknown job.
struct JobEvents {
  int64_t count = 0;             // of all that there ever were
  std::vector<int64_t> numbers;  // of `events`, from 1; those of a sound store end with `count`
  std::vector<v1::JobEvent> events;
};
absl::StatusOr<JobEvents> ReadEvents(Connection* connection, int64_t job_id);

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_EVENT_ROWS_H_
