#include "server/engine/sweep_plan.h"

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/config/job_config.h"
#include "lib/config/sweep_policy.h"
#include "lib/config/sweep_spec.h"

namespace modlab {

namespace {

constexpr size_t kRequestIdBytesMax = 64;

// Less the configs whose job keys are `known`.
JobPlan PlanJobs(std::vector<v1::JobConfig> configs,
                 const absl::flat_hash_set<std::string>& known) {
  JobPlan plan;
  plan.jobs.reserve(configs.size());
  absl::flat_hash_map<std::string, size_t> shapes;
  for (v1::JobConfig& config : configs) {
    std::string job_key = JobKey(config);
    if (known.contains(job_key)) continue;
    const std::string shape_key = ShapeKey(config);
    const auto [shape, is_new] = shapes.try_emplace(shape_key, plan.shape_keys.size());
    if (is_new) plan.shape_keys.push_back(shape_key);
    plan.jobs.push_back({std::move(config), std::move(job_key), shape->second});
  }
  return plan;
}

}  // namespace

absl::StatusOr<SweepPlan> PlanSweep(const v1::CreateSweepRequest& request) {
  if (request.request_id().empty() || request.request_id().size() > kRequestIdBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("request_id has ", request.request_id().size(),
                                                   " characters; allowed are 1 to ",
                                                   kRequestIdBytesMax));
  }
  absl::Status status = CheckPolicy(request.policy());
  if (status.ok()) status = CheckUser(request.user());
  if (!status.ok()) return status;
  if (request.avoid_earlier_workers() && !request.force()) {
    return absl::InvalidArgumentError("avoid_earlier_workers is only allowed with force");
  }
  absl::StatusOr<std::vector<v1::JobConfig>> configs = ExpandSweep(request.spec());
  if (!configs.ok()) return configs.status();
  SweepPlan plan;
  plan.spec = request.spec();
  plan.policy = request.policy();
  plan.user = request.user();
  plan.request_id = request.request_id();
  plan.force = request.force();
  plan.avoid_earlier_workers = request.avoid_earlier_workers();
  plan.jobs = PlanJobs(*std::move(configs), {});
  return plan;
}

absl::StatusOr<ExtensionPlan> PlanExtension(const v1::Sweep& sweep,
                                            const v1::ExtendSweepRequest& request) {
  absl::StatusOr<v1::SweepSpec> spec =
      ExtendSpec(sweep.spec(), {request.axes().begin(), request.axes().end()});
  if (!spec.ok()) return spec.status();
  absl::flat_hash_set<std::string> known;
  {
    absl::StatusOr<std::vector<v1::JobConfig>> configs = ExpandSweep(sweep.spec());
    if (!configs.ok()) return configs.status();
    for (const v1::JobConfig& config : *configs) known.insert(JobKey(config));
  }
  absl::StatusOr<std::vector<v1::JobConfig>> configs = ExpandSweep(*spec);
  if (!configs.ok()) return configs.status();
  ExtensionPlan plan;
  plan.sweep_id = sweep.id();
  plan.base = sweep.spec();
  plan.spec = *std::move(spec);
  plan.jobs = PlanJobs(*std::move(configs), known);
  return plan;
}

}  // namespace modlab
