#include "server/engine/engine.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <future>
#include <utility>

#include "server/engine/store_steps.h"
#include "server/engine/worker_steps.h"

namespace modlab {

namespace {

constexpr size_t kBatchMax = 1024;
// Their rows take a few pages of the log each.
constexpr size_t kWeightsAStep = 200;
constexpr std::chrono::milliseconds kTick(250);
// Beyond the tick, so long without a batch means that the process stood still
// or waited for the disk.
constexpr std::chrono::milliseconds kStandstillMin(500);

}  // namespace

Engine::Engine(Store* store, Store::Writer* writer, ArtifactFiles* files, Clock clock,
               const Options& options)
    : clock_(std::move(clock)),
      lease_duration_us_(options.queue.lease_duration_us),
      jobs_a_step_(options.jobs_a_step),
      inbox_(options.commands_max),
      core_(store, writer, files, options, clock_()) {}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Start(Store* store, Store::Writer* writer,
                                                      ArtifactFiles* files, Clock clock,
                                                      const Options& options) {
  std::unique_ptr<Engine> engine(new Engine(store, writer, files, std::move(clock), options));
  absl::Status status = engine->core_.Load(engine->clock_());
  if (!status.ok()) return status;
  engine->thread_ = std::thread([raw = engine.get()] { raw->Loop(); });
  return engine;
}

Engine::~Engine() { Stop(); }

void Engine::Stop() {
  inbox_.Close();
  if (thread_.joinable()) thread_.join();
}

// -- calls ---------------------------------------------------------------------

absl::Status Engine::Post(Command command) {
  command.posted_us = clock_();
  return inbox_.Post(std::move(command));
}

absl::Status Engine::Do(Ledger::Step step) {
  Command command;
  command.run = std::move(step);
  return Do(std::move(command));
}

absl::Status Engine::Do(Command command) {
  // Shared, since the engine's thread may still be in set_value() when the
  // caller goes on.
  const auto done = std::make_shared<std::promise<absl::Status>>();
  command.done = [done](const absl::Status& answer) { done->set_value(answer); };
  absl::Status status = Post(std::move(command));
  return status.ok() ? done->get_future().get() : status;
}

template <typename T>
absl::StatusOr<T> Engine::Call(const std::function<absl::StatusOr<T>(Ledger*, int64_t)>& step) {
  absl::StatusOr<T> result;
  absl::Status status = Do([&](Ledger* ledger, int64_t now_us) {
    result = step(ledger, now_us);
    return result.status();
  });
  if (!status.ok()) return status;
  return result;
}

absl::StatusOr<CreatedSweep> Engine::CreateSweep(const SweepPlan& plan) {
  return Call<CreatedSweep>(
      [&](Ledger* ledger, int64_t now_us) { return modlab::CreateSweep(plan, ledger, now_us); });
}

absl::StatusOr<PlacedJobs> Engine::ExtendSweep(const ExtensionPlan& plan) {
  return Call<PlacedJobs>(
      [&](Ledger* ledger, int64_t now_us) { return modlab::ExtendSweep(plan, ledger, now_us); });
}

absl::Status Engine::UpdateSweep(const v1::UpdateSweepRequest& request) {
  return Do([&](Ledger* ledger, int64_t) { return modlab::UpdateSweep(request, ledger); });
}

absl::Status Engine::InSteps(const ChosenJobs& chosen,
                             const std::function<absl::Status(const ChosenJobs&)>& step) {
  ChosenJobs part = chosen;
  for (size_t first = 0; first == 0 || first < chosen.jobs.size(); first += jobs_a_step_) {
    const size_t end = std::min(chosen.jobs.size(), first + jobs_a_step_);
    part.jobs.assign(chosen.jobs.begin() + static_cast<std::ptrdiff_t>(first),
                     chosen.jobs.begin() + static_cast<std::ptrdiff_t>(end));
    absl::Status status = step(part);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::CancelJobsResponse> Engine::CancelInSteps(const ChosenJobs& chosen) {
  v1::CancelJobsResponse all;
  absl::Status status = InSteps(chosen, [&](const ChosenJobs& part) {
    const absl::StatusOr<v1::CancelJobsResponse> done = Call<v1::CancelJobsResponse>(
        [&](Ledger* ledger, int64_t now_us) { return modlab::CancelJobs(part, ledger, now_us); });
    if (!done.ok()) return done.status();
    all.set_jobs_cancelled(all.jobs_cancelled() + done->jobs_cancelled());
    all.set_jobs_shared(all.jobs_shared() + done->jobs_shared());
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return all;
}

absl::StatusOr<int64_t> Engine::CancelSweep(const std::string& sweep) {
  const absl::StatusOr<v1::Sweep> found = core_.store()->GetSweep(sweep);
  if (!found.ok()) return found.status();
  // It would be closed for nothing.
  if (found->counts().queued() + found->counts().running() == 0) return 0;
  size_t left = 0;
  const absl::StatusOr<int64_t> cancelled = Call<int64_t>([&](Ledger* ledger, int64_t now_us) {
    absl::StatusOr<int64_t> jobs = modlab::CancelSweep(found->id(), jobs_a_step_, ledger, now_us);
    left = ledger->unwanted().size();
    return jobs;
  });
  absl::Status status = cancelled.status();
  while (status.ok() && left > 0) {
    status = Do([&](Ledger* ledger, int64_t now_us) {
      absl::Status stopped = StopUnwanted(jobs_a_step_, ledger, now_us);
      left = ledger->unwanted().size();
      return stopped;
    });
  }
  if (!status.ok()) return status;
  return cancelled;
}

absl::StatusOr<v1::CancelJobsResponse> Engine::CancelJobs(const v1::CancelJobsRequest& request) {
  const absl::StatusOr<ChosenJobs> chosen = ChooseJobs(request, core_.store());
  if (!chosen.ok()) return chosen.status();
  return CancelInSteps(*chosen);
}

absl::StatusOr<int64_t> Engine::RetryJobs(const v1::RetryJobsRequest& request) {
  const absl::StatusOr<ChosenJobs> chosen = ChooseJobs(request, core_.store());
  if (!chosen.ok()) return chosen.status();
  int64_t requeued = 0;
  absl::Status status = InSteps(*chosen, [&](const ChosenJobs& part) {
    const absl::StatusOr<int64_t> done = Call<int64_t>(
        [&](Ledger* ledger, int64_t now_us) { return modlab::RetryJobs(part, ledger, now_us); });
    requeued += done.value_or(0);
    return done.status();
  });
  if (!status.ok()) return status;
  return requeued;
}

absl::StatusOr<std::map<std::string, double>> Engine::IterationsPerSecond() {
  return Call<std::map<std::string, double>>(
      [](Ledger* ledger, int64_t) -> absl::StatusOr<std::map<std::string, double>> {
        return ledger->queue().SweepSpeeds();
      });
}

absl::StatusOr<std::vector<v1::Worker>> Engine::ListWorkers() {
  return Call<std::vector<v1::Worker>>(
      [](Ledger* ledger, int64_t) -> absl::StatusOr<std::vector<v1::Worker>> {
        return ledger->queue().ListWorkers();
      });
}

absl::StatusOr<v1::Worker> Engine::DrainWorker(const std::string& name_or_id) {
  return Call<v1::Worker>([&](Ledger* ledger, int64_t now_us) {
    return modlab::DrainWorker(name_or_id, ledger, now_us);
  });
}

absl::StatusOr<v1::Worker> Engine::ReleaseWorker(const std::string& name_or_id) {
  return Call<v1::Worker>(
      [&](Ledger* ledger, int64_t) { return ledger->queue().ReleaseWorker(name_or_id); });
}

absl::StatusOr<EngineStatus> Engine::GetStatus() {
  return Call<EngineStatus>([this](Ledger*, int64_t now_us) -> absl::StatusOr<EngineStatus> {
    return core_.GetStatus(now_us);
  });
}

absl::StatusOr<v1::PruneResponse> Engine::PruneAtOnce(const v1::PruneRequest& request,
                                                      bool at_full_disk) {
  absl::StatusOr<v1::PruneResponse> pruned;
  Command command;
  command.alone = true;
  command.at_full_disk = at_full_disk;
  command.run = [&](Ledger* ledger, int64_t now_us) {
    pruned = modlab::Prune(request, ledger, now_us);
    return pruned.status();
  };
  absl::Status status = Do(std::move(command));
  if (!status.ok()) return status;
  return pruned;
}

absl::StatusOr<v1::PruneResponse> Engine::PruneAtFullDisk(const v1::PruneRequest& request) {
  const absl::StatusOr<PrunePlan> plan = PlanPrune(request, core_.store(), clock_());
  if (!plan.ok()) return plan.status();
  for (size_t first = 0; first < plan->jobs.size(); first += kWeightsAStep) {
    const size_t end = std::min(plan->jobs.size(), first + kWeightsAStep);
    const std::vector<int64_t> part(plan->jobs.begin() + static_cast<std::ptrdiff_t>(first),
                                    plan->jobs.begin() + static_cast<std::ptrdiff_t>(end));
    Command command;
    command.alone = true;
    command.at_full_disk = true;
    command.run = [&](Ledger* ledger, int64_t) {
      absl::StatusOr<Store::Writer*> writer = ledger->Write();
      return writer.ok() ? (*writer)->PruneWeights(plan->sweeps, part) : writer.status();
    };
    absl::Status status = Do(std::move(command));
    if (!status.ok()) return status;
  }
  if (request.weights_only()) return plan->response;
  absl::StatusOr<v1::PruneResponse> pruned = PruneAtOnce(request, /*at_full_disk=*/true);
  if (!pruned.ok()) return pruned;
  pruned->set_artifacts(plan->response.artifacts());
  pruned->set_artifact_bytes(plan->response.artifact_bytes());
  return pruned;
}

absl::StatusOr<v1::PruneResponse> Engine::Prune(const v1::PruneRequest& request) {
  if (request.dry_run()) {
    absl::StatusOr<PrunePlan> plan = PlanPrune(request, core_.store(), clock_());
    if (!plan.ok()) return plan.status();
    return std::move(plan->response);
  }
  absl::StatusOr<v1::PruneResponse> pruned = PruneAtOnce(request, /*at_full_disk=*/false);
  return absl::IsResourceExhausted(pruned.status()) ? PruneAtFullDisk(request) : pruned;
}

absl::Status Engine::RegisterArtifact(absl::string_view sha256, int64_t size_bytes) {
  return Do([&](Ledger* ledger, int64_t now_us) {
    return modlab::RegisterArtifact(sha256, size_bytes, ledger, now_us);
  });
}

absl::Status Engine::Synchronise(v1::WorkerView view, std::shared_ptr<WorkerChannel> channel) {
  if (streams_closed_) {
    return absl::UnavailableError("the coordinator is stopping; connect again");
  }
  return Post(core_.TakeViewCommand(std::move(view), std::move(channel)));
}

void Engine::Disconnect(const std::string& worker_id, std::shared_ptr<WorkerChannel> channel) {
  // Refused only once the engine stops, which ends all sessions anyway.
  Post(core_.EndStreamCommand(worker_id, std::move(channel))).IgnoreError();
}

void Engine::CloseStreams() {
  streams_closed_ = true;
  Post(core_.CloseStreamsCommand()).IgnoreError();
}

// -- the thread ----------------------------------------------------------------

void Engine::Loop() {
  last_batch_ = std::chrono::steady_clock::now();
  for (bool last = false; !last;) {
    Inbox::Batch batch = inbox_.Take(kBatchMax, kTick);
    last = batch.last;
    const int64_t now_us = clock_();
    NoticeStandstill(now_us);
    core_.Run(std::move(batch.commands), now_us);
    // The time again: the commands may have taken long, and a new lease lasts from now.
    core_.Settle(clock_(), HeardUntil(now_us, batch.next_posted_us));
  }
  core_.Run({core_.CloseStreamsCommand()}, clock_());
  core_.Settle(clock_(), std::nullopt);
}

// Workers may have been answering all the while, into sockets that nobody read:
// after a standstill every lease lasts at least once more.
void Engine::NoticeStandstill(int64_t now_us) {
  const auto now = std::chrono::steady_clock::now();
  const auto gap = now - std::exchange(last_batch_, now);
  const std::chrono::microseconds quarter_lease(lease_duration_us_ / 4);
  if (gap > kStandstillMin && gap > quarter_lease) expire_from_us_ = now_us + lease_duration_us_;
}

// Nobody's time is over because the engine was busy: what was not heard yet may
// renew.
std::optional<int64_t> Engine::HeardUntil(int64_t now_us,
                                          std::optional<int64_t> next_posted_us) const {
  const int64_t heard_until_us = std::min(now_us, next_posted_us.value_or(now_us));
  if (heard_until_us < expire_from_us_) return std::nullopt;
  return heard_until_us;
}

}  // namespace modlab
