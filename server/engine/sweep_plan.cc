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
absl::StatusOr<JobPlan> PlanJobs(const v1::SweepSpec& spec,
                                 const absl::flat_hash_set<std::string>& known) {
  JobPlan plan;
  absl::flat_hash_map<std::string, size_t> shapes;
  absl::Status status =
      ExpandSweep(spec, [&](const v1::JobConfig& config, const JobKeys::Keys& keys) {
        if (known.contains(keys.job_key)) return;
        const auto [shape, is_new] = shapes.try_emplace(*keys.shape_key, plan.shape_keys.size());
        if (is_new) plan.shape_keys.push_back(*keys.shape_key);
        plan.jobs.push_back(
            {config.SerializeAsString(), keys.job_key, config.iterations(), shape->second});
      });
  if (!status.ok()) return status;
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
  absl::StatusOr<JobPlan> jobs = PlanJobs(request.spec(), {});
  if (!jobs.ok()) return jobs.status();
  SweepPlan plan;
  plan.spec = request.spec();
  plan.policy = request.policy();
  plan.user = request.user();
  plan.request_id = request.request_id();
  plan.force = request.force();
  plan.avoid_earlier_workers = request.avoid_earlier_workers();
  plan.jobs = *std::move(jobs);
  return plan;
}

absl::StatusOr<ExtensionPlan> PlanExtension(const v1::Sweep& sweep,
                                            const v1::ExtendSweepRequest& request) {
  absl::StatusOr<v1::SweepSpec> spec =
      ExtendSpec(sweep.spec(), {request.axes().begin(), request.axes().end()});
  if (!spec.ok()) return spec.status();
  absl::flat_hash_set<std::string> known;
  absl::Status status = ExpandSweep(
      sweep.spec(),
      [&known](const v1::JobConfig&, const JobKeys::Keys& keys) { known.insert(keys.job_key); });
  if (!status.ok()) return status;
  absl::StatusOr<JobPlan> jobs = PlanJobs(*spec, known);
  if (!jobs.ok()) return jobs.status();
  ExtensionPlan plan;
  plan.sweep_id = sweep.id();
  plan.base = sweep.spec();
  plan.spec = *std::move(spec);
  plan.jobs = *std::move(jobs);
  return plan;
}

}  // namespace modlab
