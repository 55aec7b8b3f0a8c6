// What users change: sweeps are created and cancelled, jobs queued again.
// Steps of the ledger; run on the engine's thread.

#ifndef MODLAB_SERVER_ENGINE_SWEEP_STEPS_H_
#define MODLAB_SERVER_ENGINE_SWEEP_STEPS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/sweep.pb.h"
#include "server/engine/ledger.h"

namespace modlab {

// A sweep with all that can be worked out before the engine's turn.
struct SweepPlan {
  struct PlannedJob {
    v1::JobConfig config;  // canonical
    std::string job_key;
    size_t shape = 0;  // in shape_keys
  };
  v1::SweepSpec spec;
  std::string request_id;
  bool force = false;
  std::vector<PlannedJob> jobs;
  std::vector<std::string> shape_keys;
};

// Errors as documented for CreateSweep, none of the store's.
absl::StatusOr<SweepPlan> PlanSweep(const v1::CreateSweepRequest& request);

struct CreatedSweep {
  std::string sweep_id;
  int64_t jobs_created = 0;
  int64_t jobs_shared = 0;
  int64_t jobs_requeued = 0;
  // An earlier call with the same request_id made it, and the counts are not
  // known any more.
  bool known = false;
};

absl::StatusOr<CreatedSweep> CreateSweep(const SweepPlan& plan, Ledger* ledger, int64_t now_us);

// Returns the number of jobs cancelled. NOT_FOUND.
absl::StatusOr<int64_t> CancelSweep(const std::string& sweep, Ledger* ledger, int64_t now_us);

// Returns the number of jobs queued again. Reads `store`, so what earlier steps
// wrote must be committed. Errors as documented for RetryJobs.
absl::StatusOr<int64_t> RetryJobs(const v1::RetryJobsRequest& request, Store* store, Ledger* ledger,
                                  int64_t now_us);

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_SWEEP_STEPS_H_
