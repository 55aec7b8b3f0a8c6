#include "server/store/sweep_rows.h"

#include <cstddef>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/config/words.h"
#include "server/store/message_blob.h"
#include "server/store/page_token.h"

namespace modlab {
namespace {

absl::Status SweepNotFound(Connection* connection, absl::string_view id_or_name) {
  // The newest are what a user most likely meant; more would only cost time.
  Statement statement =
      connection->Prepare("SELECT id, name FROM sweeps ORDER BY number DESC LIMIT 1000");
  std::vector<std::string> known;
  for (;;) {
    const absl::StatusOr<bool> row = statement.Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    known.push_back(std::string(statement.Text(0)));
    known.push_back(std::string(statement.Text(1)));
  }
  if (known.empty()) {
    return absl::NotFoundError(absl::StrCat("no sweep ", QuotedWord(id_or_name),
                                            ": there are none yet; `modlab submit FILE` makes "
                                            "one"));
  }
  const std::string nearest = NearestWord(id_or_name, known);
  return absl::NotFoundError(absl::StrCat(
      "no sweep ", QuotedWord(id_or_name), "; ",
      nearest.empty() ? absl::StrCat("the newest is \"", known.front(), "\"; `modlab ls` lists all")
                      : absl::StrCat("did you mean \"", nearest, "\"?")));
}

// One pass over the sweep's jobs.
absl::Status Count(Connection* connection, int64_t number, v1::Sweep* sweep) {
  Statement statement = connection->Prepare(
      "SELECT sum(state = 1), sum(state = 2), sum(state = 3), sum(state = 4), sum(state = 5),"
      "       sum(iterations * (state <> 5)), sum(iteration * (state <> 5))"
      "  FROM sweep_jobs CROSS JOIN jobs ON jobs.id = sweep_jobs.job WHERE sweep = ?");
  const absl::StatusOr<bool> row = statement.Bind(number).Step();
  if (!row.ok()) return row.status();
  v1::JobCounts* counts = sweep->mutable_counts();
  counts->set_queued(statement.Int(0));
  counts->set_running(statement.Int(1));
  counts->set_succeeded(statement.Int(2));
  counts->set_failed(statement.Int(3));
  counts->set_cancelled(statement.Int(4));
  sweep->set_iterations_total(statement.Int(5));
  sweep->set_iterations_done(statement.Int(6));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int64_t> FindSweep(Connection* connection, absl::string_view id_or_name) {
  for (const absl::string_view sql :
       {"SELECT number FROM sweeps WHERE id = ?",
        "SELECT number FROM sweeps WHERE name = ? ORDER BY nth DESC LIMIT 1"}) {
    Statement statement = connection->Prepare(sql);
    const absl::StatusOr<bool> row = statement.BindText(id_or_name).Step();
    if (!row.ok()) return row.status();
    if (*row) return statement.Int(0);
  }
  return SweepNotFound(connection, id_or_name);
}

absl::StatusOr<QueuedSweep> ReadQueuedSweep(const Connection& connection, const Statement& row) {
  QueuedSweep sweep;
  sweep.number = row.Int(0);
  sweep.id = std::string(row.Text(1));
  sweep.user = std::string(row.Text(2));
  absl::Status status = ParseBlob(connection, row.Blob(3), &sweep.policy);
  if (!status.ok()) return status;
  return sweep;
}

absl::StatusOr<v1::Sweep> ReadSweep(Connection* connection, int64_t number) {
  Statement statement = connection->Prepare(
      "SELECT id, name, created_us, cancelled_us, spec, policy, user FROM sweeps WHERE number = ?");
  const absl::StatusOr<bool> row = statement.Bind(number).Step();
  if (!row.ok()) return row.status();
  if (!*row) return absl::NotFoundError(absl::StrCat("no sweep of number ", number));
  v1::Sweep sweep;
  sweep.set_id(std::string(statement.Text(0)));
  sweep.set_name(std::string(statement.Text(1)));
  sweep.set_created_us(statement.Int(2));
  sweep.set_cancelled_us(statement.Int(3));
  sweep.set_user(std::string(statement.Text(6)));
  absl::Status status = ParseBlob(*connection, statement.Blob(4), sweep.mutable_spec());
  if (status.ok()) status = ParseBlob(*connection, statement.Blob(5), sweep.mutable_policy());
  if (status.ok()) status = Count(connection, number, &sweep);
  if (!status.ok()) return status;
  return sweep;
}

absl::StatusOr<v1::ListSweepsResponse> ReadSweepsPage(Connection* connection, int64_t before,
                                                      int page_size) {
  std::vector<int64_t> numbers;
  Statement statement = connection->Prepare(
      "SELECT number FROM sweeps WHERE number < ? ORDER BY number DESC LIMIT ?");
  statement.Bind(before).Bind(page_size + 1);  // one more tells whether a page follows
  for (;;) {
    const absl::StatusOr<bool> row = statement.Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    numbers.push_back(statement.Int(0));
  }
  v1::ListSweepsResponse response;
  if (numbers.size() > static_cast<size_t>(page_size)) {
    numbers.pop_back();
    response.set_next_page_token(MakePageToken(numbers.back()));
  }
  for (const int64_t number : numbers) {
    absl::StatusOr<v1::Sweep> sweep = ReadSweep(connection, number);
    if (!sweep.ok()) return sweep.status();
    *response.add_sweeps() = *std::move(sweep);
  }
  return response;
}

}  // namespace modlab
