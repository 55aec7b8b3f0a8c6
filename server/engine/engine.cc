#include "server/engine/engine.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/engine/worker_steps.h"
#include "spdlog/spdlog.h"

namespace modlab {

namespace {

constexpr size_t kBatchMax = 1024;
constexpr std::chrono::milliseconds kTick(250);
// After a failed write the engine's own steps wait so long, since each failure
// costs reading the queue back.
constexpr int64_t kOwnStepsPauseUs = 1'000'000;
// Beyond the tick, so long without a batch means that the process stood still
// or waited for the disk.
constexpr std::chrono::milliseconds kStandstillMin(500);

v1::CoordinatorView Frame(const Engine::Options& options) {
  const int64_t lease_ms = options.lease_duration_us / 1000;
  v1::CoordinatorView frame;
  frame.set_lease_duration_ms(static_cast<int32_t>(lease_ms));
  // A view may be lost, and the next one late, before a lease is.
  frame.set_heartbeat_interval_ms(static_cast<int32_t>(std::max<int64_t>(1, lease_ms / 4)));
  return frame;
}

Queue::Options QueueOptions(const Engine::Options& options, int64_t now_us) {
  Queue::Options queue;
  queue.lease_duration_us = options.lease_duration_us;
  queue.attempts_max = options.attempts_max;
  queue.first_gang_id = now_us;
  return queue;
}

absl::Status Stopping() {
  return absl::UnavailableError("the coordinator is stopping; connect again");
}

}  // namespace

Engine::Engine(Store* store, Store::Writer* writer, Clock clock, const Options& options)
    : store_(store),
      clock_(std::move(clock)),
      options_(options),
      inbox_(options.commands_max),
      ledger_(writer, QueueOptions(options, clock_())),
      sessions_(Frame(options)) {}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Start(Store* store, Store::Writer* writer,
                                                      Clock clock, const Options& options) {
  std::unique_ptr<Engine> engine(new Engine(store, writer, std::move(clock), options));
  absl::Status status = engine->ledger_.Load(engine->clock_());
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

template <typename T>
absl::StatusOr<T> Engine::Call(const std::function<absl::StatusOr<T>(Ledger*, int64_t)>& step,
                               bool reads_store) {
  absl::StatusOr<T> result;
  // Shared, since the engine's thread may still be in set_value() when the
  // caller goes on.
  const auto done = std::make_shared<std::promise<absl::Status>>();
  Command command;
  command.reads_store = reads_store;
  command.run = [&](Ledger* ledger, int64_t now_us) {
    result = step(ledger, now_us);
    return result.status();
  };
  command.done = [done](const absl::Status& answer) { done->set_value(answer); };
  absl::Status status = Post(std::move(command));
  if (status.ok()) status = done->get_future().get();
  if (!status.ok()) return status;
  return result;
}

absl::StatusOr<CreatedSweep> Engine::CreateSweep(const SweepPlan& plan) {
  return Call<CreatedSweep>(
      [&](Ledger* ledger, int64_t now_us) { return modlab::CreateSweep(plan, ledger, now_us); });
}

absl::StatusOr<int64_t> Engine::CancelSweep(const std::string& sweep) {
  return Call<int64_t>(
      [&](Ledger* ledger, int64_t now_us) { return modlab::CancelSweep(sweep, ledger, now_us); });
}

absl::StatusOr<int64_t> Engine::RetryJobs(const v1::RetryJobsRequest& request) {
  return Call<int64_t>(
      [&](Ledger* ledger, int64_t now_us) {
        return modlab::RetryJobs(request, store_, ledger, now_us);
      },
      /*reads_store=*/true);
}

absl::StatusOr<std::vector<v1::Worker>> Engine::ListWorkers() {
  return Call<std::vector<v1::Worker>>(
      [](Ledger* ledger, int64_t) -> absl::StatusOr<std::vector<v1::Worker>> {
        return ledger->queue().ListWorkers();
      });
}

absl::StatusOr<double> Engine::IterationsPerSecond(const std::vector<int64_t>& jobs) {
  return Call<double>([&](Ledger* ledger, int64_t) -> absl::StatusOr<double> {
    double sum = 0.0;
    for (int64_t job_id : jobs) sum += ledger->queue().IterationsPerSecond(job_id);
    return sum;
  });
}

absl::Status Engine::Synchronise(v1::WorkerView view, std::shared_ptr<WorkerChannel> channel) {
  if (streams_closed_) return Stopping();
  Command command;
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
  return Post(std::move(command));
}

absl::Status Engine::TakeWorkerView(const v1::WorkerView& view,
                                    const std::shared_ptr<WorkerChannel>& channel, Ledger* ledger,
                                    int64_t now_us) {
  if (channel->closed()) return absl::OkStatus();
  sessions_.Attach(view.worker_id(), channel);
  absl::Status status = TakeView(view, sessions_.processed(view.worker_id()), ledger, now_us);
  // There is no room for this worker.
  if (!status.ok() && !ledger->queue().KnowsWorker(view.worker_id())) channel->Close(status);
  return status;
}

void Engine::Disconnect(const std::string& worker_id, std::shared_ptr<WorkerChannel> channel) {
  Command command;
  command.urgent = true;
  command.run = [this, worker_id, channel = std::move(channel)](Ledger* ledger, int64_t) {
    if (sessions_.Detach(worker_id, channel.get())) ledger->queue().Disconnect(worker_id);
    return absl::OkStatus();
  };
  command.done = [](const absl::Status&) {};
  // Refused only once the engine stops, which ends all sessions anyway.
  Post(std::move(command)).IgnoreError();
}

void Engine::CloseStreams() {
  streams_closed_ = true;
  Command command;
  command.urgent = true;
  command.run = [this](Ledger*, int64_t) {
    sessions_.CloseAll(Stopping());
    return absl::OkStatus();
  };
  command.done = [](const absl::Status&) {};
  Post(std::move(command)).IgnoreError();
}

// -- the thread ----------------------------------------------------------------

void Engine::Loop() {
  last_batch_ = std::chrono::steady_clock::now();
  for (bool last = false; !last;) {
    Inbox::Batch batch = inbox_.Take(kBatchMax, kTick);
    last = batch.last;
    RunBatch(std::move(batch));
  }
  sessions_.CloseAll(Stopping());
}

// Workers may have been answering all the while, into sockets that nobody read:
// after a standstill every lease lasts at least once more.
void Engine::NoticeStandstill(int64_t now_us) {
  const auto now = std::chrono::steady_clock::now();
  const auto gap = now - std::exchange(last_batch_, now);
  const std::chrono::microseconds quarter_lease(options_.lease_duration_us / 4);
  if (gap > kStandstillMin && gap > quarter_lease) {
    expire_from_us_ = now_us + options_.lease_duration_us;
  }
}

void Engine::RunBatch(Inbox::Batch batch) {
  const int64_t now_us = clock_();
  NoticeStandstill(now_us);
  for (Command& command : batch.commands) {
    if (command.reads_store) Flush(now_us);
    absl::Status status = ledger_.Run(command.run, now_us);
    // What was undone was not processed; workers send it again.
    if (!status.ok() && ledger_.step_wrote()) sessions_.ForgetProcessed();
    answers_.push_back({std::move(command), std::move(status), ledger_.step_wrote()});
  }
  // Nobody's time is over because the engine was busy: what was not heard yet
  // may renew.
  RunOwnSteps(std::min(now_us, batch.next_posted_us.value_or(now_us)));
  Flush(now_us);
}

void Engine::RunOwnSteps(int64_t heard_until_us) {
  // Later than the batch's begin, if its commands took long: a new lease lasts
  // from now.
  const int64_t now_us = clock_();
  if (now_us < own_steps_from_us_) return;
  const auto expire = [this, heard_until_us](Ledger* ledger, int64_t) {
    if (heard_until_us < expire_from_us_) return absl::OkStatus();
    return ExpireLeases(ledger, heard_until_us);
  };
  for (const Ledger::Step& step : {Ledger::Step(expire), Ledger::Step(GiveGangs)}) {
    absl::Status status = ledger_.Run(step, now_us);
    if (status.ok()) continue;
    spdlog::error("leases could not be written: {}", status.ToString());
    own_steps_from_us_ = now_us + kOwnStepsPauseUs;
  }
  sessions_.Prune(ledger_.queue());
}

void Engine::Flush(int64_t now_us) {
  const absl::Status committed = ledger_.Commit(now_us);
  if (committed.ok()) {
    sessions_.Acknowledge();
    sessions_.SendViews(&ledger_.queue());
  } else {
    // No views: a worker whose result was rolled back would take its absence
    // from what it should hold for an acknowledgement.
    sessions_.ForgetProcessed();
    own_steps_from_us_ = now_us + kOwnStepsPauseUs;
  }
  for (Answer& answer : answers_) {
    const bool undone = answer.status.ok() && answer.wrote && !committed.ok();
    answer.command.done(undone ? committed : answer.status);
  }
  answers_.clear();
}

}  // namespace modlab
