#include "server/engine/sweep_steps.h"

#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/config/job_config.h"
#include "lib/config/sweep_spec.h"

namespace modlab {

namespace {

constexpr size_t kRequestIdBytesMax = 64;

// A job known before: back in the queue with a fresh count of failures.
absl::Status Requeue(UnfinishedJob job, Ledger* ledger, int64_t now_us) {
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  absl::Status status = (*writer)->RequeueJob(job.id, 0, nullptr, now_us);
  if (!status.ok()) return status;
  job.state = v1::QUEUED;
  ledger->queue().AddJob(job, now_us);
  return absl::OkStatus();
}

// Makes, shares or requeues one job; returns its id.
absl::StatusOr<int64_t> PlaceJob(const SweepPlan& plan, const SweepPlan::PlannedJob& planned,
                                 Store::Writer* writer, Ledger* ledger, int64_t now_us,
                                 CreatedSweep* counts) {
  absl::StatusOr<std::optional<KnownJob>> known = writer->FindJob(planned.job_key);
  if (!known.ok()) return known.status();

  UnfinishedJob job;
  job.shape_key = plan.shape_keys[planned.shape];
  job.config = planned.config;
  if (!known->has_value() || plan.force) {
    const int32_t replicate = known->has_value() ? (*known)->newest_replicate + 1 : 0;
    absl::StatusOr<int64_t> id =
        writer->InsertJob(planned.config, planned.job_key, job.shape_key, replicate, now_us);
    if (!id.ok()) return id.status();
    job.id = *id;
    ledger->queue().AddJob(job, now_us);
    ++counts->jobs_created;
    return *id;
  }
  const KnownJob& old = **known;
  if (old.state != v1::FAILED && old.state != v1::CANCELLED) {
    ++counts->jobs_shared;
    return old.id;
  }
  job.id = old.id;
  job.attempt = old.attempt;
  absl::Status status = Requeue(std::move(job), ledger, now_us);
  if (!status.ok()) return status;
  ++counts->jobs_requeued;
  return old.id;
}

}  // namespace

absl::StatusOr<SweepPlan> PlanSweep(const v1::CreateSweepRequest& request) {
  if (request.request_id().empty() || request.request_id().size() > kRequestIdBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("request_id has ", request.request_id().size(),
                                                   " characters; allowed are 1 to ",
                                                   kRequestIdBytesMax));
  }
  absl::StatusOr<std::vector<v1::JobConfig>> configs = ExpandSweep(request.spec());
  if (!configs.ok()) return configs.status();
  SweepPlan plan;
  plan.spec = request.spec();
  plan.request_id = request.request_id();
  plan.force = request.force();
  plan.jobs.reserve(configs->size());
  absl::flat_hash_map<std::string, size_t> shapes;
  for (v1::JobConfig& config : *configs) {
    const std::string shape_key = ShapeKey(config);
    const auto [shape, is_new] = shapes.try_emplace(shape_key, plan.shape_keys.size());
    if (is_new) plan.shape_keys.push_back(shape_key);
    std::string job_key = JobKey(config);
    plan.jobs.push_back({std::move(config), std::move(job_key), shape->second});
  }
  return plan;
}

absl::StatusOr<CreatedSweep> CreateSweep(const SweepPlan& plan, Ledger* ledger, int64_t now_us) {
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  absl::StatusOr<std::optional<std::string>> made = (*writer)->FindRequest(plan.request_id);
  if (!made.ok()) return made.status();
  CreatedSweep created;
  if (made->has_value()) {
    created.sweep_id = **made;
    created.known = true;
    return created;
  }
  absl::StatusOr<std::string> id = (*writer)->InsertSweep(plan.spec, plan.request_id, now_us);
  if (!id.ok()) return id.status();
  created.sweep_id = *id;
  for (const SweepPlan::PlannedJob& planned : plan.jobs) {
    absl::StatusOr<int64_t> job = PlaceJob(plan, planned, *writer, ledger, now_us, &created);
    if (!job.ok()) return job.status();
    absl::Status status = (*writer)->LinkJob(created.sweep_id, *job);
    if (!status.ok()) return status;
  }
  return created;
}

absl::StatusOr<int64_t> CancelSweep(const std::string& sweep, Ledger* ledger, int64_t now_us) {
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  absl::StatusOr<std::vector<int64_t>> jobs = (*writer)->CancelSweep(sweep, now_us);
  if (!jobs.ok()) return jobs.status();
  for (int64_t job_id : *jobs) {
    absl::Status status = (*writer)->CancelJob(job_id, now_us);
    if (!status.ok()) return status;
    ledger->queue().RemoveJob(job_id);
  }
  return static_cast<int64_t>(jobs->size());
}

absl::StatusOr<int64_t> RetryJobs(const v1::RetryJobsRequest& request, Store* store, Ledger* ledger,
                                  int64_t now_us) {
  if (request.sweep().empty()) {
    return absl::InvalidArgumentError("sweep is empty; give the id or name of one");
  }
  absl::StatusOr<v1::Sweep> sweep = store->GetSweep(request.sweep());
  if (!sweep.ok()) return sweep.status();
  if (sweep->cancelled_us() > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("sweep ", sweep->id(), " was cancelled; submit it again instead"));
  }
  std::vector<v1::FieldFilter> filters(request.filters().begin(), request.filters().end());
  v1::FieldFilter& ended = filters.emplace_back();
  ended.set_field("state");
  ended.add_values("failed");
  ended.add_values("cancelled");

  std::vector<UnfinishedJob> jobs;
  absl::Status status = store->ScanJobs(sweep->id(), filters, 0, [&](const v1::Job& job) {
    UnfinishedJob& again = jobs.emplace_back();
    again.id = job.id();
    again.shape_key = job.shape_key();
    again.config = job.config();
    again.attempt = job.attempt();
    return true;
  });
  if (!status.ok()) return status;
  for (UnfinishedJob& job : jobs) {
    status = Requeue(std::move(job), ledger, now_us);
    if (!status.ok()) return status;
  }
  return static_cast<int64_t>(jobs.size());
}

}  // namespace modlab
