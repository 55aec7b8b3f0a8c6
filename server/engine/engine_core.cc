#include "server/engine/engine_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/engine/job_log.h"
#include "server/engine/store_steps.h"
#include "server/engine/worker_steps.h"
#include "spdlog/spdlog.h"

namespace modlab {

namespace {

// After a failed write the engine's own steps wait so long, since each failure
// costs reading the queue back.
constexpr int64_t kOwnStepsPauseUs = 1'000'000;
constexpr int kGarbageBatchMax = 1000;
// Where there is more garbage than a batch, so long until the next one.
constexpr int64_t kGarbagePauseUs = 250'000;
constexpr size_t kLoadsMax = 1000;

v1::CoordinatorView Frame(const EngineCore::Options& options) {
  const int64_t lease_ms = options.queue.lease_duration_us / 1000;
  v1::CoordinatorView frame;
  frame.set_lease_duration_ms(static_cast<int32_t>(lease_ms));
  // A view may be lost, and the next one late, before a lease is.
  frame.set_heartbeat_interval_ms(static_cast<int32_t>(std::max<int64_t>(1, lease_ms / 4)));
  return frame;
}

Queue::Options QueueOptions(const EngineCore::Options& options, int64_t now_us) {
  Queue::Options queue = options.queue;
  queue.first_gang_id = now_us;
  return queue;
}

}  // namespace

EngineCore::EngineCore(Store* store, Store::Writer* writer, ArtifactFiles* files,
                       const Options& options, int64_t now_us)
    : store_(store),
      writer_(writer),
      files_(files),
      options_(options),
      started_us_(now_us),
      ledger_(writer, QueueOptions(options, now_us)),
      sessions_(Frame(options)),
      trouble_ended_us_(now_us),
      settled_us_(now_us) {}

absl::Status EngineCore::Load(int64_t now_us) { return ledger_.Load(now_us); }

// -- driving -------------------------------------------------------------------

void EngineCore::Run(std::vector<Command> commands, int64_t now_us) {
  for (Command& command : commands) {
    const bool alone = command.alone;
    if (command.reads_store || alone) Flush(now_us);
    if (command.at_full_disk) MakeRoom();
    absl::Status status = ledger_.Run(command.run, now_us);
    const bool wrote = ledger_.step_wrote();
    if (!status.ok()) {
      // What was undone was not processed; the worker sends it again.
      sessions_.Forget(command.worker_id);
      if (wrote && IsTrouble(status)) new_trouble_ = status;
    }
    answers_.push_back({std::move(command), std::move(status), wrote});
    if (!alone) continue;
    Flush(now_us);
    garbage_from_us_ = 0;
  }
}

void EngineCore::MakeRoom() {
  files_->UseReserve();
  const absl::Status emptied = writer_->Checkpoint();
  if (!emptied.ok()) spdlog::warn("the log keeps its room: {}", emptied.ToString());
}

void EngineCore::Settle(int64_t now_us, std::optional<int64_t> heard_until_us) {
  const int64_t settled_us = std::exchange(settled_us_, now_us);
  if (now_us - settled_us > options_.garbage_interval_us) NoticeTroubleTime(settled_us, now_us);
  if (now_us >= own_steps_from_us_) {
    if (heard_until_us.has_value()) {
      RunOwnStep([&](Ledger* ledger, int64_t) { return ExpireLeases(ledger, *heard_until_us); },
                 now_us);
    }
    RunOwnStep([this](Ledger* ledger,
                      int64_t now) { return StopUnwanted(options_.jobs_a_step, ledger, now); },
               now_us);
    RunOwnStep(GiveGangs, now_us);
    RunOwnStep(KeepQuarantines, now_us);
  }
  sessions_.Prune(ledger_.queue());
  Flush(now_us);
  // By itself: a file that is removed does not come back with a commit that failed, so
  // what its row looks like must be on disk.
  if (now_us >= std::max(garbage_from_us_, own_steps_from_us_)) {
    RunOwnStep([this](Ledger* ledger, int64_t now) { return RemoveGarbage(ledger, now); }, now_us);
    Flush(now_us);
  }
  if (now_us >= reserve_from_us_) {
    files_->KeepReserve();
    reserve_from_us_ = now_us + kOwnStepsPauseUs;
  }
}

void EngineCore::RunOwnStep(const Ledger::Step& step, int64_t now_us) {
  absl::Status status = ledger_.Run(step, now_us);
  if (status.ok()) return;
  spdlog::error("the coordinator's own changes could not be written: {}", status.ToString());
  new_trouble_ = status;
  own_steps_from_us_ = now_us + kOwnStepsPauseUs;
}

// A worker's report may have been on its way all through a time of trouble, or
// since before the start: what was young then is not old enough yet.
absl::Status EngineCore::RemoveGarbage(Ledger* ledger, int64_t now_us) {
  garbage_from_us_ = now_us + options_.garbage_interval_us;
  const bool calm = now_us - options_.garbage_age_us >= trouble_ended_us_;
  const int64_t before_us = (calm ? now_us : trouble_began_us_) - options_.garbage_age_us;
  absl::StatusOr<int> found = CollectGarbage(before_us, kGarbageBatchMax, files_, ledger);
  if (!found.ok()) return found.status();
  if (*found == kGarbageBatchMax) garbage_from_us_ = now_us + kGarbagePauseUs;
  return absl::OkStatus();
}

void EngineCore::NoticeTroubleTime(int64_t began_us, int64_t ended_us) {
  if (began_us - options_.garbage_age_us >= trouble_ended_us_) trouble_began_us_ = began_us;
  trouble_ended_us_ = ended_us;
}

void EngineCore::Flush(int64_t now_us) {
  const bool wrote = ledger_.open();
  const absl::Status committed = ledger_.Commit();
  absl::Status trouble = std::exchange(new_trouble_, absl::OkStatus());
  if (committed.ok()) {
    const Tally tally = ledger_.TakeTally();
    since_start_ += tally;
    recent_.Add(tally, now_us);
    sessions_.Acknowledge();
    for (const std::string& sweep : ledger_.queue().TakeEndedSweeps()) {
      spdlog::info("{}: none of its jobs waits or runs any more", LogField("sweep", sweep));
    }
  } else {
    sessions_.ForgetUnacknowledged(committed);
    own_steps_from_us_ = now_us + kOwnStepsPauseUs;
  }
  const absl::Status refreshed = ledger_.Refresh(now_us);
  if (!refreshed.ok()) {
    spdlog::error("the queue cannot be read back: {}", refreshed.ToString());
    trouble = refreshed;
  }
  // Never what is not on disk: a worker whose result was rolled back would take its
  // absence from what it should hold for an acknowledgement.
  if (committed.ok() && refreshed.ok()) sessions_.SendViews(&ledger_.queue());
  if (!committed.ok() || !trouble.ok()) {
    trouble_ = committed.ok() ? trouble : committed;
    trouble_us_ = now_us;
    NoticeTroubleTime(now_us, now_us);
  } else if (wrote) {
    trouble_ = absl::OkStatus();
  }
  for (Answer& answer : std::exchange(answers_, {})) {
    const bool undone = answer.status.ok() && answer.wrote && !committed.ok();
    answer.command.done(undone ? committed : answer.status);
  }
}

// -- the workers' streams --------------------------------------------------------

Command EngineCore::TakeViewCommand(v1::WorkerView view, std::shared_ptr<WorkerChannel> channel) {
  Command command;
  command.worker_id = view.worker_id();
  auto shared_view = std::make_shared<const v1::WorkerView>(std::move(view));
  command.run = [this, shared_view, channel](Ledger* ledger, int64_t now_us) {
    return TakeWorkerView(*shared_view, channel, ledger, now_us);
  };
  command.done = [channel](const absl::Status& status) {
    if (status.ok()) {
      channel->Taken();
      return;
    }
    // A new stream makes the worker send its reports again.
    spdlog::warn("a worker's view could not be taken in: {}", status.ToString());
    channel->Close(absl::UnavailableError(
        absl::StrCat("the view could not be taken in: ", std::string(status.message()))));
  };
  return command;
}

absl::Status EngineCore::TakeWorkerView(const v1::WorkerView& view,
                                        const std::shared_ptr<WorkerChannel>& channel,
                                        Ledger* ledger, int64_t now_us) {
  if (channel->closed()) return absl::OkStatus();
  sessions_.Attach(view, channel);
  absl::Status status =
      TakeView(view, *files_, sessions_.progress(view.worker_id()), ledger, now_us);
  // There is no room for this worker.
  if (!status.ok() && !ledger->queue().KnowsWorker(view.worker_id())) channel->Close(status);
  return status;
}

Command EngineCore::EndStreamCommand(std::string worker_id,
                                     std::shared_ptr<WorkerChannel> channel) {
  Command command;
  command.urgent = true;
  command.run = [this, worker_id = std::move(worker_id), channel = std::move(channel)](
                    Ledger* ledger, int64_t) {
    if (sessions_.Detach(worker_id, channel.get())) ledger->queue().Disconnect(worker_id);
    return absl::OkStatus();
  };
  command.done = [](const absl::Status&) {};
  return command;
}

Command EngineCore::CloseStreamsCommand() {
  Command command;
  command.urgent = true;
  command.run = [this](Ledger*, int64_t) {
    sessions_.CloseAll(absl::UnavailableError("the coordinator is stopping; connect again"));
    return absl::OkStatus();
  };
  command.done = [](const absl::Status&) {};
  return command;
}

// -- looking -------------------------------------------------------------------

EngineStatus EngineCore::GetStatus(int64_t now_us) {
  EngineStatus status;
  status.since_start = since_start_;
  v1::CoordinatorStatus& view = status.view;
  view.set_started_us(started_us_);
  view.set_now_us(now_us);
  const Queue::Totals totals = ledger_.queue().totals();
  view.set_waiting(totals.waiting);
  view.set_delayed(totals.delayed);
  view.set_running(totals.running);
  view.set_iterations_per_second(totals.iterations_per_second);
  for (v1::SweepLoad& load : ledger_.queue().ListLoads(kLoadsMax)) {
    *view.add_sweeps() = std::move(load);
  }
  for (v1::Worker& worker : ledger_.queue().ListWorkers()) *view.add_workers() = std::move(worker);
  const Tally recent = recent_.Sum(now_us);
  const auto rate = [](int64_t count) {
    return static_cast<double>(count) / RecentTally::kSeconds;
  };
  view.set_jobs_per_second(rate(recent.jobs_finished));
  view.set_points_per_second(rate(recent.points));
  view.set_failures_per_second(rate(recent.attempts_failed()));
  // Not known is not a reason to say nothing of the rest.
  view.set_artifacts_bytes(writer_->ArtifactBytes().value_or(0));
  view.set_trouble(std::string(trouble_.message()));
  if (!trouble_.ok()) status.trouble_us = trouble_us_;
  return status;
}

}  // namespace modlab
