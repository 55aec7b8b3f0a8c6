#include "server/store/event_rows.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/store/store.h"

namespace modlab {
namespace {

// What the job's row tells of events.
struct Told {
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  v1::JobEvent submitted, leased, finished;
};

// False: there is no such job.
absl::StatusOr<bool> ReadRow(Connection* connection, int64_t job_id, int64_t* count, Told* told) {
  Statement row = connection->Prepare(
      "SELECT events, state, created_us, started_us, finished_us, attempt, worker_name,"
      "       started_iteration, iterations FROM jobs WHERE id = ?");
  const absl::StatusOr<bool> found = row.Bind(job_id).Step();
  if (!found.ok() || !*found) return found;
  *count = row.Int(0);
  told->state = static_cast<v1::JobState>(row.Int(1));
  told->submitted.set_kind(v1::SUBMITTED);
  told->submitted.set_time_us(row.Int(2));
  told->leased.set_kind(v1::LEASED);
  told->leased.set_time_us(row.Int(3));
  told->leased.set_iteration(row.Int(7));
  told->finished.set_kind(v1::FINISHED);
  told->finished.set_time_us(row.Int(4));
  told->finished.set_iteration(row.Int(8));
  for (v1::JobEvent* event : {&told->leased, &told->finished}) {
    event->set_attempt(static_cast<int32_t>(row.Int(5)));
    event->set_worker(std::string(row.Text(6)));
  }
  return true;
}

// Whether the job's row is all that tells of its submission. Not of a job that is older than
// events, or that has had too many of them. `first_has_row`: there is a row of number 1.
bool TellsSubmission(const Told& told, int64_t count, bool first_has_row) {
  const int64_t at_the_end = told.state == v1::RUNNING ? 1 : told.state == v1::SUCCEEDED ? 2 : 0;
  return count > at_the_end && count <= kJobEventsMax && !first_has_row;
}

// A sweep and the jobs that come with it are of one moment; a job that is newer than its sweep
// came when that was extended. "" where there is no such sweep.
absl::StatusOr<std::string> WhySubmitted(Connection* connection, int64_t job_id, int64_t time_us) {
  Statement row = connection->Prepare(
      "SELECT id, user, created_us FROM sweep_jobs CROSS JOIN sweeps ON number = sweep"
      "  WHERE job = ?1 AND created_us <= ?2 ORDER BY created_us DESC LIMIT 1");
  const absl::StatusOr<bool> found = row.Bind(job_id).Bind(time_us).Step();
  if (!found.ok()) return found.status();
  if (!*found) return std::string();
  // Who extended it nothing tells.
  if (row.Int(2) < time_us) return absl::StrCat("by an extension of sweep ", row.Text(0));
  const absl::string_view user = row.Text(1);
  return absl::StrCat(user.empty() ? "" : absl::StrCat("by ", user, ", "), "in sweep ",
                      row.Text(0));
}

std::string WhyLeased(int64_t iteration) {
  return iteration > 0 ? absl::StrCat("from its checkpoint at iteration ", iteration)
                       : "from the beginning";
}

}  // namespace

absl::Status AddEvent(Connection* connection, int64_t job_id, v1::JobEventKind kind, int64_t now_us,
                      std::optional<int64_t> iteration, absl::string_view reason,
                      v1::FailureCause cause) {
  // The lease that ends is told by the row no longer. A job that is older than events may
  // have one that was none.
  absl::Status status =
      connection
          ->Prepare(
              "INSERT INTO job_events (job, n, time_us, kind, attempt, worker, iteration, reason,"
              "                        cause)"
              "  SELECT id, events, started_us, 2, attempt, worker_name, started_iteration, '', 0"
              "    FROM jobs WHERE id = ? AND state = 2 AND events > 0")
          .Bind(job_id)
          .Run();
  if (!status.ok()) return status;
  Statement insert = connection->Prepare(
      "INSERT INTO job_events (job, n, time_us, kind, attempt, worker, iteration, reason, cause)"
      "  SELECT id, events + 1, ?2, ?3, iif(state = 2, attempt, 0), iif(state = 2, worker_name, "
      "''),"
      "         iif(state = 2, coalesce(?4, iteration), 0), ?5, ?6"
      "    FROM jobs WHERE id = ?1"
      "  RETURNING n");
  insert.Bind(job_id).Bind(now_us).Bind(kind);
  if (iteration.has_value()) {
    insert.Bind(*iteration);
  } else {
    insert.BindNull();
  }
  const absl::StatusOr<bool> inserted = insert.BindText(reason).Bind(cause).Step();
  if (!inserted.ok()) return inserted.status();
  if (!*inserted) return absl::NotFoundError(absl::StrCat("no job ", job_id));
  const int64_t n = insert.Int(0);
  if (n <= kJobEventsMax) return absl::OkStatus();
  return connection->Prepare("DELETE FROM job_events WHERE job = ? AND n <= ?")
      .Bind(job_id)
      .Bind(n - kJobEventsMax)
      .Run();
}

absl::Status KeepSubmission(Connection* connection, int64_t job_id) {
  int64_t count = 0;
  Told told;
  const absl::StatusOr<bool> found = ReadRow(connection, job_id, &count, &told);
  if (!found.ok()) return found.status();
  Statement first = connection->Prepare("SELECT 1 FROM job_events WHERE job = ? AND n = 1");
  const absl::StatusOr<bool> has_row = first.Bind(job_id).Step();
  if (!has_row.ok()) return has_row.status();
  if (!TellsSubmission(told, count, *has_row)) return absl::OkStatus();
  const absl::StatusOr<std::string> why =
      WhySubmitted(connection, job_id, told.submitted.time_us());
  if (!why.ok()) return why.status();
  return connection
      ->Prepare(
          "INSERT INTO job_events (job, n, time_us, kind, attempt, worker, iteration, reason,"
          "                        cause) VALUES (?, 1, ?, 1, 0, '', 0, ?, 0)")
      .Bind(job_id)
      .Bind(told.submitted.time_us())
      .BindText(*why)
      .Run();
}

absl::StatusOr<JobEvents> ReadEvents(Connection* connection, int64_t job_id) {
  JobEvents result;
  Told told;
  const absl::StatusOr<bool> found = ReadRow(connection, job_id, &result.count, &told);
  if (!found.ok()) return found.status();
  if (!*found) return result;

  Statement row = connection->Prepare(
      "SELECT n, time_us, kind, attempt, worker, iteration, reason, cause"
      "  FROM job_events WHERE job = ? ORDER BY n");
  row.Bind(job_id);
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) break;
    result.numbers.push_back(row.Int(0));
    v1::JobEvent& event = result.events.emplace_back();
    event.set_time_us(row.Int(1));
    event.set_kind(static_cast<v1::JobEventKind>(row.Int(2)));
    event.set_attempt(static_cast<int32_t>(row.Int(3)));
    event.set_worker(std::string(row.Text(4)));
    event.set_iteration(row.Int(5));
    event.set_reason(std::string(row.Text(6)));
    event.set_cause(static_cast<v1::FailureCause>(row.Int(7)));
  }

  const bool first_has_row = !result.numbers.empty() && result.numbers.front() == 1;
  if (TellsSubmission(told, result.count, first_has_row)) {
    absl::StatusOr<std::string> why = WhySubmitted(connection, job_id, told.submitted.time_us());
    if (!why.ok()) return why.status();
    told.submitted.set_reason(*std::move(why));
    result.numbers.insert(result.numbers.begin(), 1);
    result.events.insert(result.events.begin(), told.submitted);
  }
  if (told.state == v1::SUCCEEDED && result.count > 1) {
    result.numbers.push_back(result.count - 1);
    result.events.push_back(told.leased);
  }
  if ((told.state == v1::RUNNING || told.state == v1::SUCCEEDED) && result.count > 0) {
    result.numbers.push_back(result.count);
    result.events.push_back(told.state == v1::RUNNING ? told.leased : told.finished);
  }
  for (v1::JobEvent& event : result.events) {
    if (event.kind() == v1::LEASED) event.set_reason(WhyLeased(event.iteration()));
  }
  if (result.events.size() > static_cast<size_t>(kJobEventsMax)) {
    const auto more = static_cast<std::ptrdiff_t>(result.events.size()) - kJobEventsMax;
    result.numbers.erase(result.numbers.begin(), result.numbers.begin() + more);
    result.events.erase(result.events.begin(), result.events.begin() + more);
  }
  return result;
}

}  // namespace modlab
