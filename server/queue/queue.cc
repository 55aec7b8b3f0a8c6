#include "server/queue/queue.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "server/queue/avoided.h"
#include "server/queue/doubled.h"

namespace modlab {

namespace {

// From so many failures on, jobs are equally suspect: they are leased alone.
constexpr int32_t kSuspicionMax = 4;

}  // namespace

// -- jobs ----------------------------------------------------------------------

void Queue::AddJob(const UnfinishedJob& job, int64_t now_us) {
  ++revision_;
  Job* entry = &jobs_[job.id];
  entry->id = job.id;
  entry->config = job.config;
  entry->attempt = job.attempt;
  entry->failures = job.failures;
  if (!job.checkpoint.sha256().empty()) {
    entry->checkpoint = std::make_unique<v1::TrainingCheckpoint>(job.checkpoint);
  }
  SetBatch({job.shape_key, Iteration(*entry), std::min(job.failures, kSuspicionMax),
            job.failures > 0 ? job.avoided : ForgetFailures(job.avoided)},
           entry);
  for (int64_t number : job.sweeps) {
    Sweep* sweep = &sweeps_.at(number);
    if (sweep->jobs.insert(job.id).second) entry->sweeps.push_back(sweep);
  }
  entry->sweep = Leader(*entry);
  if (job.state == v1::RUNNING) {
    GiveLease(entry, FindOrAddWorker(job.worker_id), 0, nullptr, now_us);
  } else {
    if (job.not_before_us > now_us) entry->not_before_us = job.not_before_us;
    Wait(entry);
  }
}

bool Queue::RemoveJob(int64_t job_id) {
  auto it = jobs_.find(job_id);
  if (it == jobs_.end()) return false;
  ++revision_;
  Job* job = &it->second;
  if (job->lease != nullptr) {
    DropLease(job);
  } else {
    Unwait(job);
  }
  for (Sweep* sweep : job->sweeps) {
    sweep->jobs.erase(job_id);
    if (sweep->jobs.empty()) ended_sweeps_.push_back(sweep->facts.number);
  }
  DropBatch(job->batch);
  jobs_.erase(it);
  return true;
}

v1::JobConfig Queue::Config(int64_t job_id) const {
  v1::JobConfig config;
  config.ParseFromString(jobs_.at(job_id).config);
  return config;
}

double Queue::IterationsPerSecond(int64_t job_id) const {
  auto job = leased_.find(job_id);
  return job == leased_.end() ? 0.0 : job->second->lease->iterations_per_second;
}

std::map<std::string, double> Queue::SweepSpeeds() const {
  std::map<std::string, double> speeds;
  for (const auto& [job_id, job] : leased_) {
    for (const Sweep* sweep : job->sweeps) {
      speeds[sweep->facts.id] += job->lease->iterations_per_second;
    }
  }
  return speeds;
}

// -- leases --------------------------------------------------------------------

bool Queue::LeaseIsCurrent(int64_t job_id, int32_t attempt, absl::string_view worker_id) const {
  auto job = leased_.find(job_id);
  return job != leased_.end() && job->second->attempt == attempt &&
         job->second->lease->worker->facts.id() == worker_id;
}

void Queue::Finish(int64_t job_id) {
  CountSuccess(*jobs_.at(job_id).lease);
  RemoveJob(job_id);
}

bool Queue::WantsCheckpoint(int64_t job_id, int64_t iteration) const {
  const Job& job = jobs_.at(job_id);
  const int64_t there = Iteration(job);
  return iteration > there || (iteration < there && job.lease->iteration < there);
}

void Queue::KeepCheckpoint(int64_t job_id, const v1::TrainingCheckpoint& checkpoint) {
  ++revision_;
  Job* job = &jobs_.at(job_id);
  BatchKey key = job->batch->first;
  if (checkpoint.iteration() > key.iteration) {
    job->failures = 0;
    key.suspicion = 0;
    key.avoided = ForgetFailures(key.avoided);
    CountSuccess(*job->lease);
  }
  key.iteration = checkpoint.iteration();
  job->lease->iteration = std::max(job->lease->iteration, key.iteration);
  job->checkpoint = std::make_unique<v1::TrainingCheckpoint>(checkpoint);
  SetBatch(std::move(key), job);
}

Queue::Verdict Queue::Fail(int64_t job_id, v1::FailureCause cause, absl::string_view message,
                           int64_t now_us) {
  Job* job = &jobs_.at(job_id);
  ++job->failures;
  CountFailure(*job->lease, cause, message, now_us);
  BatchKey key = job->batch->first;
  key.suspicion = std::min(job->failures, kSuspicionMax);
  const Worker& worker = *job->lease->worker;
  // It would diverge anywhere.
  if (cause != v1::DIVERGED && worker.place != nullptr) {
    key.avoided =
        AddAvoided(key.avoided, worker.place->name, worker.facts.name(),
                   cause == v1::OUT_OF_MEMORY ? WhyAvoided::kTooSmall : WhyAvoided::kItFailed);
  }
  SetBatch(std::move(key), job);
  const int32_t allowed = RetriesAllowed(cause);
  const bool again = job->failures <= allowed;
  if (again) {
    job->not_before_us =
        now_us + Doubled(options_.backoff_first_us, job->failures - 1, options_.backoff_max_us);
  }
  Verdict verdict = GiveBack(job);
  if (!again) {
    verdict.requeued = false;
    verdict.quarantined = allowed > 0;
    RemoveJob(job_id);
  }
  return verdict;
}

int32_t Queue::RetriesAllowed(v1::FailureCause cause) const {
  switch (cause) {
    case v1::WORKER_LOST:
      return options_.retries.worker_lost;
    case v1::OUT_OF_MEMORY:
      return options_.retries.out_of_memory;
    case v1::DIVERGED:
      return options_.retries.diverged;
    default:
      return options_.retries.worker_error;
  }
}

Queue::Verdict Queue::Release(int64_t job_id) { return GiveBack(&jobs_.at(job_id)); }

std::vector<Queue::Verdict> Queue::Expire(int64_t now_us) {
  // Renewals only move expiries into the future, so an early bound stays true
  // and everything is looked at only when the bound is reached.
  if (now_us < next_expiry_us_) return {};
  next_expiry_us_ = std::numeric_limits<int64_t>::max();
  std::vector<const Job*> expired;
  for (const auto& [job_id, job] : leased_) {
    if (job->lease->expires_us <= now_us) {
      expired.push_back(job);
    } else {
      next_expiry_us_ = std::min(next_expiry_us_, job->lease->expires_us);
    }
  }
  std::vector<Verdict> verdicts;
  for (const Job* job : expired) {
    const std::string why = job->lease->worker->facts.name() +
                            (job->lease->stalled ? " got nowhere" : " stopped answering");
    verdicts.push_back(Fail(job->id, v1::WORKER_LOST, why, now_us));
  }

  for (auto it = workers_.begin(); it != workers_.end();) {
    Worker* worker = &it->second;
    const int64_t expires_us = worker->facts.last_seen_us() + options_.lease_duration_us;
    if (expires_us > now_us) {
      next_expiry_us_ = std::min(next_expiry_us_, expires_us);
      ++it;
    } else if (worker->leases > 0) {
      ++it;  // its last lease's expiry is the bound
    } else {
      worker->connected = false;
      Recount(worker);
      if (worker->place != nullptr) --worker->place->workers;
      it = workers_.erase(it);
    }
  }
  places_.Forget(now_us);
  return verdicts;
}

// `sweep` is the one that the gang is given for, unless the gang is there.
void Queue::GiveLease(Job* job, Worker* worker, int64_t gang_id, Sweep* sweep, int64_t now_us) {
  job->lease = std::make_unique<Lease>();
  job->lease->worker = worker;
  job->lease->expires_us = now_us + options_.lease_duration_us;
  job->lease->renewed_us = now_us;
  job->lease->iteration = Iteration(*job);
  next_expiry_us_ = std::min(next_expiry_us_, job->lease->expires_us);
  leased_[job->id] = job;
  ++worker->leases;
  if (worker->place != nullptr) ++worker->place->leases;
  if (gang_id == 0) {
    worker->unclaimed.insert(job->id);
  } else {
    job->lease->gang_id = gang_id;
    JoinGang(job->id, worker, gang_id, sweep);
  }
  CountRunning(+1, job);
  Changed(*worker);
}

void Queue::JoinGang(int64_t job_id, Worker* worker, int64_t gang_id, Sweep* sweep) {
  Gang& gang = worker->gangs[gang_id];
  if (gang.jobs.empty()) Charge(&gang, sweep);
  gang.jobs.insert(job_id);
}

void Queue::DropLease(Job* job) {
  Worker* worker = job->lease->worker;
  if (job->lease->gang_id == 0) {
    worker->unclaimed.erase(job->id);
  } else {
    auto gang = worker->gangs.find(job->lease->gang_id);
    gang->second.jobs.erase(job->id);
    if (gang->second.jobs.empty()) {
      Charge(&gang->second, nullptr);
      worker->gangs.erase(gang);
    }
  }
  job->lease.reset();
  leased_.erase(job->id);
  --worker->leases;
  if (worker->place != nullptr) --worker->place->leases;
  CountRunning(-1, job);
  Changed(*worker);
  Recount(worker);
}

// The slot counts for `sweep` from now on; null: for none.
void Queue::Charge(Gang* gang, Sweep* sweep) {
  for (const auto& [counted, change] : {std::pair(gang->sweep, -1), std::pair(sweep, +1)}) {
    if (counted == nullptr) continue;
    counted->busy += change;
    counted->user->busy += change;
  }
  gang->sweep = sweep;
}

Queue::Verdict Queue::GiveBack(Job* job) {
  ++revision_;
  Verdict verdict;
  verdict.job_id = job->id;
  verdict.attempt = job->attempt;
  verdict.requeued = true;
  verdict.failures = job->failures;
  verdict.not_before_us = job->not_before_us;
  verdict.avoided = job->batch->first.avoided;
  // A worker that was not heard of since the start has no name yet.
  const v1::Worker& facts = job->lease->worker->facts;
  verdict.worker_name = facts.name().empty() ? facts.id() : facts.name();
  verdict.iteration = job->lease->iteration;
  verdict.stalled = job->lease->stalled;
  verdict.listed = job->lease->gang_id == 0 ? Verdict::Listed::kNotKnown
                   : job->lease->listed     ? Verdict::Listed::kOnce
                                            : Verdict::Listed::kNever;
  DropLease(job);
  Wait(job);
  return verdict;
}

void Queue::CountFailure(const Lease& lease, v1::FailureCause cause, absl::string_view message,
                         int64_t now_us) {
  Worker* worker = lease.worker;
  if (cause == v1::DIVERGED || cause == v1::OUT_OF_MEMORY || worker->place == nullptr) return;
  const bool is_lost = cause == v1::WORKER_LOST && !lease.stalled;
  if (is_lost && std::exchange(worker->lost, true)) return;
  // A worker that is lost takes all along, and which job it was nobody knows.
  absl::btree_set<int64_t> jobs;
  if (is_lost) jobs = worker->unclaimed;
  for (const auto& [gang_id, gang] : worker->gangs) {
    if (!is_lost && gang_id != lease.gang_id) continue;
    jobs.insert(gang.jobs.begin(), gang.jobs.end());
  }
  if (places_.Fail(worker->place, lease.gang_id, jobs, message, now_us)) Recount(worker->place);
}

void Queue::CountSuccess(const Lease& lease) {
  Places::Place* place = lease.worker->place;
  if (place == nullptr || place->failed_gangs.empty()) return;
  places_.Succeed(place);
  Recount(place);
}

// -- rebuilding ------------------------------------------------------------------

void Queue::AdoptWorkers(const Queue& old) {
  next_gang_id_ = std::max(next_gang_id_, old.next_gang_id_);
  places_.Adopt(old.places_);
  for (const auto& [id, theirs] : old.workers_) {
    Worker* worker = FindOrAddWorker(id);
    worker->facts = theirs.facts;
    worker->connected = theirs.connected;
    worker->lost = theirs.lost;
    worker->ending_min = theirs.ending_min;
    worker->stuck = theirs.stuck;
    worker->watched_us = theirs.watched_us;
    if (theirs.place != nullptr) SetPlace(worker, theirs.place->name);
    next_expiry_us_ =
        std::min(next_expiry_us_, worker->facts.last_seen_us() + options_.lease_duration_us);
    Changed(*worker);
  }
  for (auto& [job_id, job] : leased_) {
    auto their_job = old.leased_.find(job_id);
    if (their_job == old.leased_.end() || their_job->second->attempt != job->attempt) continue;
    const Lease& theirs = *their_job->second->lease;
    Worker* worker = job->lease->worker;
    if (theirs.gang_id == 0 || theirs.worker->facts.id() != worker->facts.id()) continue;
    *job->lease = theirs;
    job->lease->worker = worker;
    next_expiry_us_ = std::min(next_expiry_us_, theirs.expires_us);
    worker->unclaimed.erase(job_id);
    const Gang& their_gang = theirs.worker->gangs.at(theirs.gang_id);
    auto sweep =
        their_gang.sweep == nullptr ? sweeps_.end() : sweeps_.find(their_gang.sweep->facts.number);
    JoinGang(job_id, worker, theirs.gang_id, sweep == sweeps_.end() ? job->sweep : &sweep->second);
    Gang& gang = worker->gangs.at(theirs.gang_id);
    gang.seen = their_gang.seen;
    gang.preempted = their_gang.preempted;
  }
  preempting_ = old.preempting_;
  for (auto& [id, worker] : workers_) Recount(&worker);
}

}  // namespace modlab
