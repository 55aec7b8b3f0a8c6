#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/store/artifact_rows.h"
#include "server/store/curve_rows.h"
#include "server/store/event_rows.h"
#include "server/store/job_rows.h"
#include "server/store/sqlite_writer.h"

namespace modlab {

// What a job that waits again looks like, whatever it was before.
#define MODLAB_QUEUED                                           \
  "state = 1, worker_id = '', started_us = 0, finished_us = 0," \
  " iteration = max(checkpoint_iteration, 0), events = events + 1"
#define MODLAB_NO_CHECKPOINT \
  "checkpoint_iteration = -1, checkpoint_sha256 = '', checkpoint_bytes = 0"

absl::StatusOr<std::optional<KnownJob>> SqliteWriter::FindJob(absl::string_view job_key) {
  Statement row = connection_->Prepare(
      "SELECT id, state, (SELECT max(replicate) FROM jobs WHERE job_key = ?1),"
      "       worker_name, place"
      "  FROM jobs WHERE job_key = ?1"
      "  ORDER BY state <> 3, iif(state = 3, replicate, 0), state IN (4, 5), replicate DESC"
      "  LIMIT 1");
  const absl::StatusOr<bool> found = row.BindText(job_key).Step();
  if (!found.ok()) return found.status();
  if (!*found) return std::optional<KnownJob>();
  KnownJob job;
  job.id = row.Int(0);
  job.state = static_cast<v1::JobState>(row.Int(1));
  job.newest_replicate = static_cast<int32_t>(row.Int(2));
  job.worker = std::string(row.Text(3));
  job.place = std::string(row.Text(4));
  return std::make_optional(job);
}

absl::StatusOr<int64_t> SqliteWriter::InsertJob(const NewJob& job, int64_t now_us) {
  Statement insert = connection_->Prepare(
      "INSERT INTO jobs (state, iterations, replicate, created_us, job_key, shape_key,"
      "                  avoid_place, config, events)"
      "  VALUES (1, ?, ?, ?, ?, ?, ?, ?, 1)");
  insert.Bind(job.iterations).Bind(job.replicate).Bind(now_us);
  insert.BindText(job.job_key).BindText(job.shape_key).BindText(job.avoided);
  absl::Status status = insert.BindBlob(job.config).Run();
  if (!status.ok()) return status;
  return connection_->last_insert_id();
}

absl::Status SqliteWriter::StartAttempt(int64_t job_id, int32_t attempt,
                                        absl::string_view worker_id, absl::string_view worker_name,
                                        absl::string_view worker_place, int64_t now_us) {
  Statement update = connection_->Prepare(
      "UPDATE jobs SET state = 2, attempt = ?, worker_id = ?, worker_name = ?, place = ?,"
      "    started_us = ?, finished_us = 0, not_before_us = 0,"
      "    iteration = max(checkpoint_iteration, 0),"
      "    started_iteration = max(checkpoint_iteration, 0), events = events + 1"
      "  WHERE id = ? RETURNING checkpoint_iteration");
  update.Bind(attempt).BindText(worker_id).BindText(worker_name).BindText(worker_place);
  const absl::StatusOr<bool> found = update.Bind(now_us).Bind(job_id).Step();
  if (!found.ok()) return found.status();
  if (!*found) return absl::NotFoundError(absl::StrCat("no job ", job_id));
  return RemovePointsAfter(connection_.get(), job_id, update.Int(0));
}

absl::Status SqliteWriter::RequeueJob(int64_t job_id, int32_t failures, absl::string_view avoided,
                                      const v1::Failure& why, int64_t not_before_us,
                                      int64_t now_us) {
  absl::Status status = AddEvent(connection_.get(), job_id, v1::ATTEMPT_FAILED, now_us,
                                 why.iteration(), why.message(), why.cause());
  if (!status.ok()) return status;
  const std::string blob = why.SerializeAsString();
  return connection_
      ->Prepare(
          "UPDATE jobs SET failures = ?, avoid_place = ?, failure = ?, not_before_us = ?,"
          "    " MODLAB_QUEUED " WHERE id = ?")
      .Bind(failures)
      .BindText(avoided)
      .BindBlob(blob)
      .Bind(not_before_us)
      .Bind(job_id)
      .Run();
}

absl::Status SqliteWriter::ReleaseJob(int64_t job_id, int64_t iteration, absl::string_view reason,
                                      int64_t now_us) {
  absl::Status status =
      AddEvent(connection_.get(), job_id, v1::RELEASED, now_us, iteration, reason);
  if (!status.ok()) return status;
  return connection_->Prepare("UPDATE jobs SET " MODLAB_QUEUED " WHERE id = ?").Bind(job_id).Run();
}

absl::Status SqliteWriter::RetryJob(int64_t job_id, absl::string_view reason, int64_t now_us) {
  absl::Status status =
      AddEvent(connection_.get(), job_id, v1::RETRIED, now_us, std::nullopt, reason);
  if (!status.ok()) return status;
  return connection_
      ->Prepare("UPDATE jobs SET failures = 0, failure = NULL, not_before_us = 0, " MODLAB_QUEUED
                " WHERE id = ?")
      .Bind(job_id)
      .Run();
}

absl::Status SqliteWriter::FailJob(int64_t job_id, const v1::Failure& why, int64_t now_us) {
  absl::Status status = AddEvent(connection_.get(), job_id, v1::JOB_FAILED, now_us, why.iteration(),
                                 why.message(), why.cause());
  if (!status.ok()) return status;
  const std::string blob = why.SerializeAsString();
  status = connection_
               ->Prepare(
                   "UPDATE jobs SET state = 4, failure = ?, failures = failures + 1,"
                   "    worker_id = '', not_before_us = 0, finished_us = ?, events = events + 1"
                   "  WHERE id = ?")
               .BindBlob(blob)
               .Bind(now_us)
               .Bind(job_id)
               .Run();
  if (!status.ok() || why.cause() != v1::DIVERGED) return status;
  status = connection_->Prepare("UPDATE jobs SET " MODLAB_NO_CHECKPOINT " WHERE id = ?")
               .Bind(job_id)
               .Run();
  if (!status.ok()) return status;
  return DropCheckpoint(connection_.get(), job_id, now_us);
}

absl::Status SqliteWriter::CancelJob(int64_t job_id, absl::string_view reason, int64_t now_us) {
  absl::Status status =
      AddEvent(connection_.get(), job_id, v1::STOPPED, now_us, std::nullopt, reason);
  if (!status.ok()) return status;
  return connection_
      ->Prepare(
          "UPDATE jobs SET state = 5, failure = NULL, worker_id = '', not_before_us = 0,"
          "    finished_us = ?, events = events + 1 WHERE id = ?")
      .Bind(now_us)
      .Bind(job_id)
      .Run();
}

absl::Status SqliteWriter::FinishJob(int64_t job_id, const v1::JobResult& result, int64_t now_us) {
  absl::Status status;
  const std::string& last = result.checkpoint_sha256();
  const std::string& best = result.best().checkpoint_sha256();
  for (const std::string& sha256 : {last, best}) {
    if (status.ok() && !sha256.empty()) status = CheckArtifact(connection_.get(), sha256);
  }
  if (!status.ok()) return status;
  Statement update = connection_->Prepare(
      "UPDATE jobs SET state = 3, iteration = iterations, failures = 0, failure = NULL,"
      "    worker_id = '', not_before_us = 0, finished_us = ?, events = events + 1,"
      "    " MODLAB_NO_CHECKPOINT " WHERE id = ?");
  update.Bind(now_us).Bind(job_id);
  status = ChangeRow("job", job_id, &update);
  if (!status.ok()) return status;
  Connection* const connection = connection_.get();
  const std::string blob = result.SerializeAsString();
  status = connection->Prepare("INSERT INTO results (job, result) VALUES (?, ?)")
               .Bind(job_id)
               .BindBlob(blob)
               .Run();
  if (status.ok()) status = DropCheckpoint(connection, job_id, now_us);
  if (status.ok() && !last.empty()) {
    status = AddReference(connection, job_id, ArtifactRole::kLast, last);
  }
  if (status.ok() && !best.empty()) {
    status = AddReference(connection, job_id, ArtifactRole::kBest, best);
  }
  return status;
}

absl::Status SqliteWriter::AppendPoints(int64_t job_id,
                                        const std::vector<const v1::CurvePoint*>& points) {
  int64_t newest = 0;
  for (const v1::CurvePoint* point : points) newest = std::max(newest, point->iteration());
  Statement update =
      connection_->Prepare("UPDATE jobs SET iteration = max(iteration, ?) WHERE id = ?");
  update.Bind(newest).Bind(job_id);
  absl::Status status = ChangeRow("job", job_id, &update);
  return status.ok() ? modlab::AppendPoints(connection_.get(), job_id, points) : status;
}

absl::Status SqliteWriter::KeepCheckpoint(int64_t job_id, const v1::TrainingCheckpoint& checkpoint,
                                          int64_t now_us) {
  absl::Status status = CheckArtifact(connection_.get(), checkpoint.sha256());
  if (!status.ok()) return status;
  Statement update = connection_->Prepare(
      "UPDATE jobs SET failures = iif(?1 > checkpoint_iteration, 0, failures),"
      "    checkpoint_iteration = ?1, checkpoint_sha256 = ?2, checkpoint_bytes = ?3,"
      "    iteration = max(iteration, ?1) WHERE id = ?4");
  update.Bind(checkpoint.iteration()).BindText(checkpoint.sha256());
  update.Bind(checkpoint.size_bytes()).Bind(job_id);
  status = ChangeRow("job", job_id, &update);
  if (status.ok()) status = DropCheckpoint(connection_.get(), job_id, now_us);
  if (!status.ok()) return status;
  return AddReference(connection_.get(), job_id, ArtifactRole::kCheckpoint, checkpoint.sha256());
}

#undef MODLAB_QUEUED
#undef MODLAB_NO_CHECKPOINT

}  // namespace modlab
