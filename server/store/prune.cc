#include "server/store/prune.h"

#include <initializer_list>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/job.pb.h"
#include "server/store/artifact_rows.h"
#include "server/store/curve_rows.h"
#include "server/store/message_blob.h"
#include "server/store/sweep_rows.h"

namespace modlab {
namespace {

// All of a statement's first column.
absl::StatusOr<std::vector<int64_t>> ReadNumbers(Statement* row) {
  std::vector<int64_t> numbers;
  for (;;) {
    const absl::StatusOr<bool> more = row->Step();
    if (!more.ok()) return more.status();
    if (!*more) return numbers;
    numbers.push_back(row->Int(0));
  }
}

absl::Status CheckRequest(const v1::PruneRequest& request) {
  if (request.older_than_seconds() < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "older_than_seconds: ", request.older_than_seconds(), "; allowed are 0 and more"));
  }
  if (request.sweep().empty() && request.older_than_seconds() == 0) {
    return absl::InvalidArgumentError(
        "prune: neither sweep nor older_than_seconds is given; at least one of them must be");
  }
  return absl::OkStatus();
}

// Takes sweeps out one after another.
class Pruner {
 public:
  Pruner(Connection* connection, bool weights_only)
      : connection_(connection), weights_only_(weights_only) {}

  absl::Status Prune(int64_t sweep) {
    Statement own = connection_->Prepare(
        "SELECT own.job FROM sweep_jobs AS own WHERE own.sweep = ?1 AND NOT EXISTS"
        "  (SELECT 1 FROM sweep_jobs AS other WHERE other.job = own.job AND other.sweep <> ?1)");
    own.Bind(sweep);
    const absl::StatusOr<std::vector<int64_t>> jobs = ReadNumbers(&own);
    if (!jobs.ok()) return jobs.status();
    return weights_only_ ? RemoveWeightsOf(sweep, *jobs) : Remove(sweep, *jobs);
  }

  v1::PruneResponse TakeResponse() { return std::move(response_); }

 private:
  absl::Status Remove(int64_t sweep, const std::vector<int64_t>& jobs) {
    absl::Status status = AddToResponse(sweep);
    if (status.ok()) status = Run("DELETE FROM sweep_jobs WHERE sweep = ?", sweep);
    for (const int64_t job : jobs) {
      // A bad disk ends the whole transaction: whatever were done after that would count.
      if (status.ok()) status = RemoveJob(job);
      if (!status.ok()) return status;
    }
    if (status.ok()) {
      status =
          Run("INSERT INTO pruned_sweeps (name, nth) SELECT name, nth FROM sweeps WHERE number = ?"
              "  ON CONFLICT (name) DO UPDATE SET nth = max(nth, excluded.nth)",
              sweep);
    }
    return status.ok() ? Run("DELETE FROM sweeps WHERE number = ?", sweep) : status;
  }

  absl::Status RemoveJob(int64_t job) {
    const absl::StatusOr<int64_t> points = RemoveCurve(connection_, job);
    if (!points.ok()) return points.status();
    for (const absl::string_view sql :
         {"DELETE FROM job_events WHERE job = ?", "DELETE FROM results WHERE job = ?",
          "DELETE FROM artifact_refs WHERE job = ?", "DELETE FROM jobs WHERE id = ?"}) {
      absl::Status status = Run(sql, job);
      if (!status.ok()) return status;
    }
    response_.set_points(response_.points() + *points);
    response_.set_jobs(response_.jobs() + 1);
    return absl::OkStatus();
  }

  absl::Status RemoveWeightsOf(int64_t sweep, const std::vector<int64_t>& jobs) {
    int64_t changed = 0;
    for (const int64_t job : jobs) {
      absl::Status status = Run("DELETE FROM artifact_refs WHERE job = ?", job);
      if (status.ok() && connection_->changes() == 0) continue;
      ++changed;
      if (status.ok()) {
        status =
            Run("UPDATE jobs SET checkpoint_iteration = -1, checkpoint_sha256 = '',"
                "    checkpoint_bytes = 0 WHERE id = ?",
                job);
      }
      if (status.ok()) status = RemoveWeightsOfResult(job);
      if (!status.ok()) return status;
    }
    if (changed == 0) return absl::OkStatus();
    response_.set_jobs(response_.jobs() + changed);
    return AddToResponse(sweep);
  }

  // Or the result would name files that are gone.
  absl::Status RemoveWeightsOfResult(int64_t job) {
    v1::JobResult result;
    {
      Statement row = connection_->Prepare("SELECT result FROM results WHERE job = ?");
      const absl::StatusOr<bool> found = row.Bind(job).Step();
      if (!found.ok()) return found.status();
      if (!*found) return absl::OkStatus();
      absl::Status status = ParseBlob(*connection_, row.Blob(0), &result);
      if (!status.ok()) return status;
    }
    result.clear_checkpoint_sha256();
    if (result.has_best()) result.mutable_best()->clear_checkpoint_sha256();
    const std::string blob = result.SerializeAsString();
    return connection_->Prepare("UPDATE results SET result = ? WHERE job = ?")
        .BindBlob(blob)
        .Bind(job)
        .Run();
  }

  absl::Status AddToResponse(int64_t sweep) {
    Statement row = connection_->Prepare("SELECT id FROM sweeps WHERE number = ?");
    const absl::StatusOr<bool> found = row.Bind(sweep).Step();
    if (!found.ok()) return found.status();
    response_.add_sweeps(std::string(row.Text(0)));
    return absl::OkStatus();
  }

  absl::Status Run(absl::string_view sql, int64_t parameter) {
    return connection_->Prepare(sql).Bind(parameter).Run();
  }

  Connection* const connection_;
  const bool weights_only_;
  v1::PruneResponse response_;
};

absl::Status CheckFinished(Connection* connection, int64_t sweep) {
  Statement row = connection->Prepare(
      "SELECT count(*), (SELECT id FROM sweeps WHERE number = ?1)"
      "  FROM sweep_jobs CROSS JOIN jobs ON jobs.id = job WHERE sweep = ?1 AND state IN (1, 2)");
  const absl::StatusOr<bool> found = row.Bind(sweep).Step();
  if (!found.ok()) return found.status();
  if (row.Int(0) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("sweep ", row.Text(1), " has ", row.Int(0),
                   " jobs that wait or run; prune it once they have ended, or are cancelled"));
}

// Sweeps without unfinished jobs of which nothing changed at `before_us` or later;
// only the one with the number `only`, if it is not 0.
absl::StatusOr<std::vector<int64_t>> Choose(Connection* connection, int64_t only,
                                            int64_t before_us) {
  Statement row = connection->Prepare(
      "SELECT number FROM sweeps"
      "  WHERE (?1 = 0 OR number = ?1) AND max(sweeps.created_us, cancelled_us) < ?2"
      "    AND NOT EXISTS (SELECT 1 FROM sweep_jobs CROSS JOIN jobs ON jobs.id = job"
      "                      WHERE sweep = number AND (state IN (1, 2)"
      "                        OR max(jobs.created_us, finished_us) >= ?2))"
      "  ORDER BY number");
  row.Bind(only).Bind(before_us);
  return ReadNumbers(&row);
}

absl::StatusOr<v1::PruneResponse> PruneWithinSavepoint(Connection* connection,
                                                       const v1::PruneRequest& request,
                                                       int64_t older_than_us) {
  int64_t only = 0;
  if (!request.sweep().empty()) {
    const absl::StatusOr<int64_t> found = FindSweep(connection, request.sweep());
    if (!found.ok()) return found.status();
    only = *found;
    absl::Status status = CheckFinished(connection, only);
    if (!status.ok()) return status;
  }
  const int64_t before_us =
      request.older_than_seconds() > 0 ? older_than_us : std::numeric_limits<int64_t>::max();
  const absl::StatusOr<std::vector<int64_t>> sweeps = Choose(connection, only, before_us);
  if (!sweeps.ok()) return sweeps.status();
  const absl::StatusOr<Garbage> garbage = CountGarbage(connection);
  if (!garbage.ok()) return garbage.status();
  Pruner pruner(connection, request.weights_only());
  for (const int64_t sweep : *sweeps) {
    absl::Status status = pruner.Prune(sweep);
    if (!status.ok()) return status;
  }
  const absl::StatusOr<Garbage> more = CountGarbage(connection);
  if (!more.ok()) return more.status();
  v1::PruneResponse response = pruner.TakeResponse();
  response.set_artifacts(more->artifacts - garbage->artifacts);
  response.set_artifact_bytes(more->bytes - garbage->bytes);
  return response;
}

}  // namespace

absl::StatusOr<v1::PruneResponse> PruneRows(Connection* connection, const v1::PruneRequest& request,
                                            int64_t older_than_us) {
  absl::Status status = CheckRequest(request);
  if (status.ok()) status = connection->Prepare("SAVEPOINT prune").Run();
  if (!status.ok()) return status;
  absl::StatusOr<v1::PruneResponse> response =
      PruneWithinSavepoint(connection, request, older_than_us);
  // What a dry run says is what it did, and undid.
  if (!response.ok() || request.dry_run()) status = connection->Prepare("ROLLBACK TO prune").Run();
  if (status.ok()) status = connection->Prepare("RELEASE prune").Run();
  if (!status.ok() && response.ok()) return status;
  return response;
}

}  // namespace modlab
