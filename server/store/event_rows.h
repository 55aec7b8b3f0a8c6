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

// Records an event, and forgets the oldest beyond kJobEventsMax. If the job is RUNNING
// by its row, the event concerns its attempt, and `iteration` says how far that got
// (nullopt: as far as the row says; FINISHED: all the way). So what ends an attempt is
// recorded before the row is changed, what begins one after. NOT_FOUND for the job.
absl::Status AddEvent(Connection* connection, int64_t job_id, v1::JobEventKind kind, int64_t now_us,
                      std::optional<int64_t> iteration, absl::string_view reason,
                      v1::FailureCause cause = v1::FAILURE_CAUSE_UNSPECIFIED);

// As they happened; none for an unknown job.
absl::StatusOr<std::vector<v1::JobEvent>> ReadEvents(Connection* connection, int64_t job_id);

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_EVENT_ROWS_H_
