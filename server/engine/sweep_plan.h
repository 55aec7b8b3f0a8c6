// What a submission asks for, worked out before the engine's turn.
//
// All functions are pure and thread-safe. A plan of a million jobs takes 200 MB.

#ifndef MODLAB_SERVER_ENGINE_SWEEP_PLAN_H_
#define MODLAB_SERVER_ENGINE_SWEEP_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {

struct JobPlan {
  struct PlannedJob {
    std::string config;  // canonical, serialised
    std::string job_key;
    int64_t iterations = 0;
    size_t shape = 0;  // in shape_keys
  };
  std::vector<PlannedJob> jobs;
  std::vector<std::string> shape_keys;
};

struct SweepPlan {
  v1::SweepSpec spec;
  v1::SweepPolicy policy;
  std::string user;
  std::string request_id;
  bool force = false;
  bool avoid_earlier_workers = false;
  JobPlan jobs;
};

struct ExtensionPlan {
  std::string sweep_id;
  v1::SweepSpec base;  // the sweep's, of which this is an extension
  v1::SweepSpec spec;
  JobPlan jobs;  // that `base` does not have
};

// Errors as documented for CreateSweep and ExtendSweep, none of the store's.
absl::StatusOr<SweepPlan> PlanSweep(const v1::CreateSweepRequest& request);
absl::StatusOr<ExtensionPlan> PlanExtension(const v1::Sweep& sweep,
                                            const v1::ExtendSweepRequest& request);

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_SWEEP_PLAN_H_
