#include "server/store/job_rows.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/config/config_numbers.h"
#include "server/store/job_scan.h"
#include "server/store/message_blob.h"

namespace modlab {
namespace {

// What ReadRest() expects. What a filter looks at stands first.
constexpr absl::string_view kColumns =
    "jobs.id, config, state, job_key, shape_key, replicate, attempt, iteration, failure,"
    " worker_name, created_us, started_us, finished_us, result, failures, not_before_us,"
    " checkpoint_iteration, checkpoint_sha256, checkpoint_bytes";

// All but id and config, which the caller has read. Writes every field, so that
// a job that is used again needs no clearing, which would give its memory back.
absl::Status ReadRest(const Connection& connection, const Statement& row, v1::Job* job) {
  job->set_state(static_cast<v1::JobState>(row.Int(2)));
  job->set_job_key(std::string(row.Text(3)));
  job->set_shape_key(std::string(row.Text(4)));
  job->set_replicate(static_cast<int32_t>(row.Int(5)));
  job->set_attempt(static_cast<int32_t>(row.Int(6)));
  job->set_iteration(row.Int(7));
  job->set_worker(std::string(row.Text(9)));
  job->set_created_us(row.Int(10));
  job->set_started_us(row.Int(11));
  job->set_finished_us(row.Int(12));
  job->set_failures(static_cast<int32_t>(row.Int(14)));
  job->set_not_before_us(row.Int(15));
  if (row.Int(16) < 0) {
    job->clear_checkpoint();
  } else {
    *job->mutable_checkpoint() = ReadCheckpoint(row, 16);
  }
  if (row.IsNull(8)) {
    job->clear_failure();
  } else {
    absl::Status status = ParseBlob(connection, row.Blob(8), job->mutable_failure());
    if (!status.ok()) return status;
  }
  if (row.IsNull(13)) {
    job->clear_result();
    return absl::OkStatus();
  }
  return ParseBlob(connection, row.Blob(13), job->mutable_result());
}

}  // namespace

v1::TrainingCheckpoint ReadCheckpoint(const Statement& row, int column) {
  v1::TrainingCheckpoint checkpoint;
  if (row.Int(column) < 0) return checkpoint;
  checkpoint.set_iteration(row.Int(column));
  checkpoint.set_sha256(std::string(row.Text(column + 1)));
  checkpoint.set_size_bytes(row.Int(column + 2));
  return checkpoint;
}

absl::StatusOr<v1::Job> ReadJob(Connection* connection, int64_t id) {
  Statement row = connection->Prepare(absl::StrCat(
      "SELECT ", kColumns, " FROM jobs LEFT JOIN results ON job = jobs.id WHERE jobs.id = ?1"));
  const absl::StatusOr<bool> found = row.Bind(id).Step();
  if (!found.ok()) return found.status();
  if (!*found) return absl::NotFoundError(absl::StrCat("no job ", id));
  v1::Job job;
  job.set_id(id);
  absl::Status status = ParseBlob(*connection, row.Blob(1), job.mutable_config());
  if (status.ok()) status = ReadRest(*connection, row, &job);
  if (!status.ok()) return status;
  return job;
}

absl::Status ScanJobRows(Connection* connection, std::optional<int64_t> sweep,
                         const JobFilter& filter, int64_t after_id,
                         const std::function<bool(const v1::Job&)>& visit) {
  absl::StatusOr<Statement> found = ScanJobs(connection, kColumns, sweep, filter, after_id);
  if (!found.ok()) return found.status();
  Statement& row = *found;
  v1::Job job;
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) return absl::OkStatus();
    if (!filter.MatchesId(row.Int(0))) continue;
    const std::optional<ConfigNumbers> config = ConfigNumbers::Read(row.Blob(1));
    if (config.has_value() && !filter.MatchesConfig(*config)) continue;
    job.set_id(row.Int(0));
    absl::Status status = ParseBlob(*connection, row.Blob(1), job.mutable_config());
    if (!status.ok()) return status;
    status = ReadRest(*connection, row, &job);
    if (!status.ok()) return status;
    if (!visit(job)) return absl::OkStatus();
  }
}

}  // namespace modlab
