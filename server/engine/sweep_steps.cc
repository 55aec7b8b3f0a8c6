#include "server/engine/sweep_steps.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"
#include "lib/config/sweep_policy.h"
#include "server/queue/avoided.h"

namespace modlab {

namespace {

// Each takes a few hundred bytes of memory, for as long as it waits.
constexpr int64_t kUnfinishedMax = 10'000'000;

// Before the queue is changed, since undoing that takes long; so jobs that would be
// shared count as well.
absl::Status CheckRoom(size_t more, Ledger* ledger) {
  const Queue::Totals totals = ledger->queue().totals();
  const int64_t unfinished = totals.waiting + totals.running;
  if (unfinished + static_cast<int64_t>(more) <= kUnfinishedMax) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(unfinished, " jobs are unfinished already and this is about ", more,
                   " more; at most ", kUnfinishedMax, " are allowed: wait, or cancel some"));
}

// Jobs known before: back in the queue without failures. They may belong to sweeps
// that had nothing left to do, and that the queue does not know.
absl::Status Requeue(const std::vector<int64_t>& job_ids, absl::string_view reason, Ledger* ledger,
                     int64_t now_us) {
  if (job_ids.empty()) return absl::OkStatus();
  absl::Status status = CheckRoom(job_ids.size(), ledger);
  if (!status.ok()) return status;
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  for (const int64_t job_id : job_ids) {
    status = (*writer)->RetryJob(job_id, reason, now_us);
    if (!status.ok()) return status;
  }
  for (const int64_t job_id : job_ids) {
    absl::StatusOr<UnfinishedJob> job = (*writer)->ReadUnfinished(job_id);
    if (!job.ok()) return job.status();
    for (const int64_t number : job->sweeps) {
      if (ledger->queue().KnowsSweep(number)) continue;
      absl::StatusOr<QueuedSweep> sweep = (*writer)->ReadSweep(number);
      if (!sweep.ok()) return sweep.status();
      ledger->queue().SetSweep(*sweep);
    }
    ledger->queue().AddJob(*job, now_us);
  }
  return absl::OkStatus();
}

struct Placement {
  int64_t sweep = 0;
  std::string sweep_id;
  bool force = false;
  bool avoid_earlier_workers = false;
};

// Makes or shares one job; one that ended without a result goes to `again`.
absl::Status PlaceJob(const Placement& placement, const std::string& shape_key,
                      const JobPlan::PlannedJob& planned, Store::Writer* writer, Ledger* ledger,
                      int64_t now_us, PlacedJobs* counts, std::vector<int64_t>* again) {
  absl::StatusOr<std::optional<KnownJob>> known = writer->FindJob(planned.job_key);
  if (!known.ok()) return known.status();

  UnfinishedJob job;
  job.shape_key = shape_key;
  job.config = planned.config;
  if (!known->has_value() || placement.force) {
    int32_t replicate = 0;
    if (known->has_value()) {
      replicate = (*known)->newest_replicate + 1;
      if (placement.avoid_earlier_workers) {
        job.avoided = AddAvoided("", (*known)->place, (*known)->worker, WhyAvoided::kAsked);
      }
    }
    NewJob made;
    made.config = planned.config;
    made.job_key = planned.job_key;
    made.shape_key = shape_key;
    made.avoided = job.avoided;
    made.iterations = planned.iterations;
    made.replicate = replicate;
    absl::StatusOr<int64_t> id = writer->InsertJob(made, now_us);
    if (!id.ok()) return id.status();
    job.id = *id;
    job.sweeps = {placement.sweep};
    ledger->queue().AddJob(job, now_us);
    ++counts->created;
    return writer->LinkJob(placement.sweep, *id).status();
  }
  const KnownJob& old = **known;
  absl::Status linked = writer->LinkJob(placement.sweep, old.id).status();
  if (!linked.ok()) return linked;
  if (old.state == v1::FAILED || old.state == v1::CANCELLED) {
    again->push_back(old.id);
    ++counts->requeued;
    return absl::OkStatus();
  }
  if (ledger->queue().Contains(old.id)) ledger->queue().LinkJob(old.id, placement.sweep);
  ++counts->shared;
  return absl::OkStatus();
}

absl::StatusOr<PlacedJobs> PlaceJobs(const Placement& placement, const JobPlan& plan,
                                     Store::Writer* writer, Ledger* ledger, int64_t now_us) {
  PlacedJobs counts;
  std::vector<int64_t> again;
  for (const JobPlan::PlannedJob& planned : plan.jobs) {
    absl::Status status = PlaceJob(placement, plan.shape_keys[planned.shape], planned, writer,
                                   ledger, now_us, &counts, &again);
    if (!status.ok()) return status;
  }
  absl::Status status = Requeue(
      again, absl::StrCat("sweep ", placement.sweep_id, " asks for it again"), ledger, now_us);
  if (!status.ok()) return status;
  return counts;
}

// The jobs of a sweep that are in one of `states` and pass all filters.
absl::StatusOr<ChosenJobs> Choose(const std::string& sweep_id,
                                  const google::protobuf::RepeatedPtrField<v1::FieldFilter>& kept,
                                  const std::vector<std::string>& states, Store* store) {
  if (sweep_id.empty()) {
    return absl::InvalidArgumentError("sweep is empty; give the id or name of one");
  }
  absl::StatusOr<v1::Sweep> sweep = store->GetSweep(sweep_id);
  if (!sweep.ok()) return sweep.status();
  ChosenJobs chosen;
  chosen.sweep_id = sweep->id();
  chosen.cancelled = sweep->cancelled_us() > 0;
  std::vector<v1::FieldFilter> filters(kept.begin(), kept.end());
  v1::FieldFilter& filter = filters.emplace_back();
  filter.set_field("state");
  filter.mutable_values()->Assign(states.begin(), states.end());
  absl::Status status = store->ScanFigures(sweep->id(), filters, v1::LAST, [&](const auto& job) {
    chosen.jobs.push_back(job.id);
    return true;
  });
  if (!status.ok()) return status;
  return chosen;
}

}  // namespace

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
  absl::Status room = CheckRoom(plan.jobs.jobs.size(), ledger);
  if (!room.ok()) return room;
  absl::StatusOr<QueuedSweep> sweep =
      (*writer)->InsertSweep(plan.spec, plan.policy, plan.user, plan.request_id, now_us);
  if (!sweep.ok()) return sweep.status();
  ledger->queue().SetSweep(*sweep);
  created.sweep_id = sweep->id;
  absl::StatusOr<PlacedJobs> jobs =
      PlaceJobs({sweep->number, sweep->id, plan.force, plan.avoid_earlier_workers}, plan.jobs,
                *writer, ledger, now_us);
  if (!jobs.ok()) return jobs.status();
  created.jobs = *jobs;
  return created;
}

absl::StatusOr<PlacedJobs> ExtendSweep(const ExtensionPlan& plan, Ledger* ledger, int64_t now_us) {
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  absl::StatusOr<QueuedSweep> sweep = (*writer)->FindActiveSweep(plan.sweep_id);
  if (!sweep.ok()) return sweep.status();
  absl::StatusOr<v1::SweepSpec> spec = (*writer)->ReadSpec(sweep->number);
  if (!spec.ok()) return spec.status();
  if (!google::protobuf::util::MessageDifferencer::Equals(*spec, plan.base)) {
    return absl::AbortedError(
        absl::StrCat("sweep ", plan.sweep_id, " was extended by another call; try again"));
  }
  absl::Status status = CheckRoom(plan.jobs.jobs.size(), ledger);
  if (status.ok()) status = (*writer)->SetSpec(sweep->number, plan.spec);
  if (!status.ok()) return status;
  ledger->queue().SetSweep(*sweep);
  return PlaceJobs({sweep->number, sweep->id, false, false}, plan.jobs, *writer, ledger, now_us);
}

absl::Status UpdateSweep(const v1::UpdateSweepRequest& request, Ledger* ledger) {
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  absl::StatusOr<QueuedSweep> sweep = (*writer)->FindActiveSweep(request.sweep());
  if (!sweep.ok()) return sweep.status();
  v1::SweepPolicy& policy = sweep->policy;
  if (request.has_priority()) policy.set_priority(request.priority());
  if (request.has_max_running()) policy.set_max_running(request.max_running());
  if (request.has_paused()) policy.set_paused(request.paused());
  if (request.has_preempt()) policy.set_preempt(request.preempt());
  if (request.has_requirements()) *policy.mutable_requirements() = request.requirements();
  absl::Status status = CheckPolicy(policy);
  if (status.ok()) status = (*writer)->SetPolicy(sweep->number, policy);
  if (status.ok()) ledger->queue().SetSweep(*sweep);
  return status;
}

absl::StatusOr<int64_t> CancelSweep(const std::string& sweep, size_t jobs_max, Ledger* ledger,
                                    int64_t now_us) {
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  const absl::StatusOr<int64_t> number = (*writer)->CancelSweep(sweep, now_us);
  if (!number.ok()) return number.status();
  const std::vector<int64_t> jobs = ledger->queue().RemoveSweep(*number);
  ledger->unwanted().insert(ledger->unwanted().end(), jobs.begin(), jobs.end());
  absl::Status status = StopUnwanted(jobs_max, ledger, now_us);
  if (!status.ok()) return status;
  return static_cast<int64_t>(jobs.size());
}

absl::Status StopUnwanted(size_t jobs_max, Ledger* ledger, int64_t now_us) {
  std::deque<int64_t>& unwanted = ledger->unwanted();
  const auto end =
      unwanted.begin() + static_cast<std::ptrdiff_t>(std::min(unwanted.size(), jobs_max));
  for (auto job = unwanted.begin(); job != end; ++job) {
    if (!ledger->queue().IsUnwanted(*job)) continue;
    absl::StatusOr<Store::Writer*> writer = ledger->Write();
    if (!writer.ok()) return writer.status();
    const absl::StatusOr<std::string> sweep = (*writer)->FindCancelledSweep(*job);
    if (!sweep.ok()) return sweep.status();
    const std::string reason =
        sweep->empty() ? "no sweep asks for it" : absl::StrCat("sweep ", *sweep, " was cancelled");
    absl::Status status = (*writer)->CancelJob(*job, reason, now_us);
    if (!status.ok()) return status;
    ledger->queue().RemoveJob(*job);
  }
  unwanted.erase(unwanted.begin(), end);
  return absl::OkStatus();
}

absl::StatusOr<ChosenJobs> ChooseJobs(const v1::CancelJobsRequest& request, Store* store) {
  absl::StatusOr<ChosenJobs> chosen =
      Choose(request.sweep(), request.filters(), {"queued", "running"}, store);
  if (chosen.ok() && request.filters().empty()) {
    return absl::InvalidArgumentError("filters is empty; give at least one, or cancel the sweep");
  }
  return chosen;
}

absl::StatusOr<ChosenJobs> ChooseJobs(const v1::RetryJobsRequest& request, Store* store) {
  absl::StatusOr<ChosenJobs> chosen =
      Choose(request.sweep(), request.filters(), {"failed", "cancelled"}, store);
  if (chosen.ok() && chosen->cancelled) {
    return absl::FailedPreconditionError(
        absl::StrCat("sweep ", chosen->sweep_id, " was cancelled; submit it again instead"));
  }
  const absl::Status user = CheckUser(request.user());
  if (!user.ok()) return user;
  if (chosen.ok()) chosen->user = request.user();
  return chosen;
}

absl::StatusOr<v1::CancelJobsResponse> CancelJobs(const ChosenJobs& chosen, Ledger* ledger,
                                                  int64_t now_us) {
  v1::CancelJobsResponse response;
  if (chosen.cancelled) {
    response.set_jobs_shared(static_cast<int64_t>(chosen.jobs.size()));
    return response;
  }
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  absl::StatusOr<QueuedSweep> active = (*writer)->FindActiveSweep(chosen.sweep_id);
  if (!active.ok()) return active.status();
  absl::StatusOr<SharedJobs> split = (*writer)->SplitByOwner(active->number, chosen.jobs);
  if (!split.ok()) return split.status();
  const std::string reason = absl::StrCat("jobs of sweep ", chosen.sweep_id, " were cancelled");
  for (int64_t job_id : split->own) {
    absl::Status status = (*writer)->CancelJob(job_id, reason, now_us);
    if (!status.ok()) return status;
    ledger->queue().RemoveJob(job_id);
  }
  response.set_jobs_cancelled(static_cast<int64_t>(split->own.size()));
  response.set_jobs_shared(split->shared);
  return response;
}

absl::StatusOr<int64_t> RetryJobs(const ChosenJobs& chosen, Ledger* ledger, int64_t now_us) {
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  absl::Status active = (*writer)->FindActiveSweep(chosen.sweep_id).status();
  if (!active.ok()) return active;
  absl::StatusOr<std::vector<int64_t>> jobs = (*writer)->KeepEnded(chosen.jobs);
  if (!jobs.ok()) return jobs.status();
  const std::string reason = absl::StrCat("retry of sweep ", chosen.sweep_id,
                                          chosen.user.empty() ? "" : " by ", chosen.user);
  absl::Status status = Requeue(*jobs, reason, ledger, now_us);
  if (!status.ok()) return status;
  return static_cast<int64_t>(jobs->size());
}

}  // namespace modlab
