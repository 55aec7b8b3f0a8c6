// Artifacts on a simulated disk: the same steps in the same order as the real ones
// (server/store/artifacts), each of which may be the last before a crash.

#ifndef MODLAB_TESTS_SIM_ARTIFACTS_H_
#define MODLAB_TESTS_SIM_ARTIFACTS_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/store/artifact_files.h"
#include "tests/sim/disk.h"

namespace modlab {
namespace sim {

class Artifacts : public ArtifactFiles {
 public:
  // `disk` must outlive it.
  Artifacts(Disk* disk, std::string root) : disk_(disk), root_(std::move(root)) {}

  // At a start: removes what a crash left of uploads.
  void Clean();

  // A temporary file of this content, synced; returns its path.
  absl::StatusOr<std::string> Put(absl::string_view content);
  // Gives it its name.
  absl::Status Name(const std::string& temporary, absl::string_view sha256);
  void Drop(const std::string& temporary) { disk_->Remove(temporary); }
  // NOT_FOUND; DATA_LOSS.
  absl::StatusOr<std::string> Get(absl::string_view sha256) const;
  std::vector<std::string> List() const;

  bool Contains(absl::string_view sha256) const override;
  absl::Status Remove(absl::string_view sha256) override;
  absl::Status SyncRemovals() override;

 private:
  std::string DirOf(absl::string_view sha256) const;
  std::string PathOf(absl::string_view sha256) const;

  Disk* const disk_;
  const std::string root_;
  int64_t uploads_ = 0;
  std::set<std::string> removed_from_;
};

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_ARTIFACTS_H_
