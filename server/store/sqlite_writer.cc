#include "server/store/sqlite_writer.h"

#include "absl/strings/str_cat.h"
#include "server/store/artifact_rows.h"
#include "server/store/job_rows.h"
#include "server/store/message_blob.h"
#include "server/store/prune.h"
#include "server/store/sweep_rows.h"

namespace modlab {

// The columns that ReadUnfinishedRow() expects.
#define MODLAB_UNFINISHED_COLUMNS                                              \
  "id, shape_key, config, state, attempt, failures, worker_id, not_before_us," \
  " avoid_place, checkpoint_iteration, checkpoint_sha256, checkpoint_bytes"

absl::Status SqliteWriter::NeedTransaction() const {
  return connection_->in_transaction() ? absl::OkStatus() : connection_->NoTransactionError();
}

absl::Status SqliteWriter::ChangeRow(absl::string_view what, int64_t id, Statement* statement) {
  absl::Status status = statement->Run();
  if (status.ok() && connection_->changes() == 0) {
    status = absl::NotFoundError(absl::StrCat("no ", what, " ", id));
  }
  return status;
}

// -- transactions -------------------------------------------------------------

absl::Status SqliteWriter::Begin() { return connection_->Execute("BEGIN IMMEDIATE"); }

absl::Status SqliteWriter::Commit() {
  absl::Status status = NeedTransaction();
  return status.ok() ? connection_->Prepare("COMMIT").Run() : status;
}

void SqliteWriter::Rollback() { connection_->Rollback(); }

absl::Status SqliteWriter::Checkpoint() {
  return connection_->Execute("PRAGMA wal_checkpoint(PASSIVE)");
}

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

// -- loading ------------------------------------------------------------------

absl::Status SqliteWriter::LoadSweeps(const std::function<void(const QueuedSweep&)>& visit) {
  Statement row =
      connection_->Prepare("SELECT " MODLAB_QUEUED_SWEEP_COLUMNS
                           "  FROM sweeps WHERE cancelled_us = 0 AND number IN"
                           "    (SELECT sweep FROM jobs INDEXED BY jobs_unfinished"
                           "       CROSS JOIN sweep_jobs ON job = jobs.id WHERE state IN (1, 2))"
                           "  ORDER BY number");
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) return absl::OkStatus();
    const absl::StatusOr<QueuedSweep> sweep = ReadQueuedSweep(*connection_, row);
    if (!sweep.ok()) return sweep.status();
    visit(*sweep);
  }
}

absl::Status SqliteWriter::LoadUnfinished(const std::function<void(const UnfinishedJob&)>& visit) {
  Statement row = connection_->Prepare(
      "SELECT " MODLAB_UNFINISHED_COLUMNS
      "  FROM jobs INDEXED BY jobs_unfinished WHERE state IN (1, 2) ORDER BY id");
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) return absl::OkStatus();
    const absl::StatusOr<UnfinishedJob> job = ReadUnfinishedRow(row);
    if (!job.ok()) return job.status();
    visit(*job);
  }
}

absl::Status SqliteWriter::LoadDrainRequests(
    const std::function<void(absl::string_view worker_id)>& visit) {
  Statement row = connection_->Prepare("SELECT worker_id FROM drain_requests");
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) return absl::OkStatus();
    visit(row.Text(0));
  }
}

absl::Status SqliteWriter::LoadQuarantines(const std::function<void(const Quarantine&)>& visit) {
  Statement row = connection_->Prepare("SELECT place, failures, until_us, reason FROM quarantines");
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) return absl::OkStatus();
    visit({std::string(row.Text(0)), row.Int(1), row.Int(2), std::string(row.Text(3))});
  }
}

absl::StatusOr<UnfinishedJob> SqliteWriter::ReadUnfinished(int64_t job_id) {
  Statement row = connection_->Prepare("SELECT " MODLAB_UNFINISHED_COLUMNS
                                       "  FROM jobs WHERE id = ? AND state IN (1, 2)");
  const absl::StatusOr<bool> found = row.Bind(job_id).Step();
  if (!found.ok()) return found.status();
  if (!*found) return absl::NotFoundError(absl::StrCat("no unfinished job ", job_id));
  return ReadUnfinishedRow(row);
}

#undef MODLAB_UNFINISHED_COLUMNS

absl::StatusOr<UnfinishedJob> SqliteWriter::ReadUnfinishedRow(const Statement& row) {
  UnfinishedJob job;
  job.id = row.Int(0);
  job.shape_key = std::string(row.Text(1));
  job.config = std::string(row.Blob(2));
  job.state = static_cast<v1::JobState>(row.Int(3));
  job.attempt = static_cast<int32_t>(row.Int(4));
  job.failures = static_cast<int32_t>(row.Int(5));
  job.worker_id = std::string(row.Text(6));
  job.not_before_us = row.Int(7);
  job.avoided = std::string(row.Text(8));
  job.checkpoint = ReadCheckpoint(row, 9);
  absl::StatusOr<std::vector<int64_t>> sweeps = ReadActiveSweeps(job.id);
  if (!sweeps.ok()) return sweeps.status();
  job.sweeps = *std::move(sweeps);
  return job;
}

absl::StatusOr<std::vector<int64_t>> SqliteWriter::ReadActiveSweeps(int64_t job_id) {
  Statement row = connection_->Prepare(
      "SELECT number FROM sweep_jobs CROSS JOIN sweeps ON number = sweep"
      "  WHERE job = ? AND cancelled_us = 0 ORDER BY sweep");
  row.Bind(job_id);
  std::vector<int64_t> numbers;
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) return numbers;
    numbers.push_back(row.Int(0));
  }
}

// -- workers ------------------------------------------------------------------

absl::Status SqliteWriter::RequestDrain(absl::string_view worker_id, int64_t now_us) {
  absl::Status status = connection_->Prepare("DELETE FROM drain_requests WHERE asked_us < ?")
                            .Bind(now_us - kDrainRequestAgeUs)
                            .Run();
  if (!status.ok()) return status;
  return connection_
      ->Prepare(
          "INSERT INTO drain_requests (worker_id, asked_us) VALUES (?, ?) ON CONFLICT DO NOTHING")
      .BindText(worker_id)
      .Bind(now_us)
      .Run();
}

absl::Status SqliteWriter::KeepQuarantine(const Quarantine& quarantine, int64_t forget_before_us) {
  absl::Status status = connection_->Prepare("DELETE FROM quarantines WHERE until_us < ?")
                            .Bind(forget_before_us)
                            .Run();
  if (!status.ok()) return status;
  return connection_
      ->Prepare(
          "INSERT OR REPLACE INTO quarantines (place, failures, until_us, reason)"
          "  VALUES (?, ?, ?, ?)")
      .BindText(quarantine.place)
      .Bind(quarantine.failures)
      .Bind(quarantine.until_us)
      .BindText(quarantine.reason)
      .Run();
}

absl::Status SqliteWriter::EndQuarantine(absl::string_view place) {
  return connection_->Prepare("DELETE FROM quarantines WHERE place = ?").BindText(place).Run();
}

// -- artifacts and retention --------------------------------------------------

absl::Status SqliteWriter::RegisterArtifact(absl::string_view sha256, int64_t size_bytes,
                                            int64_t now_us) {
  return connection_
      ->Prepare(
          "INSERT INTO artifacts (sha256, size_bytes, touched_us) VALUES (?, ?, ?)"
          "  ON CONFLICT (sha256) DO UPDATE SET size_bytes = excluded.size_bytes,"
          "    touched_us = max(touched_us, excluded.touched_us)")
      .BindText(sha256)
      .Bind(size_bytes)
      .Bind(now_us)
      .Run();
}

absl::StatusOr<std::vector<std::string>> SqliteWriter::FindGarbage(int64_t before_us,
                                                                   int count_max) {
  Statement row = connection_->Prepare(
      "SELECT sha256 FROM artifacts INDEXED BY artifacts_garbage"
      "  WHERE refs = 0 AND touched_us < ? ORDER BY touched_us LIMIT ?");
  row.Bind(before_us).Bind(count_max);
  std::vector<std::string> found;
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) return found;
    found.emplace_back(row.Text(0));
  }
}

absl::Status SqliteWriter::ForgetArtifact(absl::string_view sha256) {
  absl::Status status = connection_->Prepare("DELETE FROM artifacts WHERE sha256 = ? AND refs = 0")
                            .BindText(sha256)
                            .Run();
  if (!status.ok() || connection_->changes() > 0) return status;
  if (!CheckArtifact(connection_.get(), sha256).ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("artifact ", sha256, " is needed by a job"));
}

absl::StatusOr<int64_t> SqliteWriter::ArtifactBytes() {
  Statement row = connection_->Prepare("SELECT sum(size_bytes) FROM artifacts");
  const absl::StatusOr<bool> found = row.Step();
  if (!found.ok()) return found.status();
  return row.Int(0);
}

absl::StatusOr<v1::PruneResponse> SqliteWriter::Prune(const v1::PruneRequest& request,
                                                      int64_t older_than_us) {
  absl::Status status = NeedTransaction();
  if (!status.ok()) return status;
  return PruneRows(connection_.get(), request, older_than_us);
}

absl::Status SqliteWriter::PruneWeights(const std::vector<int64_t>& sweeps,
                                        const std::vector<int64_t>& jobs) {
  absl::Status status = NeedTransaction();
  return status.ok() ? PruneWeightRows(connection_.get(), sweeps, jobs) : status;
}

}  // namespace modlab
