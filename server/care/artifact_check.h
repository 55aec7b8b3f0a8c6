// Whether artifacts, their rows and their files belong together.
//
// A store in use goes on while it is audited: files that the snapshot speaks of may be
// collected, and others come. What looks wrong is therefore looked up a second time, in
// the store as it is by then. Not thread-safe.

#ifndef MODLAB_SERVER_CARE_ARTIFACT_CHECK_H_
#define MODLAB_SERVER_CARE_ARTIFACT_CHECK_H_

#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/care/findings.h"
#include "server/store/artifacts.h"
#include "server/store/audit_rows.h"
#include "server/store/sqlite.h"

namespace modlab {

class ArtifactCheck {
 public:
  // `later` reads the newest state of the same store: it has no transaction. All that is
  // given must outlive the check. `checksums`: read every file.
  ArtifactCheck(const std::string& data_dir, const Artifacts* artifacts, Connection* later,
                bool checksums, Findings* findings)
      : data_dir_(data_dir),
        artifacts_(artifacts),
        later_(later),
        checksums_(checksums),
        findings_(findings) {}

  // One row of the snapshot, once.
  absl::Status CheckRow(const ArtifactRow& row);
  // After all rows were: every file has one.
  absl::Status CheckFiles();

 private:
  // "" where the file is as its row says.
  absl::StatusOr<std::string> WrongWithFile(const ArtifactRow& row) const;

  const std::string data_dir_;
  const Artifacts* const artifacts_;
  Connection* const later_;
  const bool checksums_;
  Findings* const findings_;
  absl::flat_hash_set<std::string> rows_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_CARE_ARTIFACT_CHECK_H_
