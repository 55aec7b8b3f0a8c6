#include "server/store/schema.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace modlab {
namespace {

absl::StatusOr<int64_t> SchemaVersion(Connection* connection) {
  Statement statement = connection->Prepare("PRAGMA user_version");
  absl::StatusOr<bool> row = statement.Step();
  if (!row.ok()) return row.status();
  return statement.Int(0);
}

absl::Status Apply(Connection* connection, absl::string_view migration, size_t version) {
  absl::Status status = connection->Execute("BEGIN IMMEDIATE");
  if (status.ok()) status = connection->Execute(std::string(migration));
  // PRAGMA takes no parameters, and is part of the transaction.
  if (status.ok()) status = connection->Execute(absl::StrCat("PRAGMA user_version = ", version));
  if (status.ok()) status = connection->Execute("COMMIT");
  if (!status.ok()) connection->Rollback();
  return status;
}

}  // namespace

absl::Status Migrate(Connection* connection, const std::vector<absl::string_view>& migrations) {
  const absl::StatusOr<int64_t> found = SchemaVersion(connection);
  if (!found.ok()) return found.status();
  const int64_t known = static_cast<int64_t>(migrations.size());
  if (*found < 0 || *found > known) {
    return absl::FailedPreconditionError(absl::StrCat(
        connection->path(), " has schema version ", *found,
        ", and this modlab (" MODLAB_VERSION ") knows versions up to ", known,
        ": a newer modlab wrote it. Use that version of modlab, or another data directory."));
  }
  for (size_t n = static_cast<size_t>(*found); n < migrations.size(); ++n) {
    absl::Status status = Apply(connection, migrations[n], n + 1);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace modlab
