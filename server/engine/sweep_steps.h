// What users change: sweeps are created, extended, changed and cancelled, jobs
// cancelled and queued again. Steps of the ledger.
//
// Steps that are given a `store` read it, so what earlier steps wrote must be
// committed.

#ifndef MODLAB_SERVER_ENGINE_SWEEP_STEPS_H_
#define MODLAB_SERVER_ENGINE_SWEEP_STEPS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "modlab/v1/sweep.pb.h"
#include "server/engine/ledger.h"
#include "server/engine/sweep_plan.h"
#include "server/store/store.h"

namespace modlab {

struct PlacedJobs {
  int64_t created = 0;
  int64_t shared = 0;
  int64_t requeued = 0;
};

struct CreatedSweep {
  std::string sweep_id;
  PlacedJobs jobs;
  // An earlier call with the same request_id made it, and the counts are not
  // known any more.
  bool known = false;
};

absl::StatusOr<CreatedSweep> CreateSweep(const SweepPlan& plan, Ledger* ledger, int64_t now_us);

// Also ABORTED: the sweep was extended otherwise since it was planned.
absl::StatusOr<PlacedJobs> ExtendSweep(const ExtensionPlan& plan, Ledger* ledger, int64_t now_us);

// Errors as documented for UpdateSweep.
absl::Status UpdateSweep(const v1::UpdateSweepRequest& request, Ledger* ledger);

// Takes the sweep out, for good: from here on none of its jobs is leased for it. Those that no
// other sweep asks for are cancelled, `jobs_max` of them at once; the others wait in
// Ledger::unwanted(), which a coordinator that is started again finds in the store. Returns the
// number of both. NOT_FOUND.
absl::StatusOr<int64_t> CancelSweep(const std::string& sweep, size_t jobs_max, Ledger* ledger,
                                    int64_t now_us);
// Cancels up to `jobs_max` more of these.
absl::Status StopUnwanted(size_t jobs_max, Ledger* ledger, int64_t now_us);

// -- jobs of a sweep, in steps ---------------------------------------------------------

// Which jobs a request is about, as the store says. Of very many, a step takes some: whoever
// else waits for the engine has his turn in between.
struct ChosenJobs {
  std::string sweep_id;
  bool cancelled = false;  // the sweep is
  std::string user;        // who asked; "": not known
  std::vector<int64_t> jobs;
};
inline constexpr size_t kJobsAStep = 2'000;

// No steps: on any thread. Errors as documented for the request.
absl::StatusOr<ChosenJobs> ChooseJobs(const v1::CancelJobsRequest& request, Store* store);
absl::StatusOr<ChosenJobs> ChooseJobs(const v1::RetryJobsRequest& request, Store* store);

// Those of `chosen` are cancelled, or queued again, that still can be. FAILED_PRECONDITION:
// the sweep was cancelled since. RetryJobs() returns the number of jobs queued again.
absl::StatusOr<v1::CancelJobsResponse> CancelJobs(const ChosenJobs& chosen, Ledger* ledger,
                                                  int64_t now_us);
absl::StatusOr<int64_t> RetryJobs(const ChosenJobs& chosen, Ledger* ledger, int64_t now_us);

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_SWEEP_STEPS_H_
