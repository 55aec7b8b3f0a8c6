// The part of Queue that follows the sweeps: which jobs wait, and for whom.

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "server/queue/queue.h"

namespace modlab {

// -- sweeps --------------------------------------------------------------------

void Queue::SetSweep(const QueuedSweep& sweep) {
  ++revision_;
  auto [it, is_new] = sweeps_.try_emplace(sweep.number);
  Sweep* entry = &it->second;
  if (is_new) {
    entry->facts = sweep;
    entry->user = &users_[sweep.user];
    ++entry->user->sweeps;
    SetNeed(entry);
    return;
  }
  SetOffer(entry, 0);
  DropNeed(entry);
  const v1::SweepPolicy old = std::exchange(entry->facts.policy, sweep.policy);
  SetNeed(entry);
  Offer(entry);
  const bool toggled = old.paused() != sweep.policy.paused();
  if (!toggled && old.priority() == sweep.policy.priority()) return;
  for (int64_t job_id : entry->jobs) {
    Job& job = jobs_.at(job_id);
    if (toggled && job.lease != nullptr) Changed(*job.lease->worker);
    Follow(&job);
  }
}

std::vector<int64_t> Queue::RemoveSweep(int64_t number) {
  std::vector<int64_t> unwanted;
  auto it = sweeps_.find(number);
  if (it == sweeps_.end()) return unwanted;
  ++revision_;
  Sweep* entry = &it->second;
  for (int64_t job_id : entry->jobs) {
    Job& job = jobs_.at(job_id);
    job.sweeps.erase(std::find(job.sweeps.begin(), job.sweeps.end(), entry));
    if (job.sweeps.empty()) unwanted.push_back(job_id);
    Follow(&job);
  }
  for (auto& [id, worker] : workers_) {
    for (auto& [gang_id, gang] : worker.gangs) {
      if (gang.sweep != entry) continue;
      Sweep* other = nullptr;
      for (int64_t job_id : gang.jobs) {
        if (other == nullptr) other = jobs_.at(job_id).sweep;
      }
      Charge(&gang, other);
    }
  }
  DropNeed(entry);
  if (--entry->user->sweeps == 0) users_.erase(entry->facts.user);
  sweeps_.erase(it);
  return unwanted;
}

bool Queue::IsUnwanted(int64_t job_id) const {
  const auto job = jobs_.find(job_id);
  return job != jobs_.end() && job->second.sweeps.empty();
}

void Queue::LinkJob(int64_t job_id, int64_t sweep) {
  Job& job = jobs_.at(job_id);
  Sweep* entry = &sweeps_.at(sweep);
  if (!entry->jobs.insert(job_id).second) return;
  ++revision_;
  job.sweeps.push_back(entry);
  Follow(&job);
}

std::vector<std::string> Queue::TakeEndedSweeps() {
  std::vector<std::string> ids;
  for (const int64_t number : std::exchange(ended_sweeps_, {})) {
    const auto sweep = sweeps_.find(number);  // or was it cancelled
    if (sweep != sweeps_.end() && sweep->second.jobs.empty()) ids.push_back(sweep->second.facts.id);
  }
  return ids;
}

Queue::Sweep* Queue::Leader(const Job& job) {
  auto key = [](const Sweep* sweep) {
    return std::make_tuple(sweep->facts.policy.paused(), -sweep->facts.policy.priority(),
                           sweep->facts.number);
  };
  auto leader =
      std::min_element(job.sweeps.begin(), job.sweeps.end(),
                       [&key](const Sweep* a, const Sweep* b) { return key(a) < key(b); });
  return leader == job.sweeps.end() ? nullptr : *leader;
}

// Counts the job for the sweep that it is to follow now.
void Queue::Follow(Job* job) {
  Sweep* leader = Leader(*job);
  if (leader == job->sweep) return;
  if (job->lease == nullptr) {
    Unwait(job);
    job->sweep = leader;
    Wait(job);
  } else {
    CountRunning(-1, job);
    job->sweep = leader;
    CountRunning(+1, job);
    Changed(*job->lease->worker);
  }
}

void Queue::CountRunning(int change, Job* job) {
  if (job->sweep == nullptr) return;
  job->sweep->running += change;
  Offer(job->sweep);
}

// -- what sweeps require, and what they offer -------------------------------------

void Queue::SetNeed(Sweep* sweep) {
  const v1::Requirements& wants = sweep->facts.policy.requirements();
  auto [it, is_new] = needs_.try_emplace(wants.SerializeAsString());
  Need* need = &it->second;
  sweep->need = need;
  ++need->sweeps;
  if (!is_new) return;
  need->wants = wants;
  for (const auto& [id, worker] : workers_) {
    if (Meets(worker, *need)) need->slots += worker.counted_slots;
  }
}

void Queue::DropNeed(Sweep* sweep) {
  if (--sweep->need->sweeps == 0) needs_.erase(sweep->need->wants.SerializeAsString());
  sweep->need = nullptr;
}

// Jobs that max_running lets start.
int64_t Queue::Room(const Sweep& sweep) {
  const int64_t most = sweep.facts.policy.max_running();
  if (most == 0) return std::numeric_limits<int64_t>::max();
  return std::max<int64_t>(0, most - sweep.running);
}

void Queue::Offer(Sweep* sweep) {
  SetOffer(sweep, sweep->facts.policy.paused() ? 0 : std::min(sweep->ready, Room(*sweep)));
}

void Queue::SetOffer(Sweep* sweep, int64_t jobs) {
  const int64_t batches = std::min(jobs, static_cast<int64_t>(sweep->by_oldest.size()));
  const std::pair<int32_t, int64_t> key(-sweep->facts.policy.priority(), sweep->facts.number);
  if (jobs > 0 && sweep->offered_jobs == 0) offering_[key] = sweep;
  if (jobs == 0 && sweep->offered_jobs > 0) offering_.erase(key);
  sweep->need->jobs += jobs - std::exchange(sweep->offered_jobs, jobs);
  sweep->need->batches += batches - std::exchange(sweep->offered_batches, batches);
}

// -- batches and what waits in them -------------------------------------------------

// The job must not wait.
void Queue::SetBatch(BatchKey key, Job* job) {
  Batches::value_type* old = job->batch;
  const auto [batch, is_new] = batches_.try_emplace(std::move(key));
  if (is_new && !batch->first.avoided.empty()) ++avoiding_batches_;
  job->batch = &*batch;
  ++job->batch->second.jobs;
  if (old != nullptr) DropBatch(old);
}

void Queue::DropBatch(Batches::value_type* batch) {
  if (--batch->second.jobs > 0) return;
  if (!batch->first.avoided.empty()) --avoiding_batches_;
  batches_.erase(batches_.find(batch->first));
}

void Queue::Wait(Job* job) {
  Sweep* sweep = job->sweep;
  if (job->not_before_us > 0) {
    delayed_.insert({job->not_before_us, job->id});
    if (sweep != nullptr) ++sweep->delayed;
    return;
  }
  if (sweep == nullptr) return;
  Share& share = job->batch->second.shares[sweep->facts.number];
  share.sweep = sweep;
  if (share.jobs.empty()) {
    sweep->by_oldest[job->id] = job->batch;
  } else if (job->id < *share.jobs.begin()) {
    sweep->by_oldest.erase(*share.jobs.begin());
    sweep->by_oldest[job->id] = job->batch;
  }
  share.jobs.insert(job->id);
  ++sweep->ready;
  Offer(sweep);
}

void Queue::Unwait(Job* job) {
  Sweep* sweep = job->sweep;
  if (job->not_before_us > 0) {
    delayed_.erase({job->not_before_us, job->id});
    if (sweep != nullptr) --sweep->delayed;
    return;
  }
  if (sweep == nullptr) return;
  auto share = job->batch->second.shares.find(sweep->facts.number);
  absl::btree_set<int64_t>& jobs = share->second.jobs;
  if (*jobs.begin() == job->id) {
    sweep->by_oldest.erase(job->id);
    jobs.erase(jobs.begin());
    if (!jobs.empty()) sweep->by_oldest[*jobs.begin()] = job->batch;
  } else {
    jobs.erase(job->id);
  }
  if (jobs.empty()) job->batch->second.shares.erase(share);
  --sweep->ready;
  Offer(sweep);
}

void Queue::WakeDelayed(int64_t now_us) {
  while (!delayed_.empty() && delayed_.begin()->first <= now_us) {
    ++revision_;
    Job* job = &jobs_.at(delayed_.begin()->second);
    Unwait(job);
    job->not_before_us = 0;
    Wait(job);
  }
}

// -- looking -------------------------------------------------------------------------

Queue::Totals Queue::totals() const {
  Totals totals;
  totals.running = static_cast<int64_t>(leased_.size());
  totals.waiting = static_cast<int64_t>(jobs_.size()) - totals.running;
  totals.delayed = static_cast<int64_t>(delayed_.size());
  for (const auto& [id, job] : leased_) {
    totals.iterations_per_second += job->lease->iterations_per_second;
  }
  return totals;
}

std::vector<v1::SweepLoad> Queue::ListLoads(size_t count_max) const {
  std::vector<const Sweep*> sweeps;
  for (const auto& [number, sweep] : sweeps_) {
    if (sweep.ready + sweep.delayed + sweep.running > 0) sweeps.push_back(&sweep);
  }
  std::stable_sort(sweeps.begin(), sweeps.end(), [](const Sweep* a, const Sweep* b) {
    return a->facts.policy.priority() > b->facts.policy.priority();
  });
  if (sweeps.size() > count_max) sweeps.resize(count_max);
  std::vector<v1::SweepLoad> loads;
  for (const Sweep* sweep : sweeps) {
    v1::SweepLoad& load = loads.emplace_back();
    load.set_id(sweep->facts.id);
    load.set_user(sweep->facts.user);
    *load.mutable_policy() = sweep->facts.policy;
    load.set_waiting(sweep->ready + sweep->delayed);
    load.set_delayed(sweep->delayed);
    load.set_running(sweep->running);
    load.set_slots(sweep->busy);
  }
  return loads;
}

}  // namespace modlab
