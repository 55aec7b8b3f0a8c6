#include "server/store/event_rows.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/store/store.h"

namespace modlab {

absl::Status AddEvent(Connection* connection, int64_t job_id, v1::JobEventKind kind, int64_t now_us,
                      std::optional<int64_t> iteration, absl::string_view reason,
                      v1::FailureCause cause) {
  Statement insert = connection->Prepare(
      "INSERT INTO job_events (job, n, time_us, kind, attempt, worker, iteration, reason, cause)"
      "  SELECT id, (SELECT coalesce(max(n), 0) + 1 FROM job_events WHERE job = ?1), ?2, ?3,"
      "         iif(state = 2, attempt, 0), iif(state = 2, worker_name, ''),"
      "         CASE WHEN state <> 2 THEN 0 WHEN ?3 = 6 THEN iterations"
      "              ELSE coalesce(?4, iteration) END, ?5, ?6"
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

absl::StatusOr<std::vector<v1::JobEvent>> ReadEvents(Connection* connection, int64_t job_id) {
  Statement row = connection->Prepare(
      "SELECT time_us, kind, attempt, worker, iteration, reason, cause"
      "  FROM job_events WHERE job = ? ORDER BY n");
  row.Bind(job_id);
  std::vector<v1::JobEvent> events;
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) return events;
    v1::JobEvent& event = events.emplace_back();
    event.set_time_us(row.Int(0));
    event.set_kind(static_cast<v1::JobEventKind>(row.Int(1)));
    event.set_attempt(static_cast<int32_t>(row.Int(2)));
    event.set_worker(std::string(row.Text(3)));
    event.set_iteration(row.Int(4));
    event.set_reason(std::string(row.Text(5)));
    event.set_cause(static_cast<v1::FailureCause>(row.Int(6)));
  }
}

}  // namespace modlab
