#include "server/queue/queue.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace modlab {

void Queue::SetSweep(const QueuedSweep& sweep) {
  ++revision_;
  sweeps_[sweep.number] = sweep;
}
void Queue::RemoveSweep(int64_t number) {
  ++revision_;
  sweeps_.erase(number);
}
void Queue::LinkJob(int64_t, int64_t) { ++revision_; }
void Queue::Preempt() {}
Queue::Totals Queue::totals() const {
  Totals totals;
  totals.waiting = waiting_jobs_;
  totals.running = static_cast<int64_t>(leases_.size());
  for (const auto& [id, lease] : leases_) {
    totals.iterations_per_second += lease.iterations_per_second;
  }
  return totals;
}
std::vector<v1::SweepLoad> Queue::ListLoads(size_t) const { return {}; }
void Queue::Finish(int64_t job_id) { RemoveJob(job_id); }
bool Queue::KeepCheckpoint(int64_t job_id, const v1::TrainingCheckpoint& checkpoint) {
  Job& job = jobs_.at(job_id);
  if (checkpoint.iteration() <= job.checkpoint.iteration()) return false;
  ++revision_;
  job.checkpoint = checkpoint;
  job.failures = 0;
  Shapes::value_type* old = job.shape;
  const std::string& key = old->first;
  job.shape =
      &*shapes_
            .try_emplace(absl::StrCat(key.substr(0, key.rfind('@')), "@", checkpoint.iteration()))
            .first;
  ++job.shape->second.jobs;
  if (--old->second.jobs == 0) shapes_.erase(old->first);
  return true;
}
Queue::Verdict Queue::Release(int64_t job_id) { return GiveBack(job_id); }

// -- jobs ----------------------------------------------------------------------

void Queue::AddJob(const UnfinishedJob& job, int64_t now_us) {
  ++revision_;
  Shapes::value_type& shape =
      *shapes_.try_emplace(absl::StrCat(job.shape_key, "@", job.checkpoint.iteration())).first;
  ++shape.second.jobs;
  Job& entry = jobs_[job.id];
  entry.shape = &shape;
  entry.config = job.config.SerializeAsString();
  entry.attempt = job.attempt;
  entry.failures = job.failures;
  entry.checkpoint = job.checkpoint;
  if (job.state == v1::RUNNING) {
    GiveLease(job.id, FindOrAddWorker(job.worker_id), 0, now_us);
  } else {
    Wait(job.id, &entry);
  }
}

bool Queue::RemoveJob(int64_t job_id) {
  auto job = jobs_.find(job_id);
  if (job == jobs_.end()) return false;
  ++revision_;
  if (leases_.contains(job_id)) {
    DropLease(job_id);
  } else {
    Unwait(job_id, &job->second);
  }
  Shapes::value_type* shape = job->second.shape;
  jobs_.erase(job);
  if (--shape->second.jobs == 0) shapes_.erase(shape->first);
  return true;
}

v1::JobConfig Queue::Config(int64_t job_id) const {
  v1::JobConfig config;
  config.ParseFromString(jobs_.at(job_id).config);
  return config;
}

double Queue::IterationsPerSecond(int64_t job_id) const {
  auto lease = leases_.find(job_id);
  return lease == leases_.end() ? 0.0 : lease->second.iterations_per_second;
}

void Queue::Wait(int64_t job_id, Job* job) {
  Shape& shape = job->shape->second;
  if (!shape.waiting.empty()) shapes_by_oldest_.erase(*shape.waiting.begin());
  shape.waiting.insert(job_id);
  shapes_by_oldest_[*shape.waiting.begin()] = &shape;
  ++waiting_jobs_;
}

void Queue::Unwait(int64_t job_id, Job* job) {
  Shape& shape = job->shape->second;
  shapes_by_oldest_.erase(*shape.waiting.begin());
  shape.waiting.erase(job_id);
  if (!shape.waiting.empty()) shapes_by_oldest_[*shape.waiting.begin()] = &shape;
  --waiting_jobs_;
}

// -- leases --------------------------------------------------------------------

std::vector<Queue::NewGang> Queue::Assign(int64_t now_us) {
  std::vector<NewGang> gangs;
  while (waiting_jobs_ > 0 && !idle_workers_.empty()) {
    std::vector<Worker*> round;
    for (const auto& [id, worker] : idle_workers_) round.push_back(worker);
    for (Worker* worker : round) {
      if (waiting_jobs_ == 0) break;
      gangs.push_back(GiveGang(worker, now_us));
    }
  }
  return gangs;
}

Queue::NewGang Queue::GiveGang(Worker* worker, int64_t now_us) {
  ++revision_;
  const Shape& shape = *shapes_by_oldest_.begin()->second;
  const int64_t size = GangSize(shape, *worker);
  while (worker->gangs.contains(next_gang_id_)) ++next_gang_id_;
  NewGang gang{
      worker->facts.id(), worker->facts.name(), worker->facts.place(), next_gang_id_++, {}};
  for (int64_t i = 0; i < size; ++i) {
    const int64_t job_id = *shape.waiting.begin();
    Job& job = jobs_.at(job_id);
    Unwait(job_id, &job);
    ++job.attempt;
    GiveLease(job_id, worker, gang.gang_id, now_us);
    gang.leases.push_back({job_id, job.attempt});
  }
  Recount(worker);
  return gang;
}

int64_t Queue::GangSize(const Shape& shape, const Worker& worker) const {
  const int64_t waiting = static_cast<int64_t>(shape.waiting.size());
  const int64_t limit =
      std::min<int64_t>(worker.facts.gang_size_max(), kLeasesPerWorkerMax - LeaseCount(worker));
  const int64_t other_shapes = static_cast<int64_t>(shapes_by_oldest_.size()) - 1;
  const int64_t other_gangs = std::max(other_shapes, (waiting_jobs_ - waiting + limit - 1) / limit);
  const int64_t slots = std::max<int64_t>(1, slots_total_ - other_gangs);
  return std::min(limit, (waiting + slots - 1) / slots);
}

bool Queue::LeaseIsCurrent(int64_t job_id, int32_t attempt, absl::string_view worker_id) const {
  auto lease = leases_.find(job_id);
  return lease != leases_.end() && lease->second.worker->facts.id() == worker_id &&
         jobs_.at(job_id).attempt == attempt;
}

Queue::Verdict Queue::Fail(int64_t job_id, v1::FailureCause cause, absl::string_view, int64_t) {
  const int32_t failures = ++jobs_.at(job_id).failures;
  Verdict verdict = GiveBack(job_id);
  const Retries& retries = options_.retries;
  const int32_t allowed = cause == v1::WORKER_LOST    ? retries.worker_lost
                          : cause == v1::WORKER_ERROR ? retries.worker_error
                          : cause == v1::DIVERGED     ? retries.diverged
                                                      : retries.out_of_memory;
  if (failures > allowed) {
    verdict.requeued = false;
    verdict.quarantined = allowed > 0;
    RemoveJob(job_id);
  }
  return verdict;
}

std::vector<Queue::Verdict> Queue::Expire(int64_t now_us) {
  // Renewals only move expiries into the future, so an early bound stays true
  // and everything is looked at only when the bound is reached.
  if (now_us < next_expiry_us_) return {};
  next_expiry_us_ = std::numeric_limits<int64_t>::max();
  std::vector<int64_t> expired;
  for (const auto& [job_id, lease] : leases_) {
    if (lease.expires_us <= now_us) {
      expired.push_back(job_id);
    } else {
      next_expiry_us_ = std::min(next_expiry_us_, lease.expires_us);
    }
  }
  std::vector<Verdict> verdicts;
  for (int64_t job_id : expired) verdicts.push_back(Fail(job_id, v1::WORKER_LOST, "", now_us));

  for (auto it = workers_.begin(); it != workers_.end();) {
    Worker& worker = it->second;
    const int64_t expires_us = worker.facts.last_seen_us() + options_.lease_duration_us;
    if (expires_us > now_us) {
      next_expiry_us_ = std::min(next_expiry_us_, expires_us);
      ++it;
    } else if (LeaseCount(worker) > 0) {
      ++it;  // its last lease's expiry is the bound
    } else {
      worker.connected = false;
      Recount(&worker);
      it = workers_.erase(it);
    }
  }
  return verdicts;
}

void Queue::GiveLease(int64_t job_id, Worker* worker, int64_t gang_id, int64_t now_us) {
  const int64_t expires_us = now_us + options_.lease_duration_us;
  leases_[job_id] = Lease{worker, gang_id, expires_us, 0, 0.0};
  next_expiry_us_ = std::min(next_expiry_us_, expires_us);
  if (gang_id == 0) {
    worker->unclaimed.insert(job_id);
  } else {
    worker->gangs[gang_id].jobs.insert(job_id);
  }
  Changed(*worker);
}

void Queue::DropLease(int64_t job_id) {
  auto lease = leases_.find(job_id);
  Worker* worker = lease->second.worker;
  if (lease->second.gang_id == 0) {
    worker->unclaimed.erase(job_id);
  } else {
    auto gang = worker->gangs.find(lease->second.gang_id);
    gang->second.jobs.erase(job_id);
    if (gang->second.jobs.empty()) worker->gangs.erase(gang);
  }
  leases_.erase(lease);
  Changed(*worker);
  Recount(worker);
}

Queue::Verdict Queue::GiveBack(int64_t job_id) {
  ++revision_;
  Job& job = jobs_.at(job_id);
  const Lease& lease = leases_.at(job_id);
  // A worker that was not heard of since the start has no name yet.
  const v1::Worker& facts = lease.worker->facts;
  const std::string& name = facts.name().empty() ? facts.id() : facts.name();
  Verdict verdict{job_id, job.attempt, true, false, job.failures, 0, name, lease.iteration};
  DropLease(job_id);
  Wait(job_id, &job);
  return verdict;
}

// -- rebuilding ------------------------------------------------------------------

void Queue::AdoptWorkers(const Queue& old) {
  next_gang_id_ = std::max(next_gang_id_, old.next_gang_id_);
  for (const auto& [id, theirs] : old.workers_) {
    Worker* worker = FindOrAddWorker(id);
    worker->facts = theirs.facts;
    worker->connected = theirs.connected;
    next_expiry_us_ =
        std::min(next_expiry_us_, worker->facts.last_seen_us() + options_.lease_duration_us);
    Changed(*worker);
  }
  for (auto& [job_id, lease] : leases_) {
    auto theirs = old.leases_.find(job_id);
    if (theirs == old.leases_.end() || theirs->second.gang_id == 0 ||
        theirs->second.worker->facts.id() != lease.worker->facts.id() ||
        old.jobs_.at(job_id).attempt != jobs_.at(job_id).attempt) {
      continue;
    }
    Worker* worker = lease.worker;
    lease = theirs->second;
    lease.worker = worker;
    next_expiry_us_ = std::min(next_expiry_us_, lease.expires_us);
    worker->unclaimed.erase(job_id);
    Gang& gang = worker->gangs[lease.gang_id];
    gang.jobs.insert(job_id);
    gang.seen = theirs->second.worker->gangs.at(lease.gang_id).seen;
  }
  for (auto& [id, worker] : workers_) Recount(&worker);
}

}  // namespace modlab
