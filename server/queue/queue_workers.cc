// The part of Queue that follows the workers.

#include <algorithm>
#include <cmath>
#include <tuple>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/queue/queue.h"

namespace modlab {

absl::StatusOr<std::vector<Queue::Verdict>> Queue::UpdateWorker(const v1::WorkerView& view,
                                                                int64_t now_us) {
  if (workers_.size() >= kWorkersMax && !KnowsWorker(view.worker_id())) {
    return absl::ResourceExhaustedError(
        absl::StrCat("this coordinator has its ", kWorkersMax, " workers already"));
  }
  Worker* worker = FindOrAddWorker(view.worker_id());
  v1::Worker& facts = worker->facts;
  if (!worker->connected) facts.set_connected_us(now_us);
  worker->connected = true;
  facts.set_name(view.name());
  facts.set_device(view.device());
  facts.set_device_name(view.device_name());
  facts.set_slots(view.slots());
  facts.set_slots_idle(view.slots_idle());
  facts.set_gang_size_max(view.gang_size_max());
  facts.set_last_seen_us(now_us);
  facts.set_draining(view.draining() || worker->drain);
  *facts.mutable_labels() = view.labels();
  facts.set_memory_bytes(view.memory_bytes());
  facts.set_place(view.place().empty() ? view.name() : view.place());
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
  for (int64_t job_id : given_back) verdicts.push_back(GiveBack(job_id));
  Recount(worker);
  return verdicts;
}

void Queue::Renew(const v1::HeldLease& held, Worker* worker, int64_t now_us) {
  if (!LeaseIsCurrent(held.job_id(), held.attempt(), worker->facts.id())) return;
  Lease& lease = leases_.at(held.job_id());
  const double speed = held.iterations_per_second();
  lease.expires_us = now_us + options_.lease_duration_us;
  lease.iteration = std::max<int64_t>(0, held.iteration());
  lease.iterations_per_second = std::isfinite(speed) ? std::max(0.0, speed) : 0.0;
  if (lease.gang_id == 0 && held.gang_id() > 0) {
    ++revision_;
    lease.gang_id = held.gang_id();
    worker->unclaimed.erase(held.job_id());
    worker->gangs[lease.gang_id].jobs.insert(held.job_id());
    Changed(*worker);
  }
  auto gang = worker->gangs.find(lease.gang_id);
  if (gang != worker->gangs.end()) gang->second.seen = true;
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
  view->set_drain(false);
  auto worker = workers_.find(std::string(worker_id));
  if (worker == workers_.end()) return true;
  view->set_drain(worker->second.drain);
  if (!worker->second.unclaimed.empty()) return false;
  for (const auto& [gang_id, gang] : worker->second.gangs) {
    v1::Gang* out = view->add_gangs();
    out->set_id(gang_id);
    for (int64_t job_id : gang.jobs) {
      const Job& job = jobs_.at(job_id);
      v1::Lease* lease = out->add_leases();
      lease->set_job_id(job_id);
      lease->set_attempt(job.attempt);
      lease->mutable_config()->ParseFromString(job.config);
      if (job.checkpoint.iteration() > 0) *lease->mutable_checkpoint() = job.checkpoint;
      lease->set_release(worker->second.drain);
    }
  }
  return true;
}

std::vector<std::string> Queue::TakeChangedWorkers() {
  std::vector<std::string> changed(changed_workers_.begin(), changed_workers_.end());
  changed_workers_.clear();
  return changed;
}

std::vector<v1::Worker> Queue::ListWorkers() const {
  std::vector<v1::Worker> workers;
  for (const auto& [id, worker] : workers_) {
    if (worker.facts.last_seen_us() == 0) continue;
    v1::Worker facts = worker.facts;
    facts.set_jobs_held(static_cast<int32_t>(LeaseCount(worker)));
    for (const auto& [gang_id, gang] : worker.gangs) {
      for (int64_t job_id : gang.jobs) {
        facts.set_iterations_per_second(facts.iterations_per_second() +
                                        leases_.at(job_id).iterations_per_second);
      }
    }
    workers.push_back(std::move(facts));
  }
  std::sort(workers.begin(), workers.end(), [](const v1::Worker& a, const v1::Worker& b) {
    return std::tie(a.name(), a.id()) < std::tie(b.name(), b.id());
  });
  return workers;
}

absl::StatusOr<Queue::Worker*> Queue::FindWorker(absl::string_view name_or_id) {
  auto by_id = workers_.find(std::string(name_or_id));
  if (by_id != workers_.end()) return &by_id->second;
  for (auto& [id, worker] : workers_) {
    if (worker.facts.name() == name_or_id) return &worker;
  }
  return absl::NotFoundError(absl::StrCat("no worker \"", name_or_id, "\""));
}

absl::StatusOr<v1::Worker> Queue::DrainWorker(absl::string_view name_or_id) {
  absl::StatusOr<Worker*> worker = FindWorker(name_or_id);
  if (!worker.ok()) return worker.status();
  (*worker)->drain = true;
  (*worker)->facts.set_draining(true);
  Changed(**worker);
  Recount(*worker);
  return (*worker)->facts;
}

absl::StatusOr<v1::Worker> Queue::ReleaseWorker(absl::string_view name_or_id, int64_t) {
  absl::StatusOr<Worker*> worker = FindWorker(name_or_id);
  if (!worker.ok()) return worker.status();
  return (*worker)->facts;
}

int64_t Queue::LeaseCount(const Worker& worker) const {
  size_t count = worker.unclaimed.size();
  for (const auto& [gang_id, gang] : worker.gangs) count += gang.jobs.size();
  return static_cast<int64_t>(count);
}

// Slots that could start a gang: those that the worker reported, less those of
// gangs that were given since and that it had not seen when it reported.
int64_t Queue::IdleSlots(const Worker& worker) const {
  if (!worker.connected || worker.facts.draining()) return 0;
  if (LeaseCount(worker) >= kLeasesPerWorkerMax) return 0;
  int64_t unseen = 0;
  for (const auto& [gang_id, gang] : worker.gangs) unseen += gang.seen ? 0 : 1;
  const int64_t unfilled = worker.facts.slots() - static_cast<int64_t>(worker.gangs.size());
  return std::max<int64_t>(0, std::min(worker.facts.slots_idle() - unseen, unfilled));
}

Queue::Worker* Queue::FindOrAddWorker(const std::string& id) {
  Worker& worker = workers_[id];
  worker.facts.set_id(id);
  return &worker;
}

void Queue::Changed(const Worker& worker) {
  ++revision_;
  changed_workers_.insert(worker.facts.id());
}

// Brings what is kept of all workers together in line with this one.
void Queue::Recount(Worker* worker) {
  const bool takes_gangs = worker->connected && !worker->facts.draining();
  slots_total_ -= worker->counted_slots;
  worker->counted_slots = takes_gangs ? worker->facts.slots() : 0;
  slots_total_ += worker->counted_slots;
  if (IdleSlots(*worker) > 0) {
    idle_workers_[worker->facts.id()] = worker;
  } else {
    idle_workers_.erase(worker->facts.id());
  }
}

}  // namespace modlab
