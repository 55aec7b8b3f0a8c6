// Which artifacts there are and which jobs need them: each call works on the
// connection that it is given, within its transaction.

#ifndef MODLAB_SERVER_STORE_ARTIFACT_ROWS_H_
#define MODLAB_SERVER_STORE_ARTIFACT_ROWS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/store/sqlite.h"
#include "server/store/store.h"

namespace modlab {

// FAILED_PRECONDITION: the artifact has no row.
absl::Status CheckArtifact(Connection* connection, absl::string_view sha256);

// The job needs the artifact, which has a row, in this role, in which it has none yet.
absl::Status AddReference(Connection* connection, int64_t job_id, ArtifactRole role,
                          absl::string_view sha256);

// The job needs its checkpoint no longer, if it has one. The artifact is given
// kCheckpointGarbageAgeUs: its report was taken, and a new one of each running job comes
// every minute.
absl::Status DropCheckpoint(Connection* connection, int64_t job_id, int64_t now_us);

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_ARTIFACT_ROWS_H_
