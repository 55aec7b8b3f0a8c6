#include "tests/sim/installation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/sim/end_check.h"

namespace modlab {
namespace sim {

namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kMinuteUs = 60 * kSecondUs;
// After the last trouble all jobs have ended within so long. A place may be in
// quarantine for 5 minutes, a message under way for as long, and poisoned jobs take
// their turns.
constexpr int64_t kEndsWithinUs = 180 * kMinuteUs;

EngineCore::Options EngineOptions() {
  EngineCore::Options options;
  options.queue.stall_us = 120 * kSecondUs;
  options.queue.quarantine_first_us = 20 * kSecondUs;
  options.queue.quarantine_max_us = 300 * kSecondUs;
  options.garbage_interval_us = 20 * kSecondUs;
  options.garbage_age_us = 120 * kSecondUs;
  // A cancelled sweep takes several, with crashes in between.
  options.jobs_a_step = 2;
  return options;
}

}  // namespace

Installation::Installation(uint64_t seed, Coordinator::Sabotage sabotage,
                           const Witness::Trace& trace)
    : seed_(seed),
      random_(Mix(seed)),
      network_(&agenda_, random_.Next()),
      witness_(
          random_.Next(),
          trace == nullptr ? nullptr : Witness::Trace([this, trace](const std::string& line) {
            trace(absl::StrCat((agenda_.now_us() - 1'700'000'000'000'000) / 1000, " ms: ", line));
          })),
      coordinator_(&agenda_, random_.Next(), EngineOptions(), &witness_, std::move(sabotage)) {
  witness_.set_coordinator(&coordinator_);
  ChooseTrouble();
  Users::Options users;
  const int64_t count = random_.Between(1, 4);
  for (int64_t i = 0; i < count; ++i) {
    Worker::Options options;
    options.name = absl::StrCat("worker-", i);
    if (i == 0 || random_.Chance(0.5)) options.labels.push_back("big");
    options.slots = static_cast<int>(random_.Between(1, 3));
    options.gang_size_max = static_cast<int>(random_.Between(1, 8));
    options.checkpoint_us = random_.Chance(0.1) ? 0 : random_.Between(5, 60) * kSecondUs;
    options.machine.step_us = random_.Between(50'000, 1'000'000);
    if (trouble_.bad_machines && random_.Chance(0.5)) {
      options.machine.gang_max = static_cast<int>(random_.Between(1, 4));
      options.machine.error_chance = 0.002;
    }
    users.workers.push_back(options.name);
    workers_.push_back(
        std::make_unique<Worker>(&agenda_, &network_, &coordinator_, random_.Next(), options));
  }
  users.count = static_cast<int>(random_.Between(1, 3));
  users.sweeps_max = static_cast<int>(random_.Between(1, 6));
  users.pause_us = random_.Between(5, 120) * kSecondUs;
  users.change_minds = random_.Chance(0.8);
  users.avoid_places = random_.Chance(0.2);
  witness_.set_places_are_avoided(users.avoid_places);
  users_ =
      std::make_unique<Users>(&agenda_, &network_, &coordinator_, &witness_, random_.Next(), users);
}

void Installation::ChooseTrouble() {
  const auto maybe = [this] { return random_.Chance(0.4); };
  trouble_.duration_us = random_.Between(2, 25) * kMinuteUs;
  trouble_.between_us = random_.Between(5, 90) * kSecondUs;
  trouble_.disk_crashes = maybe();
  trouble_.full_disk = maybe();
  trouble_.disk_errors = maybe();
  trouble_.kills = maybe();
  trouble_.stops = maybe();
  trouble_.drains = maybe();
  trouble_.streams_break = maybe();
  trouble_.partitions = maybe();
  trouble_.clock_jumps = maybe();
  trouble_.bad_machines = maybe();
  trouble_.hangs = maybe();
  if (maybe()) trouble_.weather.late = 0.1;
  if (random_.Chance(0.2)) trouble_.weather.very_late = 0.005;
  if (maybe()) trouble_.weather.lost = 0.1;
  if (maybe()) trouble_.weather.doubled = 0.1;
}

// -- running -----------------------------------------------------------------------------

bool Installation::RunUntil(int64_t time_us) {
  while (agenda_.now_us() < time_us && witness_.verdict().empty() && agenda_.RunNext()) {
    coordinator_.NoticeCrash();
    ++steps_;
  }
  return witness_.verdict().empty();
}

Outcome Installation::Run() {
  const int64_t start_us = agenda_.now_us();
  network_.set_weather(trouble_.weather);
  coordinator_.Start();
  for (const auto& worker : workers_) worker->Start();
  users_->Start();
  StrikeLater();
  if (RunUntil(start_us + trouble_.duration_us)) {
    CalmDown();
    const int64_t calm_us = agenda_.now_us();
    bool ended = false;
    while (!ended && agenda_.now_us() < calm_us + kEndsWithinUs) {
      if (!RunUntil(agenda_.now_us() + 2 * kMinuteUs)) break;
      if (!coordinator_.running() || users_->busy()) continue;
      witness_.LookAtAll();
      ended = AllEnded();
      if (!ended && !users_->busy()) users_->CleanUp();
    }
    if (witness_.verdict().empty() && !ended) witness_.Accuse(WhatIsStuck());
    if (witness_.verdict().empty()) CheckEnd();
  }
  return Sum();
}

void Installation::StrikeLater() {
  agenda_.After(random_.Between(trouble_.between_us / 10, 2 * trouble_.between_us), [this] {
    if (calm_) return;
    Strike();
    StrikeLater();
  });
}

void Installation::Strike() {
  Worker* const worker = random_.Pick(workers_).get();
  switch (random_.Below(12)) {
    case 0:
      if (trouble_.disk_crashes) coordinator_.disk()->CrashAfter(random_.Between(0, 60));
      break;
    case 1:
      if (!trouble_.disk_crashes) break;
      witness_.Say("the coordinator crashes");
      coordinator_.Crash(random_.Chance(0.5));
      break;
    case 2:
      if (!trouble_.full_disk && !trouble_.disk_errors) break;
      {
        Disk::Luck luck = coordinator_.disk()->luck();
        if (trouble_.full_disk && random_.Chance(0.5)) {
          luck.bytes_max = coordinator_.disk()->bytes() + random_.Between(0, 40'000);
        }
        if (trouble_.disk_errors && random_.Chance(0.5)) {
          luck.write_error = random_.Chance(0.5) ? 0.02 : 0.0;
          luck.sync_error = random_.Chance(0.5) ? 0.1 : 0.0;
          luck.read_error = random_.Chance(0.3) ? 0.01 : 0.0;
        }
        witness_.Say("the disk goes bad");
        coordinator_.disk()->set_luck(luck);
      }
      agenda_.After(random_.Between(kSecondUs, 3 * kMinuteUs), [this] {
        Disk::Luck luck;
        luck.forgets_syncs = coordinator_.disk()->luck().forgets_syncs;
        coordinator_.disk()->set_luck(luck);
      });
      break;
    case 3:
      if (!trouble_.stops) break;
      ++standstills_;
      witness_.Say("the coordinator stands still");
      coordinator_.StandStill(random_.Between(kSecondUs, 2 * kMinuteUs));
      break;
    case 4:
      if (!trouble_.drains) break;
      witness_.Say("the coordinator is stopped and started");
      coordinator_.Restart();
      break;
    case 5:
      if (!trouble_.clock_jumps) break;
      ++clock_jumps_;
      coordinator_.set_clock_offset_us(random_.Between(-3600, 3600) * kSecondUs);
      break;
    case 6:
      if (!trouble_.kills) break;
      witness_.Say(worker->name() + " is killed");
      worker->Kill(random_.Between(0, kMinuteUs));
      break;
    case 7:
      if (!trouble_.stops) break;
      ++standstills_;
      witness_.Say(worker->name() + " stands still");
      worker->StandStill(random_.Chance(0.1) ? random_.Between(0, 60 * kMinuteUs)
                                             : random_.Between(0, kMinuteUs));
      break;
    case 8:
      if (!trouble_.drains) break;
      witness_.Say(worker->name() + " is terminated");
      worker->Terminate();
      break;
    case 9:
      if (!trouble_.streams_break) break;
      witness_.Say(worker->name() + " loses its stream");
      worker->BreakStream();
      break;
    case 10:
      if (!trouble_.hangs) break;
      witness_.Say("a slot of " + worker->name() + " hangs");
      worker->HangASlot();
      break;
    default:
      if (!trouble_.partitions) break;
      ++partitions_;
      witness_.Say(worker->name() + " is cut off");
      network_.Partition(
          worker->name(),
          agenda_.now_us() + (random_.Chance(0.2) ? random_.Between(0, 60) * kMinuteUs
                                                  : random_.Between(0, 90) * kSecondUs));
  }
}

void Installation::CalmDown() {
  witness_.Say("calm");
  calm_ = true;
  Disk::Luck luck;
  luck.forgets_syncs = coordinator_.disk()->luck().forgets_syncs;
  coordinator_.disk()->set_luck(luck);
  network_.set_weather({});
  network_.HealPartitions();
  for (const auto& worker : workers_) {
    worker->machine()->error_chance = 0.0;
    worker->machine()->gang_max = 64;
  }
  users_->CalmDown();
}

bool Installation::AllEnded() const {
  for (const auto& [id, facts] : witness_.jobs()) {
    const v1::JobState state = facts.job.state();
    if (state == v1::QUEUED || state == v1::RUNNING) return false;
  }
  // What could have succeeded, and was wanted, did.
  for (const auto& [id, facts] : witness_.jobs()) {
    if (facts.job.state() == v1::FAILED && witness_.IsWanted(id) &&
        Model(facts.job.config()).fate() == Fate::kFinishes) {
      return false;
    }
  }
  return true;
}

std::string Installation::WhatIsStuck() const {
  if (users_->busy()) return "a user got no answer";
  for (const auto& [id, facts] : witness_.jobs()) {
    const v1::JobState state = facts.job.state();
    if (state == v1::SUCCEEDED || state == v1::CANCELLED) continue;
    if (state == v1::FAILED && Model(facts.job.config()).fate() != Fate::kFinishes) continue;
    return absl::StrCat("still not ended: ", facts.job.ShortDebugString());
  }
  return "the coordinator does not run";
}

void Installation::CheckEnd() {
  // What is unused is gone after its time, which begins with the last upload that was
  // still under way.
  const int64_t rest_us = agenda_.now_us();
  std::string wrong;
  do {
    if (!RunUntil(agenda_.now_us() + 5 * kMinuteUs)) return;
    if (!coordinator_.running()) {
      witness_.Accuse("the coordinator does not run");
      return;
    }
    wrong = CheckStoreAtRest(&coordinator_);
  } while (!wrong.empty() && agenda_.now_us() < rest_us + 200 * kMinuteUs);
  witness_.LookAtAll();
  if (!wrong.empty()) witness_.Accuse(wrong);
}

Outcome Installation::Sum() const {
  Outcome outcome;
  outcome.seed = seed_;
  outcome.wrong = witness_.verdict();
  outcome.steps = steps_;
  outcome.simulated_us = agenda_.now_us() - 1'700'000'000'000'000;
  outcome.jobs = static_cast<int64_t>(witness_.jobs().size());
  std::map<std::string, int64_t>& counts = outcome.counts;
  const Disk::Counts& disk = const_cast<Coordinator&>(coordinator_).disk()->counts();
  counts["coordinator killed"] = disk.kills;
  counts["power cut"] = disk.power_cuts;
  counts["disk full"] = disk.full;
  counts["disk error"] = disk.write_errors + disk.sync_errors + disk.read_errors;
  counts["coordinator stopped"] = coordinator_.counts().orderly_stops;
  counts["standstill"] = standstills_;
  counts["clock jump"] = clock_jumps_;
  counts["partition"] = partitions_;
  for (const auto& worker : workers_) {
    counts["worker killed"] += worker->counts().kills;
    counts["worker drained"] += worker->counts().drains;
    counts["worker poisoned"] += worker->counts().poisoned;
    counts["slot hung"] += worker->counts().hangs;
    counts["resumed from a checkpoint"] += worker->counts().checkpoints_fetched;
  }
  const Network::Counts& network = *const_cast<Network&>(network_).counts();
  counts["stream broken"] = network.streams_broken;
  counts["message late"] = network.late;
  counts["call lost"] = network.calls_lost;
  counts["call doubled"] = network.calls_doubled;
  uint64_t print = Mix(static_cast<uint64_t>(steps_));
  for (const auto& [name, count] : counts) print = Mix(print ^ static_cast<uint64_t>(count));
  for (const auto& [id, facts] : witness_.jobs()) {
    print = Mix(print ^ static_cast<uint64_t>(facts.job.attempt()));
    print = Mix(print ^ facts.events.size());
  }
  outcome.fingerprint = print ^ static_cast<uint64_t>(disk.operations);
  return outcome;
}

Outcome RunSeed(uint64_t seed, const Coordinator::Sabotage& sabotage, const Witness::Trace& trace) {
  Installation installation(seed, sabotage, trace);
  return installation.Run();
}

}  // namespace sim
}  // namespace modlab
