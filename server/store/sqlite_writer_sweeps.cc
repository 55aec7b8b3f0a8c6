#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/store/event_rows.h"
#include "server/store/message_blob.h"
#include "server/store/sqlite_writer.h"
#include "server/store/sweep_rows.h"

namespace modlab {

absl::StatusOr<std::optional<std::string>> SqliteWriter::FindRequest(absl::string_view request_id) {
  Statement row = connection_->Prepare("SELECT id FROM sweeps WHERE request_id = ?");
  const absl::StatusOr<bool> found = row.BindText(request_id).Step();
  if (!found.ok()) return found.status();
  if (!*found) return std::optional<std::string>();
  return std::make_optional(std::string(row.Text(0)));
}

absl::StatusOr<QueuedSweep> SqliteWriter::InsertSweep(const v1::SweepSpec& spec,
                                                      const v1::SweepPolicy& policy,
                                                      absl::string_view user,
                                                      absl::string_view request_id,
                                                      int64_t now_us) {
  Statement newest = connection_->Prepare(
      "SELECT max(nth) FROM (SELECT nth FROM sweeps WHERE name = ?1"
      "                      UNION ALL SELECT nth FROM pruned_sweeps WHERE name = ?1)");
  const absl::StatusOr<bool> found = newest.BindText(spec.name()).Step();
  if (!found.ok()) return found.status();
  const int64_t nth = newest.Int(0) + 1;  // NULL, where there is none, reads as 0
  QueuedSweep sweep;
  sweep.id = absl::StrCat(spec.name(), "-", nth);
  sweep.user = std::string(user);
  sweep.policy = policy;
  const std::string spec_blob = spec.SerializeAsString();
  const std::string policy_blob = policy.SerializeAsString();
  Statement insert = connection_->Prepare(
      "INSERT INTO sweeps (id, name, nth, request_id, created_us, user, spec, policy)"
      "  VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  insert.BindText(sweep.id).BindText(spec.name()).Bind(nth).BindText(request_id).Bind(now_us);
  absl::Status status = insert.BindText(user).BindBlob(spec_blob).BindBlob(policy_blob).Run();
  if (!status.ok()) return status;
  sweep.number = connection_->last_insert_id();
  return sweep;
}

absl::StatusOr<QueuedSweep> SqliteWriter::FindActiveSweep(absl::string_view id_or_name) {
  const absl::StatusOr<int64_t> number = FindSweep(connection_.get(), id_or_name);
  if (!number.ok()) return number.status();
  Statement row = connection_->Prepare("SELECT " MODLAB_QUEUED_SWEEP_COLUMNS
                                       ", cancelled_us FROM sweeps WHERE number = ?");
  const absl::StatusOr<bool> found = row.Bind(*number).Step();
  if (!found.ok()) return found.status();
  absl::StatusOr<QueuedSweep> sweep = ReadQueuedSweep(*connection_, row);
  if (sweep.ok() && row.Int(4) > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("sweep ", sweep->id, " was cancelled; submit it again instead"));
  }
  return sweep;
}

absl::StatusOr<QueuedSweep> SqliteWriter::ReadSweep(int64_t sweep) {
  Statement row =
      connection_->Prepare("SELECT " MODLAB_QUEUED_SWEEP_COLUMNS " FROM sweeps WHERE number = ?");
  const absl::StatusOr<bool> found = row.Bind(sweep).Step();
  if (!found.ok()) return found.status();
  if (!*found) return absl::NotFoundError(absl::StrCat("no sweep of number ", sweep));
  return ReadQueuedSweep(*connection_, row);
}

absl::Status SqliteWriter::SetPolicy(int64_t sweep, const v1::SweepPolicy& policy) {
  const std::string blob = policy.SerializeAsString();
  Statement update = connection_->Prepare("UPDATE sweeps SET policy = ? WHERE number = ?");
  update.BindBlob(blob).Bind(sweep);
  return ChangeRow("sweep of number", sweep, &update);
}

absl::StatusOr<v1::SweepSpec> SqliteWriter::ReadSpec(int64_t sweep) {
  Statement row = connection_->Prepare("SELECT spec FROM sweeps WHERE number = ?");
  const absl::StatusOr<bool> found = row.Bind(sweep).Step();
  if (!found.ok()) return found.status();
  if (!*found) return absl::NotFoundError(absl::StrCat("no sweep of number ", sweep));
  v1::SweepSpec spec;
  absl::Status status = ParseBlob(*connection_, row.Blob(0), &spec);
  if (!status.ok()) return status;
  return spec;
}

absl::Status SqliteWriter::SetSpec(int64_t sweep, const v1::SweepSpec& spec) {
  const std::string blob = spec.SerializeAsString();
  Statement update = connection_->Prepare("UPDATE sweeps SET spec = ? WHERE number = ?");
  update.BindBlob(blob).Bind(sweep);
  return ChangeRow("sweep of number", sweep, &update);
}

absl::StatusOr<bool> SqliteWriter::LinkJob(int64_t sweep, int64_t job_id) {
  // Of a job that has another sweep by now it must stay clear where it came from. A new job has
  // none, and costs no more than a look.
  Statement other = connection_->Prepare(
      "SELECT 1 FROM sweep_jobs CROSS JOIN jobs ON jobs.id = job CROSS JOIN sweeps"
      "  WHERE job = ?2 AND sweep <> ?1 AND number = ?1 AND sweeps.created_us <= jobs.created_us"
      "  LIMIT 1");
  const absl::StatusOr<bool> found = other.Bind(sweep).Bind(job_id).Step();
  if (!found.ok()) return found.status();
  absl::Status status;
  if (*found) status = KeepSubmission(connection_.get(), job_id);
  if (!status.ok()) return status;
  status = connection_
               ->Prepare(
                   "INSERT INTO sweep_jobs (sweep, job) VALUES (?, ?)"
                   "  ON CONFLICT (sweep, job) DO NOTHING")
               .Bind(sweep)
               .Bind(job_id)
               .Run();
  if (!status.ok()) return status;
  return connection_->changes() > 0;
}

absl::StatusOr<SharedJobs> SqliteWriter::SplitByOwner(int64_t sweep,
                                                      const std::vector<int64_t>& job_ids) {
  SharedJobs split;
  for (const int64_t id : job_ids) {
    Statement row = connection_->Prepare(
        "SELECT EXISTS (SELECT 1 FROM sweep_jobs AS other CROSS JOIN sweeps"
        "                   ON sweeps.number = other.sweep"
        "                 WHERE other.job = ?2 AND other.sweep <> ?1 AND cancelled_us = 0)"
        "  FROM sweep_jobs AS own CROSS JOIN jobs ON jobs.id = own.job"
        "  WHERE own.sweep = ?1 AND own.job = ?2 AND state IN (1, 2)");
    const absl::StatusOr<bool> found = row.Bind(sweep).Bind(id).Step();
    if (!found.ok()) return found.status();
    if (!*found) continue;
    if (row.Int(0) != 0) {
      ++split.shared;
    } else {
      split.own.push_back(id);
    }
  }
  return split;
}

absl::StatusOr<std::vector<int64_t>> SqliteWriter::KeepEnded(const std::vector<int64_t>& job_ids) {
  std::vector<int64_t> kept;
  for (const int64_t id : job_ids) {
    Statement row = connection_->Prepare("SELECT 1 FROM jobs WHERE id = ? AND state IN (4, 5)");
    const absl::StatusOr<bool> found = row.Bind(id).Step();
    if (!found.ok()) return found.status();
    if (*found) kept.push_back(id);
  }
  return kept;
}

absl::StatusOr<int64_t> SqliteWriter::CancelSweep(absl::string_view id_or_name, int64_t now_us) {
  const absl::StatusOr<int64_t> sweep = FindSweep(connection_.get(), id_or_name);
  if (!sweep.ok()) return sweep.status();
  absl::Status status =
      connection_
          ->Prepare("UPDATE sweeps SET cancelled_us = ? WHERE number = ? AND cancelled_us = 0")
          .Bind(now_us)
          .Bind(*sweep)
          .Run();
  if (!status.ok()) return status;
  return sweep;
}

absl::StatusOr<std::string> SqliteWriter::FindCancelledSweep(int64_t job_id) {
  Statement row = connection_->Prepare(
      "SELECT id FROM sweep_jobs CROSS JOIN sweeps ON number = sweep"
      "  WHERE job = ? AND cancelled_us > 0 ORDER BY cancelled_us DESC, number DESC LIMIT 1");
  const absl::StatusOr<bool> found = row.Bind(job_id).Step();
  if (!found.ok()) return found.status();
  return *found ? std::string(row.Text(0)) : std::string();
}

}  // namespace modlab
