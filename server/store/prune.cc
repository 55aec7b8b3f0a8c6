#include "server/store/prune.h"

#include <initializer_list>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/job.pb.h"
#include "server/store/curve_rows.h"
#include "server/store/event_rows.h"
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

// Finds what goes with some sweeps, and counts it.
class Planner {
 public:
  Planner(Connection* connection, bool weights_only)
      : connection_(connection), weights_only_(weights_only) {}

  absl::StatusOr<PrunePlan> Plan(const std::vector<int64_t>& sweeps) {
    absl::Status status;
    for (const int64_t sweep : sweeps) {
      if (status.ok()) status = AddJobsOf(sweep);
    }
    for (const int64_t sweep : sweeps) {
      if (weights_only_ && touched_.count(sweep) == 0) continue;
      plan_.sweeps.push_back(sweep);
      if (status.ok()) status = AddName(sweep);
    }
    if (!status.ok()) return status;
    plan_.response.set_jobs(static_cast<int64_t>(plan_.jobs.size()));
    return std::move(plan_);
  }

 private:
  // Those that other sweeps ask for too are left to the last of these, if it is chosen.
  absl::Status AddJobsOf(int64_t sweep) {
    Statement row = connection_->Prepare(
        "SELECT own.job, (SELECT count(*) FROM sweep_jobs AS every WHERE every.job = own.job)"
        "  FROM sweep_jobs AS own WHERE own.sweep = ?");
    row.Bind(sweep);
    for (;;) {
      const absl::StatusOr<bool> more = row.Step();
      if (!more.ok()) return more.status();
      if (!*more) return absl::OkStatus();
      if (row.Int(1) > 1 && ++seen_[row.Int(0)] < row.Int(1)) continue;
      absl::Status status = AddJob(row.Int(0));
      if (!status.ok()) return status;
    }
  }

  absl::Status AddJob(int64_t job) {
    const absl::StatusOr<bool> has_weights = CountWeights(job);
    if (!has_weights.ok()) return has_weights.status();
    if (weights_only_) return *has_weights ? Touch(job) : absl::OkStatus();
    const absl::StatusOr<int64_t> points = CountPoints(connection_, job);
    if (!points.ok()) return points.status();
    plan_.response.set_points(plan_.response.points() + *points);
    plan_.jobs.push_back(job);
    return absl::OkStatus();
  }

  // Whether there are any.
  absl::StatusOr<bool> CountWeights(int64_t job) {
    Statement row = connection_->Prepare(
        "SELECT sha256, refs, size_bytes FROM artifact_refs CROSS JOIN artifacts USING (sha256)"
        "  WHERE job = ?");
    row.Bind(job);
    for (bool any = false;; any = true) {
      const absl::StatusOr<bool> more = row.Step();
      if (!more.ok()) return more.status();
      if (!*more) return any;
      // Others need it as well: does what goes hold all of its references?
      if (row.Int(1) > 1 && ++dropped_[std::string(row.Text(0))] < row.Int(1)) continue;
      plan_.response.set_artifacts(plan_.response.artifacts() + 1);
      plan_.response.set_artifact_bytes(plan_.response.artifact_bytes() + row.Int(2));
    }
  }

  absl::Status Touch(int64_t job) {
    plan_.jobs.push_back(job);
    Statement row = connection_->Prepare("SELECT sweep FROM sweep_jobs WHERE job = ?");
    row.Bind(job);
    for (;;) {
      const absl::StatusOr<bool> more = row.Step();
      if (!more.ok()) return more.status();
      if (!*more) return absl::OkStatus();
      touched_.insert(row.Int(0));
    }
  }

  absl::Status AddName(int64_t sweep) {
    Statement row = connection_->Prepare("SELECT id FROM sweeps WHERE number = ?");
    const absl::StatusOr<bool> found = row.Bind(sweep).Step();
    if (!found.ok()) return found.status();
    plan_.response.add_sweeps(std::string(row.Text(0)));
    return absl::OkStatus();
  }

  Connection* const connection_;
  const bool weights_only_;
  PrunePlan plan_;
  absl::flat_hash_map<int64_t, int64_t> seen_;         // how often, of jobs of several sweeps
  absl::flat_hash_map<std::string, int64_t> dropped_;  // references, of artifacts with several
  absl::flat_hash_set<int64_t> touched_;               // sweeps of jobs that lose weights
};

absl::Status Run(Connection* connection, absl::string_view sql, int64_t parameter) {
  return connection->Prepare(sql).Bind(parameter).Run();
}

absl::Status RemoveJob(Connection* connection, int64_t job) {
  absl::Status status = RemovePointsAfter(connection, job, -1);
  for (const absl::string_view sql :
       {"DELETE FROM job_events WHERE job = ?", "DELETE FROM results WHERE job = ?",
        "DELETE FROM artifact_refs WHERE job = ?", "DELETE FROM jobs WHERE id = ?"}) {
    if (status.ok()) status = Run(connection, sql, job);
  }
  return status;
}

// Jobs that stay, since other sweeps ask for them: who submitted them is still to be known.
absl::Status KeepSubmissions(Connection* connection, const PrunePlan& plan) {
  const absl::flat_hash_set<int64_t> removed(plan.jobs.begin(), plan.jobs.end());
  for (const int64_t sweep : plan.sweeps) {
    Statement row = connection->Prepare("SELECT job FROM sweep_jobs WHERE sweep = ?");
    row.Bind(sweep);
    const absl::StatusOr<std::vector<int64_t>> jobs = ReadNumbers(&row);
    if (!jobs.ok()) return jobs.status();
    for (const int64_t job : *jobs) {
      if (removed.count(job) > 0) continue;
      absl::Status status = KeepSubmission(connection, job);
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::Status Remove(Connection* connection, const PrunePlan& plan) {
  absl::Status kept = KeepSubmissions(connection, plan);
  if (!kept.ok()) return kept;
  for (const int64_t sweep : plan.sweeps) {
    absl::Status status = Run(connection, "DELETE FROM sweep_jobs WHERE sweep = ?", sweep);
    if (!status.ok()) return status;
  }
  for (const int64_t job : plan.jobs) {
    // A bad disk ends the whole transaction: whatever were done after that would count.
    absl::Status status = RemoveJob(connection, job);
    if (!status.ok()) return status;
  }
  for (const int64_t sweep : plan.sweeps) {
    absl::Status status =
        Run(connection,
            "INSERT INTO pruned_sweeps (name, nth) SELECT name, nth FROM sweeps WHERE number = ?"
            "  ON CONFLICT (name) DO UPDATE SET nth = max(nth, excluded.nth)",
            sweep);
    if (status.ok()) status = Run(connection, "DELETE FROM sweeps WHERE number = ?", sweep);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// Or the result would name files that are gone.
absl::Status RemoveWeightsOfResult(Connection* connection, int64_t job) {
  v1::JobResult result;
  {
    Statement row = connection->Prepare("SELECT result FROM results WHERE job = ?");
    const absl::StatusOr<bool> found = row.Bind(job).Step();
    if (!found.ok()) return found.status();
    if (!*found) return absl::OkStatus();
    absl::Status status = ParseBlob(*connection, row.Blob(0), &result);
    if (!status.ok()) return status;
  }
  result.clear_checkpoint_sha256();
  if (result.has_best()) result.mutable_best()->clear_checkpoint_sha256();
  const std::string blob = result.SerializeAsString();
  return connection->Prepare("UPDATE results SET result = ? WHERE job = ?")
      .BindBlob(blob)
      .Bind(job)
      .Run();
}

absl::Status RemoveWeights(Connection* connection, int64_t job) {
  absl::Status status = Run(connection, "DELETE FROM artifact_refs WHERE job = ?", job);
  if (!status.ok() || connection->changes() == 0) return status;
  status = Run(connection,
               "UPDATE jobs SET checkpoint_iteration = -1, checkpoint_sha256 = '',"
               "    checkpoint_bytes = 0 WHERE id = ?",
               job);
  return status.ok() ? RemoveWeightsOfResult(connection, job) : status;
}

// Whether these sweeps alone ask for the job, and it is neither waiting nor running.
absl::StatusOr<bool> IsOwn(Connection* connection, int64_t job,
                           const absl::flat_hash_set<int64_t>& sweeps) {
  Statement row = connection->Prepare(
      "SELECT sweep, state FROM sweep_jobs CROSS JOIN jobs ON jobs.id = job WHERE job = ?");
  row.Bind(job);
  for (bool any = false;; any = true) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) return any;
    if (sweeps.count(row.Int(0)) == 0 || row.Int(1) <= v1::RUNNING) return false;
  }
}

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
  absl::StatusOr<PrunePlan> plan = PlanPruneRows(connection, request, older_than_us);
  if (!plan.ok()) return plan.status();
  absl::Status status;
  if (request.weights_only()) {
    for (const int64_t job : plan->jobs) {
      status = RemoveWeights(connection, job);
      if (!status.ok()) return status;
    }
  } else {
    status = Remove(connection, *plan);
  }
  if (!status.ok()) return status;
  return std::move(plan->response);
}

}  // namespace

absl::StatusOr<PrunePlan> PlanPruneRows(Connection* connection, const v1::PruneRequest& request,
                                        int64_t older_than_us) {
  absl::Status status = CheckRequest(request);
  if (!status.ok()) return status;
  int64_t only = 0;
  if (!request.sweep().empty()) {
    const absl::StatusOr<int64_t> found = FindSweep(connection, request.sweep());
    if (!found.ok()) return found.status();
    only = *found;
    status = CheckFinished(connection, only);
    if (!status.ok()) return status;
  }
  const int64_t before_us =
      request.older_than_seconds() > 0 ? older_than_us : std::numeric_limits<int64_t>::max();
  const absl::StatusOr<std::vector<int64_t>> sweeps = Choose(connection, only, before_us);
  if (!sweeps.ok()) return sweeps.status();
  return Planner(connection, request.weights_only()).Plan(*sweeps);
}

absl::StatusOr<v1::PruneResponse> PruneRows(Connection* connection, const v1::PruneRequest& request,
                                            int64_t older_than_us) {
  if (request.dry_run()) {
    absl::StatusOr<PrunePlan> plan = PlanPruneRows(connection, request, older_than_us);
    if (!plan.ok()) return plan.status();
    return std::move(plan->response);
  }
  absl::Status status = connection->Prepare("SAVEPOINT prune").Run();
  if (!status.ok()) return status;
  absl::StatusOr<v1::PruneResponse> response =
      PruneWithinSavepoint(connection, request, older_than_us);
  if (!response.ok()) status = connection->Prepare("ROLLBACK TO prune").Run();
  if (status.ok()) status = connection->Prepare("RELEASE prune").Run();
  if (!status.ok() && response.ok()) return status;
  return response;
}

absl::Status PruneWeightRows(Connection* connection, const std::vector<int64_t>& sweeps,
                             const std::vector<int64_t>& jobs) {
  const absl::flat_hash_set<int64_t> chosen(sweeps.begin(), sweeps.end());
  for (const int64_t job : jobs) {
    const absl::StatusOr<bool> own = IsOwn(connection, job, chosen);
    if (!own.ok()) return own.status();
    if (!*own) continue;
    absl::Status status = RemoveWeights(connection, job);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace modlab
