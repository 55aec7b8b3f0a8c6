#include "tests/sim/worker.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/sim/keeper.h"
#include "worker/checkpoint_keeper.h"
#include "worker/gang.h"
#include "worker/gang_runner.h"
#include "worker/hang_watch.h"
#include "worker/session.h"

namespace modlab {
namespace sim {

namespace {

constexpr int64_t kBurstUs = 20'000;
constexpr int64_t kLastWordsUs = 1'000'000;
constexpr int64_t kForeverUs = 100'000'000'000;
constexpr std::chrono::seconds kSlotHangsAfter{60};

}  // namespace

// One life of the worker's process.
struct Worker::Life {
  std::shared_ptr<Process> process;
  std::unique_ptr<Session> session;
  std::unique_ptr<CheckpointKeeper> keeper;
  std::unique_ptr<GangRunner> runner;
  std::vector<std::shared_ptr<Gang>> gangs;  // by slot
  Fiber* link = nullptr;
  std::vector<Fiber*> idle_slots;
  bool terminating = false;

  // The stream that is open, if one is.
  std::shared_ptr<Wire> wire;
  std::function<void(v1::WorkerView)> to_coordinator;
  int64_t heartbeat_us = 1'000'000;
  int64_t lease_us = 10'000'000;
  int64_t last_heard_us = 0;
  bool regained = false;
};

Worker::Worker(Agenda* agenda, Network* network, Coordinator* coordinator, uint64_t seed,
               const Options& options)
    : agenda_(agenda),
      network_(network),
      coordinator_(coordinator),
      options_(options),
      random_(seed) {}

Worker::~Worker() {
  if (life_ != nullptr) life_->process->Kill();
}

v1::WorkerView Worker::Identity() {
  v1::WorkerView identity;
  const uint64_t half = random_.Next();
  identity.set_worker_id(absl::StrFormat("%016x%016x", half, random_.Next()));
  identity.set_name(options_.name);
  identity.set_device("cpu");
  identity.set_device_name("simulated");
  identity.set_slots(options_.slots);
  identity.set_gang_size_max(options_.gang_size_max);
  identity.set_place(options_.name + "/cpu");
  for (const std::string& label : options_.labels) identity.add_labels(label);
  return identity;
}

void Worker::Start() {
  if (life_ != nullptr) return;
  ++counts_.starts;
  life_ = std::make_unique<Life>();
  Life* const life = life_.get();
  life->process = std::make_shared<Process>(agenda_, options_.name);
  Process* const process = life->process.get();
  const v1::WorkerView identity = Identity();
  life->session = std::make_unique<Session>(identity, ReportLimits(), [life] {
    life->process->Wake(life->link);
    for (Fiber* slot : life->idle_slots) life->process->Wake(slot);
  });
  const auto keeper_fiber = std::make_shared<Fiber*>(nullptr);
  SetKeeperThread({[process, keeper_fiber](std::function<void()> body) {
                     process->Spawn([keeper_fiber, body = std::move(body)] {
                       *keeper_fiber = Fiber::Current();
                       body();
                       *keeper_fiber = nullptr;
                     });
                   },
                   [process] { return process->Wait(kForeverUs); },
                   [process, keeper_fiber] {
                     if (*keeper_fiber != nullptr) process->Wake(*keeper_fiber);
                   }});
  const auto upload = [this, life](absl::string_view content, const TryAgain& try_again) {
    return Upload(life, std::string(content), try_again);
  };
  life->keeper = std::make_unique<CheckpointKeeper>(life->session.get(), upload);
  v1::Provenance provenance;
  provenance.set_device("cpu");
  // For whoever asks which worker's result it is.
  provenance.set_device_name(identity.worker_id());
  life->runner = std::make_unique<GangRunner>(
      life->session.get(), life->keeper.get(),
      [this, process](const std::vector<v1::JobConfig>& configs,
                      const std::vector<std::string>& checkpoints) {
        return SimTrainer::Create(
            configs, checkpoints, options_.machine, process, &random_,
            [this, process] {
              ++counts_.poisoned;
              process->After(0, [this] { Kill(5'000'000); });
            },
            [this] {
              if (!std::exchange(hangs_, false)) return false;
              ++counts_.hangs;
              return true;
            });
      },
      upload,
      [this, life](const v1::TrainingCheckpoint& checkpoint,
                   const std::function<bool()>& is_wanted) {
        return Download(life, checkpoint, is_wanted);
      },
      provenance);
  life->gangs.resize(static_cast<size_t>(options_.slots));
  process->Spawn([this, life] { RunLink(life); });
  for (int slot = 0; slot < options_.slots; ++slot) {
    process->Spawn([this, life, slot] { RunSlot(life, slot); });
  }
  if (options_.checkpoint_us > 0) process->Spawn([this, life] { AskForCheckpoints(life); });
  process->Spawn([this, life] { LookForHangs(life); });
  process->Spawn([this, life] { RunMain(life); });
}

// -- ends -----------------------------------------------------------------------------

void Worker::End(int64_t down_us) {
  const std::unique_ptr<Life> life = std::move(life_);
  if (life->wire != nullptr) {
    // The kernel tells the coordinator, or the machine is gone.
    life->wire->Break(-1, random_.Chance(0.7) ? random_.Between(0, 1'000'000) : -1);
  }
  life->process->Kill();
  agenda_->After(down_us, [this] { Start(); });
}

void Worker::Kill(int64_t down_us) {
  if (life_ == nullptr) return;
  ++counts_.kills;
  End(down_us);
}

void Worker::Terminate() {
  if (life_ == nullptr || life_->process->stopped()) return;
  life_->terminating = true;
}

void Worker::StandStill(int64_t duration_us) {
  if (life_ == nullptr) return;
  life_->process->Stop();
  agenda_->After(duration_us, [process = life_->process] {
    if (process->alive()) process->Continue();
  });
}

void Worker::BreakStream() {
  if (life_ == nullptr || life_->wire == nullptr) return;
  const auto hears = [this] { return random_.Chance(0.7) ? random_.Between(0, 3'000'000) : -1; };
  const int64_t worker_hears_us = hears();
  life_->wire->Break(worker_hears_us, hears());
}

// As RunWorker() does it: drains when it is told to, by a signal or by the coordinator.
void Worker::RunMain(Life* life) {
  Session* const session = life->session.get();
  while (!life->terminating && !session->draining()) {
    if (!life->process->Sleep(1'000'000)) return;
  }
  ++counts_.drains;
  session->Drain();
  const int64_t deadline_us = agenda_->now_us() + options_.grace_us;
  const std::chrono::steady_clock::time_point now;  // long ago: it only looks
  while (agenda_->now_us() < deadline_us && !session->WaitUntilReleased(now)) {
    if (!life->process->Sleep(100'000)) return;
  }
  session->Abandon();
  const int64_t last_us = agenda_->now_us() + kLastWordsUs;
  while (agenda_->now_us() < last_us && session->has_unacknowledged()) {
    if (!life->process->Sleep(50'000)) return;
  }
  if (life->wire != nullptr) life->wire->Close(Wire::kWorker, absl::OkStatus());
  life->process->After(0, [this] { End(random_.Between(0, 60'000'000)); });
}

// -- the stream: as CoordinatorLink ------------------------------------------------------

void Worker::RunLink(Life* life) {
  life->link = Fiber::Current();
  int64_t backoff_us = 100'000;
  do {
    life->regained = false;
    if (OpenStream(life)) RunStream(life);
    if (life->regained) backoff_us = 100'000;
    backoff_us = std::min<int64_t>(2 * backoff_us, 2'000'000);
  } while (life->process->Sleep(random_.Between(backoff_us / 2, backoff_us)));
  life->link = nullptr;
}

bool Worker::OpenStream(Life* life) {
  using Sender = std::function<void(v1::WorkerView)>;
  const std::shared_ptr<Wire> wire = network_->Connect(options_.name);
  const std::weak_ptr<Wire> weak = wire;
  wire->Attach(Wire::kWorker, life->process, [life, weak](const absl::Status&) {
    if (life->wire != weak.lock()) return;
    life->wire = nullptr;
    life->process->Wake(life->link);
  });
  const absl::StatusOr<Sender> sender = network_->Call<Sender>(
      life->process.get(), options_.name, coordinator_->process(),
      [this, wire, life](const std::function<void(absl::StatusOr<Sender>)>& answer) {
        answer(coordinator_->Accept(
            wire, [this, life, weak = std::weak_ptr<Wire>(wire)](const v1::CoordinatorView& view) {
              if (life->wire == weak.lock()) Hear(life, view);
            }));
      });
  if (!sender.ok() || wire->broken()) {
    if (!wire->broken()) wire->Break(-1, random_.Chance(0.5) ? 30'000'000 : -1);
    return false;
  }
  life->wire = wire;
  life->to_coordinator = *sender;
  return true;
}

void Worker::RunStream(Life* life) {
  Session* const session = life->session.get();
  session->StreamOpened();
  const std::shared_ptr<Wire> wire = life->wire;
  life->last_heard_us = agenda_->now_us();
  int64_t last_sent_us = agenda_->now_us() - kForeverUs;
  while (life->wire == wire) {
    const int64_t now_us = agenda_->now_us();
    const int64_t silent_us = life->last_heard_us + life->lease_us;
    if (now_us >= silent_us) break;
    const int64_t send_us = last_sent_us + (session->has_news() ? kBurstUs : life->heartbeat_us);
    if (now_us >= send_us) {
      v1::WorkerView view = session->NextView();
      // Marks what comes of this attempt, for those who look for what came of others.
      for (v1::Report& report : *view.mutable_reports()) {
        if (report.has_point()) {
          v1::MetricValue* const mark = report.mutable_point()->add_values();
          mark->set_metric(v1::ITERATIONS_PER_SECOND);
          mark->set_value(report.attempt());
        }
        if (report.has_finished()) report.mutable_finished()->set_wall_seconds(report.attempt());
      }
      wire->Send(Wire::kWorker, [send = life->to_coordinator, view] { send(view); });
      last_sent_us = now_us;
      continue;
    }
    if (!life->process->Wait(std::min(send_us, silent_us) - now_us)) break;
  }
  if (life->wire == wire) life->wire = nullptr;
  wire->Close(Wire::kWorker, absl::CancelledError("nothing was heard"));
}

void Worker::Hear(Life* life, const v1::CoordinatorView& view) {
  life->last_heard_us = agenda_->now_us();
  life->heartbeat_us = int64_t{view.heartbeat_interval_ms()} * 1000;
  life->lease_us = int64_t{view.lease_duration_ms()} * 1000;
  life->regained = true;
  life->session->Apply(view);
  if (life->link != nullptr) life->process->Wake(life->link);
}

// -- slots --------------------------------------------------------------------------------

void Worker::RunSlot(Life* life, int slot) {
  Session* const session = life->session.get();
  Fiber* const fiber = Fiber::Current();
  while (life->process->alive()) {
    const std::shared_ptr<Gang> gang = session->TryNextGang();
    if (gang == nullptr) {
      life->idle_slots.push_back(fiber);
      const bool alive = life->process->Wait(kForeverUs);
      life->idle_slots.erase(std::find(life->idle_slots.begin(), life->idle_slots.end(), fiber));
      if (!alive) return;
      continue;
    }
    life->gangs[static_cast<size_t>(slot)] = gang;
    life->runner->Run(gang);
    life->gangs[static_cast<size_t>(slot)] = nullptr;
    session->GangEnded();
  }
}

void Worker::AskForCheckpoints(Life* life) {
  const int64_t turn_us = options_.checkpoint_us / options_.slots;
  for (size_t slot = 0; life->process->Sleep(turn_us); slot = (slot + 1) % life->gangs.size()) {
    if (life->gangs[slot] != nullptr) life->gangs[slot]->RequestCheckpoints();
  }
}

// As Slots: it is ended, and started again.
void Worker::LookForHangs(Life* life) {
  std::vector<HangWatch> watches(life->gangs.size(), HangWatch(kSlotHangsAfter));
  while (life->process->Sleep(5'000'000)) {
    const HangWatch::TimePoint now{std::chrono::microseconds(agenda_->now_us())};
    for (size_t slot = 0; slot < watches.size(); ++slot) {
      if (watches[slot].Look(life->gangs[slot], *life->session, now)) life->terminating = true;
    }
  }
}

// -- files: as artifact_upload.cc and artifact_download.cc ----------------------------------

absl::StatusOr<std::string> Worker::Upload(Life* life, const std::string& content,
                                           const TryAgain& try_again) {
  int64_t backoff_us = 100'000;
  while (true) {
    const absl::StatusOr<std::string> kept = network_->Call<std::string>(
        life->process.get(), options_.name, coordinator_->process(),
        [this, content](std::function<void(absl::StatusOr<std::string>)> answer) {
          coordinator_->Upload(content, std::move(answer));
        });
    if (kept.ok() || !try_again(kept.status())) return kept;
    backoff_us = std::min<int64_t>(2 * backoff_us, 2'000'000);
    if (!life->process->Sleep(backoff_us)) return absl::CancelledError("the process is gone");
  }
}

absl::StatusOr<std::string> Worker::Download(Life* life, const v1::TrainingCheckpoint& checkpoint,
                                             const std::function<bool()>& is_wanted) {
  const absl::Status unwanted = absl::CancelledError("nobody wants it any more");
  int64_t backoff_us = 100'000;
  while (is_wanted()) {
    absl::StatusOr<std::string> file = network_->Call<std::string>(
        life->process.get(), options_.name, coordinator_->process(),
        [this, sha256 = checkpoint.sha256()](
            const std::function<void(absl::StatusOr<std::string>)>& answer) {
          answer(coordinator_->Download(sha256));
        });
    if (file.ok()) ++counts_.checkpoints_fetched;
    if (file.ok() || absl::IsNotFound(file.status()) || absl::IsDataLoss(file.status())) {
      return file;
    }
    backoff_us = std::min<int64_t>(2 * backoff_us, 2'000'000);
    if (!life->process->Sleep(backoff_us)) return unwanted;
  }
  return unwanted;
}

}  // namespace sim
}  // namespace modlab
