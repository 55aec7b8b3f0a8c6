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

  // A job that is older than events has none of before.
  const int64_t at_the_end = told.state == v1::RUNNING ? 1 : told.state == v1::SUCCEEDED ? 2 : 0;
  const bool first_has_row = !result.numbers.empty() && result.numbers.front() == 1;
  if (result.count > at_the_end && result.count <= kJobEventsMax && !first_has_row) {
    result.numbers.insert(result.numbers.begin(), 1);
    result.events.insert(result.events.begin(), told.submitted);
  }
  if (told.state == v1::SUCCEEDED && result.count > 1) {
    result.numbers.push_back(result.count - 1);
    result.events.push_back(told.leased);
  }
  if (at_the_end > 0 && result.count > 0) {
    result.numbers.push_back(result.count);
    result.events.push_back(told.state == v1::RUNNING ? told.leased : told.finished);
  }
  if (result.events.size() > static_cast<size_t>(kJobEventsMax)) {
    const auto more = static_cast<std::ptrdiff_t>(result.events.size()) - kJobEventsMax;
    result.numbers.erase(result.numbers.begin(), result.numbers.begin() + more);
    result.events.erase(result.events.begin(), result.events.begin() + more);
  }
  return result;
}

}  // namespace modlab
