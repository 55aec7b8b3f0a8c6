#include "server/store/artifact_rows.h"

#include "absl/strings/str_cat.h"

namespace modlab {

absl::Status CheckArtifact(Connection* connection, absl::string_view sha256) {
  Statement row = connection->Prepare("SELECT 1 FROM artifacts WHERE sha256 = ?");
  const absl::StatusOr<bool> found = row.BindText(sha256).Step();
  if (!found.ok()) return found.status();
  if (*found) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("no artifact ", sha256, ": it was not uploaded, or is removed"));
}

absl::Status AddReference(Connection* connection, int64_t job_id, ArtifactRole role,
                          absl::string_view sha256) {
  return connection->Prepare("INSERT INTO artifact_refs (sha256, role, job) VALUES (?, ?, ?)")
      .BindText(sha256)
      .Bind(static_cast<int64_t>(role))
      .Bind(job_id)
      .Run();
}

absl::Status DropCheckpoint(Connection* connection, int64_t job_id, int64_t now_us) {
  constexpr auto kRole = static_cast<int64_t>(ArtifactRole::kCheckpoint);
  absl::Status status =
      connection
          ->Prepare(
              "UPDATE artifacts SET touched_us = ?"
              "  WHERE sha256 IN (SELECT sha256 FROM artifact_refs WHERE job = ? AND role = ?)")
          .Bind(now_us - (kGarbageAgeUs - kCheckpointGarbageAgeUs))
          .Bind(job_id)
          .Bind(kRole)
          .Run();
  if (!status.ok() || connection->changes() == 0) return status;
  return connection->Prepare("DELETE FROM artifact_refs WHERE job = ? AND role = ?")
      .Bind(job_id)
      .Bind(kRole)
      .Run();
}

}  // namespace modlab
