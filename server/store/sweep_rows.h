// Reading of sweeps, for readers and the writer alike: each call works on the
// connection that it is given, within its transaction.

#ifndef MODLAB_SERVER_STORE_SWEEP_ROWS_H_
#define MODLAB_SERVER_STORE_SWEEP_ROWS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/sweep.pb.h"
#include "server/queue/unfinished_job.h"
#include "server/store/sqlite.h"

namespace modlab {

// sweeps.number of an id or, failing that, of the newest sweep of a name.
// NOT_FOUND names the nearest known sweep, or says that there are none.
absl::StatusOr<int64_t> FindSweep(Connection* connection, absl::string_view id_or_name);

// What ReadQueuedSweep() reads, from column 0 on.
#define MODLAB_QUEUED_SWEEP_COLUMNS "number, id, user, policy"
absl::StatusOr<QueuedSweep> ReadQueuedSweep(const Connection& connection, const Statement& row);

// The sweep with its counts and iterations. NOT_FOUND.
absl::StatusOr<v1::Sweep> ReadSweep(Connection* connection, int64_t number);

// `page_size` sweeps below the number `before`, newest first, and the token of
// the next page where there is one.
absl::StatusOr<v1::ListSweepsResponse> ReadSweepsPage(Connection* connection, int64_t before,
                                                      int page_size);

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_SWEEP_ROWS_H_
