#include "server/services/sweep_service.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "server/engine/job_log.h"
#include "server/query/answer_limit.h"
#include "server/services/call_guard.h"
#include "server/services/unary.h"
#include "server/store/page_token.h"
#include "spdlog/spdlog.h"

namespace modlab {

namespace {

// A page ends early beyond this, since one job's result may have 256 KiB.
constexpr size_t kPageBytesMax = size_t{16} << 20;

// Of a CreateSweepResponse or ExtendSweepResponse.
template <typename Response>
void SetJobs(const PlacedJobs& jobs, Response* response) {
  response->set_jobs_created(jobs.created);
  response->set_jobs_shared(jobs.shared);
  response->set_jobs_requeued(jobs.requeued);
}

// What a user did, once it is on disk.
void Log(absl::string_view sweep, absl::string_view user, absl::string_view what) {
  spdlog::info("{}{}: {}", LogField("sweep", sweep),
               user.empty() ? "" : absl::StrCat(" ", LogField("user", user)), std::string(what));
}

std::string JobsText(const PlacedJobs& jobs) {
  return absl::StrCat(jobs.created, " new jobs, ", jobs.shared, " shared, ", jobs.requeued,
                      " queued again");
}

// "paused, priority 5": what a request changed.
std::string ChangesText(const v1::UpdateSweepRequest& request) {
  std::vector<std::string> parts;
  if (request.has_paused()) parts.emplace_back(request.paused() ? "paused" : "resumed");
  if (request.has_priority()) parts.push_back(absl::StrCat("priority ", request.priority()));
  if (request.has_max_running()) {
    parts.push_back(absl::StrCat("max_running ", request.max_running()));
  }
  if (request.has_preempt()) parts.emplace_back(request.preempt() ? "preempts" : "preempts not");
  if (request.has_requirements()) {
    parts.push_back(absl::StrCat("requires {", request.requirements().ShortDebugString(), "}"));
  }
  return absl::StrJoin(parts, ", ");
}

std::vector<v1::FieldFilter> Filters(const v1::ListJobsRequest& request) {
  return {request.filters().begin(), request.filters().end()};
}

}  // namespace

// -- handlers ------------------------------------------------------------------

absl::Status SweepServiceImpl::Create(const v1::CreateSweepRequest& request,
                                      const std::string& user, v1::CreateSweepResponse* response) {
  CreatedSweep created;
  {
    absl::StatusOr<SweepPlan> plan = PlanSweep(request);
    if (!plan.ok()) return plan.status();
    if (!user.empty()) plan->user = user;
    absl::StatusOr<CreatedSweep> answer = engine_->CreateSweep(*plan);
    if (!answer.ok()) return answer.status();
    created = *std::move(answer);
  }
  absl::Status status = ReadSweep(created.sweep_id, response->mutable_sweep());
  if (!created.known) {
    Log(created.sweep_id, response->sweep().user(),
        absl::StrCat("submitted: ", JobsText(created.jobs)));
  }
  if (!status.ok()) return status;
  if (created.known) {
    // By now every job of it was known before this call.
    const v1::JobCounts& counts = response->sweep().counts();
    created.jobs.shared = counts.queued() + counts.running() + counts.succeeded() +
                          counts.failed() + counts.cancelled();
  }
  SetJobs(created.jobs, response);
  return absl::OkStatus();
}

absl::Status SweepServiceImpl::Extend(const v1::ExtendSweepRequest& request,
                                      const std::string& user, v1::ExtendSweepResponse* response) {
  absl::StatusOr<PlacedJobs> placed;
  std::string sweep_id;
  {
    absl::StatusOr<v1::Sweep> sweep = FindSweep(request.sweep());
    if (!sweep.ok()) return sweep.status();
    sweep_id = sweep->id();
    absl::StatusOr<ExtensionPlan> plan = PlanExtension(*sweep, request);
    if (!plan.ok()) return plan.status();
    placed = engine_->ExtendSweep(*plan);
  }
  if (!placed.ok()) return placed.status();
  Log(sweep_id, user, absl::StrCat("extended: ", JobsText(*placed)));
  SetJobs(*placed, response);
  return ReadSweep(sweep_id, response->mutable_sweep());
}

absl::Status SweepServiceImpl::Update(const v1::UpdateSweepRequest& request,
                                      const std::string& user, v1::Sweep* response) {
  absl::StatusOr<v1::Sweep> sweep = FindSweep(request.sweep());
  if (!sweep.ok()) return sweep.status();
  v1::UpdateSweepRequest update = request;
  update.set_sweep(sweep->id());
  absl::Status status = engine_->UpdateSweep(update);
  if (!status.ok()) return status;
  Log(sweep->id(), user, absl::StrCat("policy changed: ", ChangesText(request)));
  return ReadSweep(sweep->id(), response);
}

absl::Status SweepServiceImpl::Cancel(const v1::CancelSweepRequest& request,
                                      const std::string& user, v1::CancelSweepResponse* response) {
  // A name means one sweep from here on, whatever is submitted meanwhile.
  absl::StatusOr<v1::Sweep> sweep = FindSweep(request.sweep());
  if (!sweep.ok()) return sweep.status();
  absl::StatusOr<int64_t> cancelled = engine_->CancelSweep(sweep->id());
  if (!cancelled.ok()) return cancelled.status();
  Log(sweep->id(), user, absl::StrCat("cancelled: ", *cancelled, " jobs"));
  response->set_jobs_cancelled(*cancelled);
  return ReadSweep(sweep->id(), response->mutable_sweep());
}

absl::Status SweepServiceImpl::ListJobsPage(const v1::ListJobsRequest& request,
                                            v1::ListJobsResponse* response) {
  absl::StatusOr<int> page_size = CheckPageSize(request.page_size());
  if (!page_size.ok()) return page_size.status();
  absl::StatusOr<int64_t> after_id = ParsePageToken(request.page_token());
  if (!after_id.ok()) return after_id.status();
  size_t bytes = 0;
  return store_->ScanJobs(request.sweep(), Filters(request), *after_id, [&](const v1::Job& job) {
    if (response->jobs_size() == *page_size || bytes > kPageBytesMax) {
      response->set_next_page_token(MakePageToken(response->jobs(response->jobs_size() - 1).id()));
      return false;
    }
    bytes += job.ByteSizeLong();
    *response->add_jobs() = job;
    return true;
  });
}

absl::StatusOr<v1::Sweep> SweepServiceImpl::FindSweep(const std::string& id_or_name) {
  if (id_or_name.empty()) {
    return absl::InvalidArgumentError("sweep is empty; give the id or name of one");
  }
  return store_->GetSweep(id_or_name);
}

absl::Status SweepServiceImpl::ReadSweep(const std::string& id, v1::Sweep* sweep) {
  absl::StatusOr<v1::Sweep> read = FindSweep(id);
  if (!read.ok()) return read.status();
  *sweep = *std::move(read);
  return FillSpeeds({sweep});
}

std::string SweepServiceImpl::UserOf(const grpc::CallbackServerContext& context) {
  return access_->User(AuthorizationOf(context), absl::Now());
}

// The store knows which jobs run, the engine how fast.
absl::Status SweepServiceImpl::FillSpeeds(const std::vector<v1::Sweep*>& sweeps) {
  const bool none_run = std::all_of(sweeps.begin(), sweeps.end(), [](const v1::Sweep* sweep) {
    return sweep->counts().running() == 0;
  });
  if (none_run) return absl::OkStatus();
  absl::StatusOr<std::map<std::string, double>> speeds = engine_->IterationsPerSecond();
  if (!speeds.ok()) return speeds.status();
  for (v1::Sweep* sweep : sweeps) sweep->set_iterations_per_second((*speeds)[sweep->id()]);
  return absl::OkStatus();
}

// -- calls ---------------------------------------------------------------------

grpc::ServerUnaryReactor* SweepServiceImpl::CreateSweep(grpc::CallbackServerContext* context,
                                                        const v1::CreateSweepRequest* request,
                                                        v1::CreateSweepResponse* response) {
  return RunUnary(planning_, context, [=] { return Create(*request, UserOf(*context), response); });
}

grpc::ServerUnaryReactor* SweepServiceImpl::GetSweep(grpc::CallbackServerContext* context,
                                                     const v1::GetSweepRequest* request,
                                                     v1::Sweep* response) {
  return RunLargeUnary(pool_, context, response,
                       [=] { return ReadSweep(request->sweep(), response); });
}

grpc::ServerUnaryReactor* SweepServiceImpl::ListSweeps(grpc::CallbackServerContext* context,
                                                       const v1::ListSweepsRequest* request,
                                                       v1::ListSweepsResponse* response) {
  return RunLargeUnary(pool_, context, response, [=]() -> absl::Status {
    absl::StatusOr<v1::ListSweepsResponse> page =
        store_->ListSweeps(request->page_size(), request->page_token());
    if (!page.ok()) return page.status();
    *response = *std::move(page);
    absl::Status status = FillSpeeds(
        {response->mutable_sweeps()->pointer_begin(), response->mutable_sweeps()->pointer_end()});
    return status.ok() ? CheckAnswerSize(*response) : status;
  });
}

grpc::ServerUnaryReactor* SweepServiceImpl::CancelSweep(grpc::CallbackServerContext* context,
                                                        const v1::CancelSweepRequest* request,
                                                        v1::CancelSweepResponse* response) {
  return RunUnary(pool_, context, [=] { return Cancel(*request, UserOf(*context), response); });
}

grpc::ServerUnaryReactor* SweepServiceImpl::CancelJobs(grpc::CallbackServerContext* context,
                                                       const v1::CancelJobsRequest* request,
                                                       v1::CancelJobsResponse* response) {
  return RunUnary(pool_, context, [=]() -> absl::Status {
    absl::StatusOr<v1::CancelJobsResponse> cancelled = engine_->CancelJobs(*request);
    if (!cancelled.ok()) return cancelled.status();
    Log(request->sweep(), UserOf(*context),
        absl::StrCat(cancelled->jobs_cancelled(), " of its jobs cancelled"));
    *response = *std::move(cancelled);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* SweepServiceImpl::UpdateSweep(grpc::CallbackServerContext* context,
                                                        const v1::UpdateSweepRequest* request,
                                                        v1::Sweep* response) {
  return RunUnary(pool_, context, [=] { return Update(*request, UserOf(*context), response); });
}

grpc::ServerUnaryReactor* SweepServiceImpl::ExtendSweep(grpc::CallbackServerContext* context,
                                                        const v1::ExtendSweepRequest* request,
                                                        v1::ExtendSweepResponse* response) {
  return RunUnary(planning_, context, [=] { return Extend(*request, UserOf(*context), response); });
}

grpc::ServerUnaryReactor* SweepServiceImpl::GetJob(grpc::CallbackServerContext* context,
                                                   const v1::GetJobRequest* request,
                                                   v1::Job* response) {
  return RunLargeUnary(pool_, context, response, [=]() -> absl::Status {
    absl::StatusOr<v1::Job> job = store_->GetJob(request->id());
    if (!job.ok()) return job.status();
    *response = *std::move(job);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* SweepServiceImpl::ListJobs(grpc::CallbackServerContext* context,
                                                     const v1::ListJobsRequest* request,
                                                     v1::ListJobsResponse* response) {
  return RunLargeUnary(pool_, context, response, [=] { return ListJobsPage(*request, response); });
}

grpc::ServerUnaryReactor* SweepServiceImpl::ListJobEvents(grpc::CallbackServerContext* context,
                                                          const v1::ListJobEventsRequest* request,
                                                          v1::ListJobEventsResponse* response) {
  return RunLargeUnary(pool_, context, response, [=]() -> absl::Status {
    absl::StatusOr<std::vector<v1::JobEvent>> events = store_->ReadEvents(request->id());
    if (!events.ok()) return events.status();
    for (v1::JobEvent& event : *events) *response->add_events() = std::move(event);
    return CheckAnswerSize(*response);
  });
}

grpc::ServerUnaryReactor* SweepServiceImpl::RetryJobs(grpc::CallbackServerContext* context,
                                                      const v1::RetryJobsRequest* request,
                                                      v1::RetryJobsResponse* response) {
  return RunUnary(pool_, context, [=]() -> absl::Status {
    v1::RetryJobsRequest retry = *request;
    const std::string user = UserOf(*context);
    if (!user.empty()) retry.set_user(user);
    absl::StatusOr<int64_t> requeued = engine_->RetryJobs(retry);
    if (!requeued.ok()) return requeued.status();
    Log(request->sweep(), retry.user(), absl::StrCat("retry: ", *requeued, " jobs"));
    response->set_jobs_requeued(*requeued);
    return absl::OkStatus();
  });
}

}  // namespace modlab
