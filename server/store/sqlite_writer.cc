#include "server/store/sqlite_writer.h"

#include "absl/strings/str_cat.h"
#include "server/store/message_blob.h"
#include "server/store/sweep_rows.h"

namespace modlab {

absl::Status SqliteWriter::NeedTransaction() const {
  if (connection_->in_transaction()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(path(), ": no transaction is open"));
}

absl::Status SqliteWriter::ChangeJob(int64_t job_id, Statement* statement) {
  absl::Status status = NeedTransaction();
  if (status.ok()) status = statement->Run();
  if (status.ok() && connection_->changes() == 0) {
    status = absl::NotFoundError(absl::StrCat("no job ", job_id));
  }
  return status;
}

// -- transactions -------------------------------------------------------------

absl::Status SqliteWriter::Begin() { return connection_->Prepare("BEGIN IMMEDIATE").Run(); }

absl::Status SqliteWriter::Commit() {
  absl::Status status = NeedTransaction();
  return status.ok() ? connection_->Prepare("COMMIT").Run() : status;
}

void SqliteWriter::Rollback() { connection_->Rollback(); }

absl::Status SqliteWriter::Savepoint() {
  absl::Status status = NeedTransaction();
  return status.ok() ? connection_->Prepare("SAVEPOINT step").Run() : status;
}

absl::Status SqliteWriter::ReleaseSavepoint() {
  absl::Status status = NeedTransaction();
  return status.ok() ? connection_->Prepare("RELEASE step").Run() : status;
}

absl::Status SqliteWriter::RollbackToSavepoint() {
  absl::Status status = NeedTransaction();
  if (status.ok()) status = connection_->Prepare("ROLLBACK TO step").Run();
  // The savepoint itself outlives going back to it.
  return status.ok() ? connection_->Prepare("RELEASE step").Run() : status;
}

// -- submission ---------------------------------------------------------------

absl::Status SqliteWriter::LoadUnfinished(const std::function<void(const UnfinishedJob&)>& visit) {
  Statement row = connection_->Prepare(
      "SELECT id, shape_key, config, state, attempt, failures, worker_id"
      "  FROM jobs INDEXED BY jobs_unfinished WHERE state IN (1, 2) ORDER BY id");
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) return absl::OkStatus();
    UnfinishedJob job;
    job.id = row.Int(0);
    job.shape_key = std::string(row.Text(1));
    absl::Status status = ParseBlob(*connection_, row.Blob(2), &job.config);
    if (!status.ok()) return status;
    job.state = static_cast<v1::JobState>(row.Int(3));
    job.attempt = static_cast<int32_t>(row.Int(4));
    job.failures = static_cast<int32_t>(row.Int(5));
    job.worker_id = std::string(row.Text(6));
    visit(job);
  }
}

absl::StatusOr<std::optional<std::string>> SqliteWriter::FindRequest(absl::string_view request_id) {
  absl::Status status = NeedTransaction();
  if (!status.ok()) return status;
  Statement row = connection_->Prepare("SELECT id FROM sweeps WHERE request_id = ?");
  const absl::StatusOr<bool> found = row.BindText(request_id).Step();
  if (!found.ok()) return found.status();
  if (!*found) return std::optional<std::string>();
  return std::make_optional(std::string(row.Text(0)));
}

absl::StatusOr<std::string> SqliteWriter::InsertSweep(const v1::SweepSpec& spec,
                                                      absl::string_view request_id,
                                                      int64_t now_us) {
  absl::Status status = NeedTransaction();
  if (!status.ok()) return status;
  Statement newest = connection_->Prepare("SELECT max(nth) FROM sweeps WHERE name = ?");
  const absl::StatusOr<bool> found = newest.BindText(spec.name()).Step();
  if (!found.ok()) return found.status();
  const int64_t nth = newest.Int(0) + 1;  // NULL, where there is none, reads as 0
  const std::string id = absl::StrCat(spec.name(), "-", nth);
  const std::string blob = spec.SerializeAsString();
  Statement insert = connection_->Prepare(
      "INSERT INTO sweeps (id, name, nth, request_id, created_us, spec)"
      "  VALUES (?, ?, ?, ?, ?, ?)");
  insert.BindText(id).BindText(spec.name()).Bind(nth).BindText(request_id).Bind(now_us);
  status = insert.BindBlob(blob).Run();
  if (!status.ok()) return status;
  return id;
}

absl::StatusOr<std::optional<KnownJob>> SqliteWriter::FindJob(absl::string_view job_key) {
  absl::Status status = NeedTransaction();
  if (!status.ok()) return status;
  Statement row = connection_->Prepare(
      "SELECT id, state, attempt, (SELECT max(replicate) FROM jobs WHERE job_key = ?1)"
      "  FROM jobs WHERE job_key = ?1 ORDER BY state IN (4, 5), replicate DESC LIMIT 1");
  const absl::StatusOr<bool> found = row.BindText(job_key).Step();
  if (!found.ok()) return found.status();
  if (!*found) return std::optional<KnownJob>();
  KnownJob job;
  job.id = row.Int(0);
  job.state = static_cast<v1::JobState>(row.Int(1));
  job.attempt = static_cast<int32_t>(row.Int(2));
  job.newest_replicate = static_cast<int32_t>(row.Int(3));
  return std::make_optional(job);
}

absl::StatusOr<int64_t> SqliteWriter::InsertJob(const v1::JobConfig& canonical,
                                                absl::string_view job_key,
                                                absl::string_view shape_key, int32_t replicate,
                                                int64_t now_us) {
  absl::Status status = NeedTransaction();
  if (!status.ok()) return status;
  const std::string config = canonical.SerializeAsString();
  Statement insert = connection_->Prepare(
      "INSERT INTO jobs (state, iterations, replicate, created_us, job_key, shape_key, config)"
      "  VALUES (1, ?, ?, ?, ?, ?, ?)");
  insert.Bind(canonical.iterations()).Bind(replicate).Bind(now_us);
  status = insert.BindText(job_key).BindText(shape_key).BindBlob(config).Run();
  if (!status.ok()) return status;
  return connection_->last_insert_id();
}

absl::Status SqliteWriter::LinkJob(absl::string_view sweep_id, int64_t job_id) {
  absl::Status status = NeedTransaction();
  if (!status.ok()) return status;
  return connection_
      ->Prepare(
          "INSERT INTO sweep_jobs (sweep, job) VALUES ((SELECT number FROM sweeps WHERE id = ?), ?)"
          "  ON CONFLICT (sweep, job) DO NOTHING")
      .BindText(sweep_id)
      .Bind(job_id)
      .Run();
}

absl::StatusOr<std::vector<int64_t>> SqliteWriter::CancelSweep(absl::string_view id_or_name,
                                                               int64_t now_us) {
  absl::Status status = NeedTransaction();
  if (!status.ok()) return status;
  const absl::StatusOr<int64_t> sweep = FindSweep(connection_.get(), id_or_name);
  if (!sweep.ok()) return sweep.status();
  status = connection_
               ->Prepare("UPDATE sweeps SET cancelled_us = ? WHERE number = ? AND cancelled_us = 0")
               .Bind(now_us)
               .Bind(*sweep)
               .Run();
  if (!status.ok()) return status;
  Statement row = connection_->Prepare(
      "SELECT jobs.id FROM sweep_jobs AS own CROSS JOIN jobs ON jobs.id = own.job"
      "  WHERE own.sweep = ? AND state IN (1, 2)"
      "    AND NOT EXISTS (SELECT 1 FROM sweep_jobs AS other"
      "                      JOIN sweeps ON sweeps.number = other.sweep"
      "                      WHERE other.job = jobs.id AND cancelled_us = 0)"
      "  ORDER BY own.job");
  row.Bind(*sweep);
  std::vector<int64_t> ids;
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) return ids;
    ids.push_back(row.Int(0));
  }
}

// -- the life of a job --------------------------------------------------------

absl::Status SqliteWriter::StartAttempt(int64_t job_id, int32_t attempt,
                                        absl::string_view worker_id, absl::string_view worker_name,
                                        int64_t now_us) {
  Statement update = connection_->Prepare(
      "UPDATE jobs SET state = 2, attempt = ?, worker_id = ?, worker_name = ?, started_us = ?,"
      "    finished_us = 0, iteration = 0 WHERE id = ?");
  update.Bind(attempt).BindText(worker_id).BindText(worker_name).Bind(now_us).Bind(job_id);
  absl::Status status = ChangeJob(job_id, &update);
  if (!status.ok()) return status;
  return connection_->Prepare("DELETE FROM curve_points WHERE job_id = ?").Bind(job_id).Run();
}

absl::Status SqliteWriter::RequeueJob(int64_t job_id, int32_t failures, const v1::Failure* why,
                                      int64_t /*now_us*/) {
  const std::string blob = why == nullptr ? "" : why->SerializeAsString();
  Statement update = connection_->Prepare(
      "UPDATE jobs SET state = 1, failures = ?, failure = ?, worker_id = '', iteration = 0,"
      "    started_us = 0, finished_us = 0 WHERE id = ?");
  update.Bind(failures);
  if (why == nullptr) {
    update.BindNull();
  } else {
    update.BindBlob(blob);
  }
  update.Bind(job_id);
  return ChangeJob(job_id, &update);
}

absl::Status SqliteWriter::FailJob(int64_t job_id, const v1::Failure& why, int64_t now_us) {
  const std::string blob = why.SerializeAsString();
  Statement update = connection_->Prepare(
      "UPDATE jobs SET state = 4, failure = ?, worker_id = '', finished_us = ? WHERE id = ?");
  update.BindBlob(blob).Bind(now_us).Bind(job_id);
  return ChangeJob(job_id, &update);
}

absl::Status SqliteWriter::CancelJob(int64_t job_id, int64_t now_us) {
  Statement update = connection_->Prepare(
      "UPDATE jobs SET state = 5, failure = NULL, worker_id = '', finished_us = ? WHERE id = ?");
  update.Bind(now_us).Bind(job_id);
  return ChangeJob(job_id, &update);
}

absl::Status SqliteWriter::FinishJob(int64_t job_id, const v1::JobResult& result, int64_t now_us) {
  Statement update = connection_->Prepare(
      "UPDATE jobs SET state = 3, iteration = iterations, failure = NULL, worker_id = '',"
      "    finished_us = ? WHERE id = ?");
  update.Bind(now_us).Bind(job_id);
  absl::Status status = ChangeJob(job_id, &update);
  if (!status.ok()) return status;
  const std::string blob = result.SerializeAsString();
  return connection_
      ->Prepare("INSERT INTO results (job, result) VALUES (?, ?) ON CONFLICT (job) DO NOTHING")
      .Bind(job_id)
      .BindBlob(blob)
      .Run();
}

absl::Status SqliteWriter::AppendPoint(int64_t job_id, const v1::CurvePoint& point) {
  Statement update =
      connection_->Prepare("UPDATE jobs SET iteration = max(iteration, ?) WHERE id = ?");
  update.Bind(point.iteration()).Bind(job_id);
  absl::Status status = ChangeJob(job_id, &update);
  if (!status.ok()) return status;
  const std::string blob = point.SerializeAsString();
  return connection_
      ->Prepare(
          "INSERT INTO curve_points (job_id, iteration, point) VALUES (?, ?, ?)"
          "  ON CONFLICT (job_id, iteration) DO NOTHING")
      .Bind(job_id)
      .Bind(point.iteration())
      .BindBlob(blob)
      .Run();
}

}  // namespace modlab
