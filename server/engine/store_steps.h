// What happens to the store beside the life of jobs: artifacts are registered and
// collected, old sweeps go. Steps of the ledger.

#ifndef MODLAB_SERVER_ENGINE_STORE_STEPS_H_
#define MODLAB_SERVER_ENGINE_STORE_STEPS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/coordinator.pb.h"
#include "server/engine/ledger.h"
#include "server/store/artifact_files.h"

namespace modlab {

// A file of this content is about to get its name.
absl::Status RegisterArtifact(absl::string_view sha256, int64_t size_bytes, Ledger* ledger,
                              int64_t now_us);

// Removes up to `count_max` artifacts that nothing refers to and that were
// registered or referred to last before `before_us`: first the file, then the row,
// so that a crash in between leaves a row that the next round finds. All that earlier
// steps wrote must be committed. Returns how many it found.
absl::StatusOr<int> CollectGarbage(int64_t before_us, int count_max, ArtifactFiles* files,
                                   Ledger* ledger);

// What Prune() would do now; no step, and takes no room on the disk.
absl::StatusOr<PrunePlan> PlanPrune(const v1::PruneRequest& request, Store* store, int64_t now_us);

// Errors as documented for Prune.
absl::StatusOr<v1::PruneResponse> Prune(const v1::PruneRequest& request, Ledger* ledger,
                                        int64_t now_us);

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_STORE_STEPS_H_
