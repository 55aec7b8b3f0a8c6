#include "server/store/audit_rows.h"

#include "absl/strings/str_cat.h"
#include "server/store/message_blob.h"

namespace modlab {
namespace {

// Calls `read` on each row of a statement whose parameters are bound.
template <typename Read>
absl::Status ForEachRow(Statement row, const Read& read) {
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) return absl::OkStatus();
    absl::Status status = read(row);
    if (!status.ok()) return status;
  }
}

absl::StatusOr<std::vector<int64_t>> ReadNumbers(Statement row) {
  std::vector<int64_t> numbers;
  absl::Status status = ForEachRow(std::move(row), [&](const Statement& each) {
    numbers.push_back(each.Int(0));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return numbers;
}

#define MODLAB_ARTIFACT_COLUMNS                                                               \
  "SELECT sha256, size_bytes, touched_us, refs,"                                              \
  "       (SELECT count(*) FROM artifact_refs WHERE artifact_refs.sha256 = artifacts.sha256)" \
  "  FROM artifacts "

ArtifactRow ToArtifactRow(const Statement& row) {
  ArtifactRow artifact;
  artifact.sha256 = std::string(row.Text(0));
  if (!row.IsNull(1)) artifact.size_bytes = row.Int(1);
  artifact.touched_us = row.Int(2);
  artifact.refs = row.Int(3);
  artifact.references = row.Int(4);
  return artifact;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> FindBrokenPages(Connection* connection) {
  std::vector<std::string> broken;
  absl::Status status =
      ForEachRow(connection->Prepare("PRAGMA integrity_check(1000)"), [&](const Statement& row) {
        if (row.Text(0) != "ok") broken.push_back(std::string(row.Text(0)));
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return broken;
}

absl::StatusOr<std::vector<std::string>> FindBrokenReferences(Connection* connection) {
  std::vector<std::string> broken;
  absl::Status status = ForEachRow(
      connection->Prepare("SELECT \"table\", rowid, parent, count(*)"
                          "  FROM pragma_foreign_key_check GROUP BY 1, 2, 3 LIMIT 1000"),
      [&](const Statement& row) {
        broken.push_back(
            row.IsNull(1)
                ? absl::StrCat(row.Int(3), " rows of ", row.Text(0), " refer to a row of ",
                               row.Text(2), " that is not there")
                : absl::StrCat("row ", row.Int(1), " of ", row.Text(0), " refers to a row of ",
                               row.Text(2), " that is not there"));
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return broken;
}

absl::StatusOr<int64_t> ReadSchemaVersion(Connection* connection) {
  Statement row = connection->Prepare("PRAGMA user_version");
  const absl::StatusOr<bool> found = row.Step();
  if (!found.ok()) return found.status();
  return row.Int(0);
}

absl::StatusOr<std::vector<int64_t>> ReadSweepNumbers(Connection* connection) {
  return ReadNumbers(connection->Prepare("SELECT number FROM sweeps ORDER BY number"));
}

absl::StatusOr<std::vector<int64_t>> ReadJobIds(Connection* connection,
                                                std::optional<int64_t> sweep) {
  if (!sweep.has_value())
    return ReadNumbers(connection->Prepare("SELECT id FROM jobs ORDER BY id"));
  Statement row = connection->Prepare("SELECT job FROM sweep_jobs WHERE sweep = ? ORDER BY job");
  row.Bind(*sweep);
  return ReadNumbers(std::move(row));
}

absl::StatusOr<std::vector<int64_t>> ReadOrphanJobs(Connection* connection) {
  return ReadNumbers(connection->Prepare(
      "SELECT id FROM jobs WHERE NOT EXISTS (SELECT 1 FROM sweep_jobs WHERE job = jobs.id)"
      "  ORDER BY id"));
}

absl::StatusOr<std::vector<std::pair<int64_t, std::string>>> ReadJobKeys(Connection* connection,
                                                                         int64_t sweep) {
  Statement row = connection->Prepare(
      "SELECT jobs.id, job_key FROM sweep_jobs CROSS JOIN jobs ON jobs.id = sweep_jobs.job"
      "  WHERE sweep = ? ORDER BY sweep_jobs.job");
  row.Bind(sweep);
  std::vector<std::pair<int64_t, std::string>> keys;
  absl::Status status = ForEachRow(std::move(row), [&](const Statement& each) {
    keys.emplace_back(each.Int(0), std::string(each.Text(1)));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return keys;
}

absl::StatusOr<std::vector<std::string>> ReadRepeatedKeys(Connection* connection) {
  std::vector<std::string> keys;
  absl::Status status = ForEachRow(
      connection->Prepare("SELECT job_key FROM jobs GROUP BY job_key HAVING count(*) > 1"),
      [&](const Statement& row) {
        keys.emplace_back(row.Text(0));
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return keys;
}

absl::StatusOr<std::vector<std::pair<std::string, int64_t>>> ReadDoubledJobs(
    Connection* connection) {
  std::vector<std::pair<std::string, int64_t>> doubled;
  absl::Status status =
      ForEachRow(connection->Prepare("SELECT job_key, replicate FROM jobs NOT INDEXED"
                                     "  GROUP BY job_key, replicate HAVING count(*) > 1"),
                 [&](const Statement& row) {
                   doubled.emplace_back(std::string(row.Text(0)), row.Int(1));
                   return absl::OkStatus();
                 });
  if (!status.ok()) return status;
  return doubled;
}

absl::StatusOr<std::optional<int64_t>> ReadFirstJobWithEvents(Connection* connection) {
  Statement row = connection->Prepare(
      "SELECT id FROM jobs"
      "  WHERE events > CASE state WHEN 2 THEN 1 WHEN 3 THEN 2 ELSE 0 END AND events <= ?"
      "    AND NOT EXISTS (SELECT 1 FROM job_events WHERE job = id AND n = 1 AND kind <> 1)"
      "  ORDER BY id LIMIT 1");
  const absl::StatusOr<bool> found = row.Bind(kJobEventsMax).Step();
  if (!found.ok()) return found.status();
  return *found ? std::make_optional(row.Int(0)) : std::nullopt;
}

absl::StatusOr<std::vector<std::pair<ArtifactRole, std::string>>> ReadReferences(
    Connection* connection, int64_t job_id) {
  Statement row = connection->Prepare(
      "SELECT role, sha256 FROM artifact_refs WHERE job = ? ORDER BY role, sha256");
  row.Bind(job_id);
  std::vector<std::pair<ArtifactRole, std::string>> references;
  absl::Status status = ForEachRow(std::move(row), [&](const Statement& each) {
    references.emplace_back(static_cast<ArtifactRole>(each.Int(0)), std::string(each.Text(1)));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return references;
}

absl::Status ScanArtifactRows(Connection* connection,
                              const std::function<absl::Status(const ArtifactRow&)>& visit) {
  return ForEachRow(connection->Prepare(MODLAB_ARTIFACT_COLUMNS "ORDER BY sha256"),
                    [&](const Statement& row) { return visit(ToArtifactRow(row)); });
}

absl::StatusOr<std::optional<ArtifactRow>> ReadArtifactRow(Connection* connection,
                                                           absl::string_view sha256) {
  Statement row = connection->Prepare(MODLAB_ARTIFACT_COLUMNS "WHERE sha256 = ?");
  const absl::StatusOr<bool> found = row.BindText(sha256).Step();
  if (!found.ok()) return found.status();
  return *found ? std::make_optional(ToArtifactRow(row)) : std::nullopt;
}

}  // namespace modlab
