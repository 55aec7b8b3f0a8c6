#include "tests/sim/coordinator.h"

#include <algorithm>
#include <utility>

#include "lib/config/sha256.h"
#include "server/engine/report_check.h"
#include "server/engine/store_steps.h"

namespace modlab {
namespace sim {

namespace {

constexpr size_t kBatchMax = 64;
constexpr int64_t kStandstillMinUs = 500'000;

// What an engine without attempt numbers would do with the view.
absl::Status TakeOldReports(const v1::WorkerView& view, Ledger* ledger, int64_t now_us) {
  for (const v1::Report& report : view.reports()) {
    const int64_t job_id = report.job_id();
    Queue& queue = ledger->queue();
    if (queue.LeaseIsCurrent(job_id, report.attempt(), view.worker_id())) continue;
    if (!queue.Contains(job_id)) continue;
    absl::StatusOr<Store::Writer*> writer = ledger->Write();
    if (!writer.ok()) return writer.status();
    const absl::StatusOr<UnfinishedJob> job = (*writer)->ReadUnfinished(job_id);
    if (!job.ok() || job->worker_id.empty()) continue;
    absl::Status status;
    if (report.has_point()) status = (*writer)->AppendPoint(job_id, report.point());
    if (report.has_finished()) {
      status = (*writer)->FinishJob(job_id, report.finished(), now_us);
      if (status.ok()) queue.Finish(job_id);
      if (absl::IsFailedPrecondition(status)) status = absl::OkStatus();
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

// The engine's end of a stream, as worker_stream.cc has it: one view at a time goes in,
// and of those that wait to go out the newest replaces the others.
class Coordinator::Channel : public WorkerChannel, public std::enable_shared_from_this<Channel> {
 public:
  Channel(Coordinator* coordinator, std::shared_ptr<Wire> wire,
          std::function<void(const v1::CoordinatorView&)> to_worker)
      : coordinator_(coordinator), wire_(std::move(wire)), to_worker_(std::move(to_worker)) {}

  void Receive(v1::WorkerView view) {
    if (closed_) return;
    coming_.push_back(std::move(view));
    TakeNext();
  }

  void End() {
    closed_ = true;
    if (worker_id_.empty()) return;
    coordinator_->Enqueue(coordinator_->core_->EndStreamCommand(worker_id_, shared_from_this()));
  }

  void Send(const v1::CoordinatorView& view) override {
    // A dead process says nothing.
    if (closed_ || coordinator_->disk_.crashed()) return;
    coordinator_->observer_->OnSend(worker_id_, view);
    const bool waits = going_.has_value();
    going_ = view;
    if (waits) return;
    coordinator_->process_->After(coordinator_->random_.Between(0, 20'000),
                                  [self = shared_from_this()] { self->Transmit(); });
  }

  void Taken() override {
    is_taking_ = false;
    TakeNext();
  }

  void Close(const absl::Status& why) override {
    if (closed_ || coordinator_->disk_.crashed()) return;
    closed_ = true;
    if (why.ok() && going_.has_value()) Transmit();
    wire_->Close(Wire::kCoordinator, why);
    if (worker_id_.empty()) return;
    coordinator_->Enqueue(coordinator_->core_->EndStreamCommand(worker_id_, shared_from_this()));
  }

  bool closed() const override { return closed_; }

 private:
  void Transmit() {
    if (!going_.has_value()) return;
    const v1::CoordinatorView view = *std::exchange(going_, std::nullopt);
    wire_->Send(Wire::kCoordinator, [to_worker = to_worker_, view] { to_worker(view); });
  }

  void TakeNext() {
    if (is_taking_ || closed_ || coming_.empty()) return;
    v1::WorkerView view = std::move(coming_.front());
    coming_.pop_front();
    coordinator_->observer_->OnView(view);
    if (coordinator_->sabotage_.view != nullptr) coordinator_->sabotage_.view(&view);
    const absl::Status sound = CheckView(view);
    if (!sound.ok()) {
      Close(sound);
      return;
    }
    worker_id_ = view.worker_id();
    is_taking_ = true;
    if (coordinator_->sabotage_.takes_old_reports) {
      Command command;
      command.run = [view](Ledger* ledger, int64_t now_us) {
        return TakeOldReports(view, ledger, now_us);
      };
      command.done = [](const absl::Status&) {};
      coordinator_->Enqueue(std::move(command));
    }
    coordinator_->Enqueue(
        coordinator_->core_->TakeViewCommand(std::move(view), shared_from_this()));
  }

  Coordinator* const coordinator_;
  const std::shared_ptr<Wire> wire_;
  const std::function<void(const v1::CoordinatorView&)> to_worker_;
  std::string worker_id_;
  std::deque<v1::WorkerView> coming_;
  std::optional<v1::CoordinatorView> going_;
  bool is_taking_ = false;
  bool closed_ = false;
};

Coordinator::Coordinator(Agenda* agenda, uint64_t seed, const EngineCore::Options& options,
                         Observer* observer, Sabotage sabotage)
    : agenda_(agenda),
      options_(options),
      observer_(observer),
      sabotage_(std::move(sabotage)),
      random_(Mix(seed + 1)),
      disk_(Mix(seed + 2)),
      vfs_(&disk_, Mix(seed + 3)) {
  Disk::Luck luck;
  luck.forgets_syncs = sabotage_.forgets_syncs;
  disk_.set_luck(luck);
}

Coordinator::~Coordinator() {
  if (process_ != nullptr) process_->Kill();
  disk_.Crash();
  core_.reset();
  store_.reset();
}

int64_t Coordinator::clock_us() const { return agenda_->now_us() + clock_offset_us_; }

// -- its life ------------------------------------------------------------------------

void Coordinator::Start() {
  if (process_ != nullptr) return;
  ++counts_.starts;
  observer_->OnRestart(power_is_cut_);
  disk_.Restart(std::exchange(power_is_cut_, false));
  clock_offset_us_ = next_clock_offset_us_;
  process_ = std::make_shared<Process>(agenda_, "coordinator");
  artifacts_ = std::make_unique<Artifacts>(&disk_, std::string(kDataDir) + "/artifacts");
  artifacts_->Clean();
  StoreOptions store_options;
  store_options.vfs = Vfs::kName;
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(kDataDir, store_options);
  if (store.ok()) {
    store_ = *std::move(store);
    Store::Writer* writer = store_->writer();
    if (sabotage_.commits_late) {
      late_writer_ = std::make_unique<FaultyWriter>(writer);
      late_writer_->DelayCommits();
      writer = late_writer_.get();
    }
    EngineCore::Options options = options_;
    if (sabotage_.leases_never_stall) options.queue.stall_us = 0;
    core_ =
        std::make_unique<EngineCore>(store_.get(), writer, artifacts_.get(), options, clock_us());
    if (!core_->Load(clock_us()).ok()) core_.reset();
  }
  if (disk_.crashed()) return;  // NoticeCrash() comes
  if (core_ == nullptr) {
    // It says why, and exits; whoever started it tries again.
    Die(random_.Between(1'000'000, 10'000'000));
    return;
  }
  last_turn_us_ = clock_us();
  expire_from_us_ = 0;
  turn_is_due_ = false;
  observer_->OnStart();
  Tick();
}

void Coordinator::NoticeCrash() {
  if (process_ == nullptr || !disk_.crashed()) return;
  power_is_cut_ = random_.Chance(0.5);
  Die(random_.Between(0, 20'000'000));
}

void Coordinator::Crash(bool power_is_cut) {
  if (process_ == nullptr) return;
  disk_.Crash();
  power_is_cut_ = power_is_cut;
  Die(random_.Between(0, 60'000'000));
}

void Coordinator::Restart() {
  if (core_ == nullptr) return;
  ++counts_.orderly_stops;
  core_->Run({core_->CloseStreamsCommand()}, clock_us());
  core_->Settle(clock_us(), std::nullopt);
  if (!disk_.crashed()) Die(random_.Between(0, 5'000'000));
}

void Coordinator::StandStill(int64_t duration_us) {
  if (process_ == nullptr) return;
  process_->Stop();
  agenda_->After(duration_us, [process = process_] {
    if (process->alive()) process->Continue();
  });
}

void Coordinator::Die(int64_t down_us) {
  const std::shared_ptr<Process> process = std::exchange(process_, nullptr);
  process->Kill();
  core_.reset();
  store_.reset();
  inbox_.clear();
  users_wrote_ = false;
  for (const std::weak_ptr<Wire>& weak : wires_) {
    const std::shared_ptr<Wire> wire = weak.lock();
    if (wire == nullptr) continue;
    // Where the machine is gone, nobody tells the worker.
    wire->Break(random_.Chance(0.7) ? random_.Between(0, 2'000'000) : -1, -1);
  }
  wires_.clear();
  agenda_->After(down_us, [this] { Start(); });
}

// -- its thread -------------------------------------------------------------------------

void Coordinator::Enqueue(Command command) {
  command.posted_us = clock_us();
  inbox_.push_back(std::move(command));
  if (turn_is_due_) return;
  turn_is_due_ = true;
  process_->After(random_.Between(0, 2'000), [this] { Turn(); });
}

void Coordinator::Tick() {
  process_->After(options_.queue.lease_duration_us / 8, [this] {
    if (!turn_is_due_) Turn();
    if (process_ != nullptr && !disk_.crashed()) Tick();
  });
}

// As Engine::Loop() does it.
void Coordinator::Turn() {
  ++counts_.turns;
  turn_is_due_ = false;
  const int64_t now_us = clock_us();
  const int64_t gap_us = now_us - std::exchange(last_turn_us_, now_us);
  if (gap_us > kStandstillMinUs && gap_us > options_.queue.lease_duration_us / 4) {
    expire_from_us_ = now_us + options_.queue.lease_duration_us;
  }
  std::vector<Command> commands;
  const size_t size_max = random_.Chance(0.1) ? 1 : kBatchMax;
  while (!inbox_.empty() && commands.size() < size_max) {
    commands.push_back(std::move(inbox_.front()));
    inbox_.pop_front();
  }
  std::optional<int64_t> heard_until_us = now_us;
  if (!inbox_.empty()) heard_until_us = std::min(now_us, inbox_.front().posted_us);
  if (*heard_until_us < expire_from_us_) heard_until_us.reset();
  if (sabotage_.leases_never_end) heard_until_us.reset();
  core_->Run(std::move(commands), now_us);
  core_->Settle(now_us, heard_until_us);
  const bool users_wrote = std::exchange(users_wrote_, false);
  if (disk_.crashed()) return;
  if (!inbox_.empty() && !turn_is_due_) {
    turn_is_due_ = true;
    process_->After(0, [this] { Turn(); });
  }
  observer_->OnTurn(users_wrote);
}

bool Coordinator::Inspect(const std::function<void(Queue*)>& look) {
  bool looked = false;
  Command command;
  command.run = [&](Ledger* ledger, int64_t) {
    looked = true;
    look(&ledger->queue());
    return absl::OkStatus();
  };
  command.done = [](const absl::Status&) {};
  std::vector<Command> commands;
  commands.push_back(std::move(command));
  core_->Run(std::move(commands), clock_us());
  return looked;
}

// -- services -----------------------------------------------------------------------------

void Coordinator::Post(Ledger::Step step, bool reads_store,
                       std::function<void(absl::Status)> done) {
  Command command;
  command.reads_store = reads_store;
  command.run = [this, step = std::move(step)](Ledger* ledger, int64_t now_us) {
    users_wrote_ = true;
    return step(ledger, now_us);
  };
  command.done = [this, done = std::move(done)](const absl::Status& status) {
    if (!disk_.crashed()) done(status);
  };
  Enqueue(std::move(command));
}

void Coordinator::Upload(std::string content,
                         std::function<void(absl::StatusOr<std::string>)> done) {
  // On a thread of the pool.
  process_->Spawn(
      [this, process = process_.get(), content = std::move(content), done = std::move(done)] {
        const absl::StatusOr<std::string> temporary = artifacts_->Put(content);
        if (disk_.crashed()) return;
        if (!temporary.ok()) {
          done(temporary.status());
          return;
        }
        const std::string sha256 = Sha256Hex(content);
        absl::Status status;
        if (sabotage_.names_before_registering) status = artifacts_->Name(*temporary, sha256);
        std::optional<absl::Status> registered;
        Fiber* const fiber = Fiber::Current();
        // Shared with the engine, which may answer a thread that is gone.
        const auto answer = std::make_shared<std::optional<absl::Status>>();
        Command command;
        command.run = [sha256, size = static_cast<int64_t>(content.size())](Ledger* ledger,
                                                                            int64_t now_us) {
          return RegisterArtifact(sha256, size, ledger, now_us);
        };
        command.done = [this, answer, fiber](const absl::Status& registration) {
          if (disk_.crashed() || process_ == nullptr) return;
          *answer = registration;
          process_->Wake(fiber);
        };
        Enqueue(std::move(command));
        while (!answer->has_value()) {
          if (!process->Wait(3'600'000'000)) return;
        }
        if (status.ok()) status = **answer;
        if (status.ok() && !sabotage_.names_before_registering) {
          status = artifacts_->Name(*temporary, sha256);
        }
        if (disk_.crashed()) return;
        if (!status.ok()) artifacts_->Drop(*temporary);
        if (disk_.crashed()) return;
        if (status.ok()) {
          done(sha256);
        } else {
          done(status);
        }
      });
}

absl::StatusOr<std::string> Coordinator::Download(const std::string& sha256) const {
  return artifacts_->Get(sha256);
}

std::function<void(v1::WorkerView)> Coordinator::Accept(
    const std::shared_ptr<Wire>& wire, std::function<void(const v1::CoordinatorView&)> to_worker) {
  const auto channel = std::make_shared<Channel>(this, wire, std::move(to_worker));
  wires_.erase(std::remove_if(wires_.begin(), wires_.end(),
                              [](const std::weak_ptr<Wire>& old) { return old.expired(); }),
               wires_.end());
  wires_.push_back(wire);
  const std::weak_ptr<Channel> weak = channel;
  wire->Attach(Wire::kCoordinator, process_, [channel](const absl::Status&) { channel->End(); });
  return [channel](v1::WorkerView view) { channel->Receive(std::move(view)); };
}

}  // namespace sim
}  // namespace modlab
