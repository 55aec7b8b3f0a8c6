// What workers change: reports are written down, leases renewed, given and
// ended. Steps of the ledger.

#ifndef MODLAB_SERVER_ENGINE_WORKER_STEPS_H_
#define MODLAB_SERVER_ENGINE_WORKER_STEPS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/worker.pb.h"
#include "server/engine/ledger.h"
#include "server/engine/sessions.h"
#include "server/store/artifact_files.h"

namespace modlab {

// Takes in all of a worker's view: its reports above `processed->newest` in their
// order, then what it holds. Brings `*processed` up to date. Reports of leases that
// are not current are ignored; those that make no sense are dropped with a warning, as
// are checkpoints whose file is not among the artifacts; a job whose result makes none,
// or whose weights are not there, has failed. UNAVAILABLE: a report is missing in
// between; the worker must send all again.
absl::Status TakeView(const v1::WorkerView& view, const ArtifactFiles& files,
                      ReportProgress* processed, Ledger* ledger, int64_t now_us);

// Asks a worker to drain. Returns it. Errors as documented for DrainWorker.
absl::StatusOr<v1::Worker> DrainWorker(absl::string_view name_or_id, Ledger* ledger,
                                       int64_t now_us);

// Ends the leases that expired.
absl::Status ExpireLeases(Ledger* ledger, int64_t now_us);

// Writes down, and logs, which places are in quarantine, if that has changed.
absl::Status KeepQuarantines(Ledger* ledger, int64_t now_us);

// Gives waiting jobs to idle slots, and chooses the gangs that are to make room.
absl::Status GiveGangs(Ledger* ledger, int64_t now_us);

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_WORKER_STEPS_H_
