// The part of Queue that follows the workers.

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/config/words.h"
#include "server/queue/queue.h"

namespace modlab {

absl::StatusOr<std::vector<Queue::Verdict>> Queue::UpdateWorker(const v1::WorkerView& view,
                                                                int64_t now_us) {
  if (workers_.size() >= kWorkersMax && !KnowsWorker(view.worker_id())) {
    return absl::ResourceExhaustedError(
        absl::StrCat("this coordinator has its ", kWorkersMax, " workers already"));
  }
  Worker* worker = FindOrAddWorker(view.worker_id());
  CountSlots(worker, 0);  // as what it was
  v1::Worker& facts = worker->facts;
  if (!worker->connected) facts.set_connected_us(now_us);
  worker->connected = true;
  worker->lost = false;
  facts.set_name(view.name());
  facts.set_device(view.device());
  facts.set_device_name(view.device_name());
  facts.set_slots(view.slots());
  facts.set_slots_idle(view.slots_idle());
  facts.set_gang_size_max(view.gang_size_max());
  facts.set_last_seen_us(now_us);
  facts.set_draining(view.draining() || IsAskedToDrain(*worker));
  *facts.mutable_labels() = view.labels();
  facts.set_memory_bytes(view.memory_bytes());
  facts.set_slot_memory_bytes(view.slot_memory_bytes());
  SetPlace(worker, view.place().empty() ? view.name() : view.place());
  next_expiry_us_ = std::min(next_expiry_us_, now_us + options_.lease_duration_us);

  for (const v1::HeldLease& held : view.held()) Renew(held, worker, now_us);

  // What it does not list and never will.
  std::vector<int64_t> given_back(worker->unclaimed.begin(), worker->unclaimed.end());
  if (view.draining()) {
    absl::flat_hash_set<int64_t> held;
    for (const v1::HeldLease& lease : view.held()) held.insert(lease.job_id());
    for (const auto& [gang_id, gang] : worker->gangs) {
      for (int64_t job_id : gang.jobs) {
        if (!held.contains(job_id)) given_back.push_back(job_id);
      }
    }
  }
  std::vector<Verdict> verdicts;
  for (int64_t job_id : given_back) verdicts.push_back(Release(job_id));
  Recount(worker);
  WatchSlots(worker, now_us);
  return verdicts;
}

void Queue::Renew(const v1::HeldLease& held, Worker* worker, int64_t now_us) {
  if (!LeaseIsCurrent(held.job_id(), held.attempt(), worker->facts.id())) return;
  Job& job = jobs_.at(held.job_id());
  Lease& lease = *job.lease;
  lease.listed = true;
  WatchPulse(held.pulse(), &lease, now_us);
  // A worker tells the speed of the last steps, however long ago they were.
  const bool is_still = lease.still_us >= options_.lease_duration_us;
  const double speed = is_still ? 0.0 : held.iterations_per_second();
  if (!lease.stalled) lease.expires_us = now_us + options_.lease_duration_us;
  lease.iteration = std::max<int64_t>(0, held.iteration());
  lease.iterations_per_second = std::isfinite(speed) ? std::max(0.0, speed) : 0.0;
  if (lease.gang_id == 0 && held.gang_id() > 0) {
    ++revision_;
    lease.gang_id = held.gang_id();
    worker->unclaimed.erase(held.job_id());
    JoinGang(held.job_id(), worker, lease.gang_id, job.sweep);
    Changed(*worker);
  }
  auto gang = worker->gangs.find(lease.gang_id);
  if (gang != worker->gangs.end()) gang->second.seen = true;
}

void Queue::WatchPulse(uint64_t pulse, Lease* lease, int64_t now_us) {
  // What comes late is no sign of standing still; of what comes at all, the lease says enough.
  const int64_t since_us = std::min(now_us - lease->renewed_us, options_.lease_duration_us);
  lease->still_us = pulse > 0 && pulse == lease->pulse ? lease->still_us + since_us : 0;
  lease->pulse = pulse;
  lease->renewed_us = now_us;
  if (lease->stalled || options_.stall_us == 0 || lease->still_us < options_.stall_us) return;
  lease->stalled = true;
  lease->expires_us = now_us;
  next_expiry_us_ = std::min(next_expiry_us_, now_us);
}

void Queue::Disconnect(absl::string_view worker_id) {
  auto worker = workers_.find(std::string(worker_id));
  if (worker == workers_.end()) return;
  worker->second.connected = false;
  Recount(&worker->second);
}

bool Queue::KnowsWorker(absl::string_view worker_id) const {
  return workers_.count(std::string(worker_id)) > 0;
}

bool Queue::FillGangs(absl::string_view worker_id, v1::CoordinatorView* view) const {
  view->clear_gangs();
  view->set_drain(asked_to_drain_.contains(worker_id));
  auto it = workers_.find(std::string(worker_id));
  if (it == workers_.end()) return true;
  const Worker& worker = it->second;
  if (!worker.unclaimed.empty()) return false;
  for (const auto& [gang_id, gang] : worker.gangs) {
    v1::Gang* out = view->add_gangs();
    out->set_id(gang_id);
    for (int64_t job_id : gang.jobs) {
      const Job& job = jobs_.at(job_id);
      v1::Lease* lease = out->add_leases();
      lease->set_job_id(job_id);
      lease->set_attempt(job.attempt);
      lease->mutable_config()->ParseFromString(job.config);
      if (job.checkpoint != nullptr) *lease->mutable_checkpoint() = *job.checkpoint;
      lease->set_release(!ReleaseReason(job_id).empty());
    }
  }
  return true;
}

std::string Queue::ReleaseReason(int64_t job_id) const {
  const Job& job = jobs_.at(job_id);
  if (job.lease == nullptr) return "";
  const Worker& worker = *job.lease->worker;
  if (IsAskedToDrain(worker))
    return absl::StrCat("worker ", worker.facts.name(), " was asked to drain");
  const auto gang = worker.gangs.find(job.lease->gang_id);
  if (gang != worker.gangs.end() && gang->second.preempted) {
    return "a sweep of a higher priority needs the slot";
  }
  if (job.sweep == nullptr) return "no sweep asks for it";
  if (job.sweep->facts.policy.paused()) {
    return absl::StrCat("sweep ", job.sweep->facts.id, " was paused");
  }
  return "";
}

std::vector<std::string> Queue::TakeChangedWorkers() {
  std::vector<std::string> changed(changed_workers_.begin(), changed_workers_.end());
  changed_workers_.clear();
  return changed;
}

std::vector<v1::Worker> Queue::ListWorkers() const {
  std::vector<v1::Worker> workers;
  for (const auto& [id, worker] : workers_) {
    if (worker.facts.last_seen_us() > 0) workers.push_back(Describe(worker));
  }
  std::sort(workers.begin(), workers.end(), [](const v1::Worker& a, const v1::Worker& b) {
    return std::tie(a.name(), a.id()) < std::tie(b.name(), b.id());
  });
  return workers;
}

v1::Worker Queue::Describe(const Worker& worker) const {
  v1::Worker facts = worker.facts;
  facts.set_jobs_held(static_cast<int32_t>(worker.leases));
  for (const auto& [gang_id, gang] : worker.gangs) {
    for (int64_t job_id : gang.jobs) {
      facts.set_iterations_per_second(facts.iterations_per_second() +
                                      jobs_.at(job_id).lease->iterations_per_second);
    }
  }
  if (worker.place == nullptr) return facts;
  facts.set_place(worker.place->name);
  facts.set_failures(static_cast<int32_t>(worker.place->failed_gangs.size()));
  facts.set_quarantined_until_us(worker.place->until_us);
  facts.set_quarantine_reason(worker.place->reason);
  return facts;
}

absl::StatusOr<Queue::Worker*> Queue::FindWorker(absl::string_view name_or_id) {
  auto by_id = workers_.find(std::string(name_or_id));
  if (by_id != workers_.end()) return &by_id->second;
  std::vector<Worker*> named;
  std::vector<std::string> known;
  for (auto& [id, worker] : workers_) {
    if (worker.facts.name() == name_or_id) named.push_back(&worker);
    known.push_back(worker.facts.name());
  }
  if (named.size() == 1) return named.front();
  if (!named.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(named.size(), " workers are named ",
                                                   QuotedWord(name_or_id),
                                                   "; give the id of the one that is meant"));
  }
  const std::string nearest = NearestWord(name_or_id, known);
  return absl::NotFoundError(
      absl::StrCat("no worker has the name or id ", QuotedWord(name_or_id),
                   nearest.empty() ? "" : absl::StrCat("; the nearest is ", QuotedWord(nearest)),
                   known.empty() ? "; there are none" : ""));
}

absl::StatusOr<v1::Worker> Queue::DrainWorker(absl::string_view name_or_id) {
  absl::StatusOr<Worker*> worker = FindWorker(name_or_id);
  if (!worker.ok()) return worker.status();
  AskToDrain((*worker)->facts.id());
  return Describe(**worker);
}

void Queue::AskToDrain(absl::string_view worker_id) {
  if (!asked_to_drain_.emplace(worker_id).second) return;
  auto worker = workers_.find(std::string(worker_id));
  if (worker == workers_.end()) return;
  worker->second.facts.set_draining(true);
  Changed(worker->second);
  Recount(&worker->second);
}

bool Queue::IsAskedToDrain(const Worker& worker) const {
  return asked_to_drain_.contains(worker.facts.id());
}

absl::StatusOr<v1::Worker> Queue::ReleaseWorker(absl::string_view name_or_id) {
  absl::StatusOr<Worker*> worker = FindWorker(name_or_id);
  if (!worker.ok()) return worker.status();
  if ((*worker)->place != nullptr) {
    places_.Succeed((*worker)->place);
    Recount((*worker)->place);
  }
  return Describe(**worker);
}

// Slots that could start a gang: those that the worker reported, less those of
// gangs that were given since and that it had not seen when it reported.
int64_t Queue::IdleSlots(const Worker& worker) const {
  if (worker.counted_slots == 0 || worker.leases >= kLeasesPerWorkerMax) return 0;
  int64_t unseen = 0;
  for (const auto& [gang_id, gang] : worker.gangs) unseen += gang.seen ? 0 : 1;
  const int64_t unfilled = worker.facts.slots() - static_cast<int64_t>(worker.gangs.size());
  return std::max<int64_t>(0, std::min(worker.facts.slots_idle() - unseen, unfilled));
}

// Those whose gang has ended, and that the worker does not call idle yet.
int64_t Queue::EndingSlots(const Worker& worker) const {
  return std::max<int64_t>(
      0, worker.facts.slots() - static_cast<int64_t>(worker.gangs.size()) - IdleSlots(worker));
}

void Queue::WatchSlots(Worker* worker, int64_t now_us) const {
  const int64_t ending = EndingSlots(*worker);
  if (now_us - worker->watched_us >= options_.lease_duration_us) {
    worker->stuck = worker->watched_us > 0 ? worker->ending_min : 0;
    worker->ending_min = ending;
    worker->watched_us = now_us;
  }
  worker->ending_min = std::min(worker->ending_min, ending);
  worker->stuck = std::min(worker->stuck, ending);
}

Queue::Worker* Queue::FindOrAddWorker(const std::string& id) {
  Worker& worker = workers_[id];
  worker.facts.set_id(id);
  return &worker;
}

void Queue::SetPlace(Worker* worker, const std::string& name) {
  if (worker->place != nullptr) {
    if (worker->place->name == name) return;
    --worker->place->workers;
    worker->place->leases -= worker->leases;
  }
  worker->place = places_.FindOrAdd(name);
  ++worker->place->workers;
  worker->place->leases += worker->leases;
}

void Queue::Changed(const Worker& worker) {
  ++revision_;
  changed_workers_.insert(worker.facts.id());
}

void Queue::CountSlots(Worker* worker, int64_t slots) {
  if (slots == worker->counted_slots) return;
  for (auto& [wants, need] : needs_) {
    if (Meets(*worker, need)) need.slots += slots - worker->counted_slots;
  }
  worker->counted_slots = slots;
}

// Brings what is kept of all workers together in line with this one.
void Queue::Recount(Worker* worker) {
  int64_t slots = 0;
  if (worker->connected && !worker->facts.draining()) {
    if (worker->place->state != Places::State::kClosed) slots = worker->facts.slots();
  }
  CountSlots(worker, slots);
  if (IdleSlots(*worker) > 0) {
    idle_workers_[worker->facts.id()] = worker;
  } else {
    idle_workers_.erase(worker->facts.id());
  }
}

void Queue::Recount(const Places::Place* place) {
  for (auto& [id, worker] : workers_) {
    if (worker.place == place) Recount(&worker);
  }
}

}  // namespace modlab
