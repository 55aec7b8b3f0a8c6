// Reading of rows as they are, whether they belong together or not: for the audit and
// the backup. Each call works on the connection that it is given, within its
// transaction. A `visit` may read from the same connection, and ends the reading with
// the error that it returns.

#ifndef MODLAB_SERVER_STORE_AUDIT_ROWS_H_
#define MODLAB_SERVER_STORE_AUDIT_ROWS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/job.pb.h"
#include "server/store/sqlite.h"
#include "server/store/store.h"

namespace modlab {

// Everything in the file that is not as SQLite itself left it, and every reference to
// a row that is not there; at most 1,000 of each, in SQLite's words.
absl::StatusOr<std::vector<std::string>> FindBrokenPages(Connection* connection);
absl::StatusOr<std::vector<std::string>> FindBrokenReferences(Connection* connection);

// The newest migration that the file has seen.
absl::StatusOr<int64_t> ReadSchemaVersion(Connection* connection);

// Numbers of all sweeps, and ids of jobs, of all or of a sweep's; ascending.
absl::StatusOr<std::vector<int64_t>> ReadSweepNumbers(Connection* connection);
absl::StatusOr<std::vector<int64_t>> ReadJobIds(Connection* connection,
                                                std::optional<int64_t> sweep);
// Ids of jobs that no sweep asks for.
absl::StatusOr<std::vector<int64_t>> ReadOrphanJobs(Connection* connection);
// (job, its key) of all of a sweep's jobs.
absl::StatusOr<std::vector<std::pair<int64_t, std::string>>> ReadJobKeys(Connection* connection,
                                                                         int64_t sweep);
// Job keys of which there are several jobs.
absl::StatusOr<std::vector<std::string>> ReadRepeatedKeys(Connection* connection);
// (job key, replicate) of which there are several jobs.
absl::StatusOr<std::vector<std::pair<std::string, int64_t>>> ReadDoubledJobs(
    Connection* connection);
// The first job whose submission is an event; older ones may be older than events.
// Nothing where no job has such an event.
absl::StatusOr<std::optional<int64_t>> ReadFirstJobWithEvents(Connection* connection);

// What a job refers to, by role.
absl::StatusOr<std::vector<std::pair<ArtifactRole, std::string>>> ReadReferences(
    Connection* connection, int64_t job_id);

struct ArtifactRow {
  std::string sha256;
  std::optional<int64_t> size_bytes;
  int64_t touched_us = 0;
  int64_t refs = 0;        // as the row says
  int64_t references = 0;  // as there are
};
// All of them, by name.
absl::Status ScanArtifactRows(Connection* connection,
                              const std::function<absl::Status(const ArtifactRow&)>& visit);
// Nothing where there is none.
absl::StatusOr<std::optional<ArtifactRow>> ReadArtifactRow(Connection* connection,
                                                           absl::string_view sha256);

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_AUDIT_ROWS_H_
