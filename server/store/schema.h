// The schema of the store's database and its way from version to version.
//
// Version n is what schema/0001_*.sql to schema/000n_*.sql make of an empty
// file; it is kept in PRAGMA user_version. A migration, once released, is never
// edited: the next change is the next file.

#ifndef MODLAB_SERVER_STORE_SCHEMA_H_
#define MODLAB_SERVER_STORE_SCHEMA_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/store/sqlite.h"

namespace modlab {

// The SQL files in order; the n-th leads from version n - 1 to version n.
const std::vector<absl::string_view>& Migrations();

// Applies what `connection`'s file lacks of `migrations`, each in a transaction
// of its own. FAILED_PRECONDITION: the file is newer than all of them; names
// the file and both versions. A migration that fails has changed nothing.
absl::Status Migrate(Connection* connection, const std::vector<absl::string_view>& migrations);

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_SCHEMA_H_
