// Whether artifacts, their rows and their files belong together.
//
// A store in use goes on while it is audited: files that the snapshot speaks of may be
// collected, and others come. What looks wrong is therefore looked up a second time, in
// the store as it is by then. Not thread-safe.

#ifndef MODLAB_SERVER_CARE_ARTIFACT_CHECK_H_
#define MODLAB_SERVER_CARE_ARTIFACT_CHECK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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

  // One row of the snapshot, once; by name. Only looks at the row.
  void CheckRow(const ArtifactRow& row);
  // After all rows were, and the snapshot is no longer needed: their files, which takes as
  // long as reading them does.
  absl::Status CheckContents();
  // At last: every file has a row.
  absl::Status CheckFiles();

 private:
  // What is kept of a row.
  struct Known {
    std::string sha256;
    std::optional<int64_t> size_bytes;
    bool needed = false;
  };

  absl::Status CheckContent(const Known& row);
  // "" where the file is as its row says.
  absl::StatusOr<std::string> WrongWithFile(const Known& row) const;

  const std::string data_dir_;
  const Artifacts* const artifacts_;
  Connection* const later_;
  const bool checksums_;
  Findings* const findings_;
  std::vector<Known> rows_;  // by name
};

}  // namespace modlab

#endif  // MODLAB_SERVER_CARE_ARTIFACT_CHECK_H_
