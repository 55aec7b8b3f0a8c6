#include "server/store/job_scan.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

// Of a sweep of so many jobs at most, all are looked at; of a larger one those in an index.
constexpr int64_t kFewJobs = 10'000;

constexpr int64_t Bit(v1::JobState state) { return int64_t{1} << state; }

// An index that has all jobs in the states of `mask`; "" if there is none.
absl::string_view IndexOf(int64_t mask) {
  if ((mask & ~(Bit(v1::QUEUED) | Bit(v1::RUNNING))) == 0) return "jobs_unfinished";
  if ((mask & ~(Bit(v1::FAILED) | Bit(v1::CANCELLED))) == 0) return "jobs_ended_without_result";
  return "";
}

absl::StatusOr<bool> IsSmall(Connection* connection, int64_t sweep) {
  Statement count = connection->Prepare(
      "SELECT count(*) FROM (SELECT 1 FROM sweep_jobs WHERE sweep = ? LIMIT ?)");
  const absl::StatusOr<bool> row = count.Bind(sweep).Bind(kFewJobs + 1).Step();
  if (!row.ok()) return row.status();
  return count.Int(0) <= kFewJobs;
}

}  // namespace

// ?1 and ?2 bound the id, ?3 is the mask of states, ?4 the sweep.
absl::StatusOr<Statement> ScanJobs(Connection* connection, absl::string_view columns,
                                   std::optional<int64_t> sweep, const JobFilter& filter,
                                   int64_t after_id) {
  absl::string_view index = IndexOf(filter.state_mask());
  if (!index.empty() && sweep.has_value()) {
    const absl::StatusOr<bool> small = IsSmall(connection, *sweep);
    if (!small.ok()) return small.status();
    if (*small) index = "";
  }
  std::string sql = absl::StrCat("SELECT ", columns);
  if (index.empty() && sweep.has_value()) {
    absl::StrAppend(&sql,
                    " FROM sweep_jobs CROSS JOIN jobs ON jobs.id = sweep_jobs.job"
                    "  LEFT JOIN results ON results.job = jobs.id"
                    "  WHERE sweep_jobs.job BETWEEN ?1 AND ?2 AND (?3 >> state) & 1 AND sweep = ?4"
                    "  ORDER BY sweep_jobs.job");
  } else {
    absl::StrAppend(&sql, " FROM jobs", index.empty() ? "" : " INDEXED BY ", index,
                    " LEFT JOIN results ON results.job = jobs.id"
                    "  WHERE jobs.id BETWEEN ?1 AND ?2 AND (?3 >> state) & 1");
    if (index == "jobs_unfinished") absl::StrAppend(&sql, " AND state IN (1, 2)");
    if (index == "jobs_ended_without_result") absl::StrAppend(&sql, " AND state IN (4, 5)");
    if (sweep.has_value()) {
      absl::StrAppend(&sql,
                      " AND EXISTS (SELECT 1 FROM sweep_jobs WHERE sweep = ?4 AND job = jobs.id)");
    }
    absl::StrAppend(&sql, " ORDER BY jobs.id");
  }
  Statement row = connection->Prepare(sql);
  const int64_t id_min = after_id < filter.id_min() ? filter.id_min() : after_id + 1;
  row.Bind(id_min).Bind(filter.id_max()).Bind(filter.state_mask());
  if (sweep.has_value()) row.Bind(*sweep);
  return row;
}

}  // namespace modlab
