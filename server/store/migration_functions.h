// SQL functions that migrations need: what they must know of a database's rows and
// files, and SQL alone cannot tell.
//
//   result_weights(result, role)  SHA-256 of a JobResult's weights, the last (role
//                                 1) or the best (2); NULL: it has none. An error
//                                 for a blob that is no JobResult.
//   artifact_bytes(sha256)        Size of the artifact's file; NULL: it is missing.
//   curve_chunk(point)            Aggregate: the chunk of these CurvePoints. An error for
//                                 a blob that is none, and for too many of them.

#ifndef MODLAB_SERVER_STORE_MIGRATION_FUNCTIONS_H_
#define MODLAB_SERVER_STORE_MIGRATION_FUNCTIONS_H_

#include <string>

#include "absl/status/status.h"
#include "server/store/sqlite.h"

namespace modlab {

// `connection` knows them from then on. Artifacts are those of `data_dir`.
absl::Status AddMigrationFunctions(const std::string& data_dir, Connection* connection);

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_MIGRATION_FUNCTIONS_H_
