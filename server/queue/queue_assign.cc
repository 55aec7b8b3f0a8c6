// The part of Queue that gives gangs, and makes room for them.

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "lib/config/sweep_policy.h"
#include "server/queue/avoided.h"
#include "server/queue/queue.h"

namespace modlab {

// -- which gang --------------------------------------------------------------------

std::vector<Queue::NewGang> Queue::Assign(int64_t now_us) {
  for (const Places::Place* place : places_.Reopen(now_us)) Recount(place);
  WakeDelayed(now_us);
  std::vector<NewGang> gangs;
  std::vector<Worker*> round;
  if (!offering_.empty()) {
    for (const auto& [id, worker] : idle_workers_) round.push_back(worker);
  }
  std::vector<Worker*> passed_over;
  size_t gangs_before = 0;
  while (!round.empty() && !offering_.empty()) {
    // A worker that nothing fits will not find anything in the next round either, but for
    // jobs that waited for better workers, once these are busy.
    std::vector<Worker*> next;
    for (Worker* worker : round) {
      const auto [sweep, batch] = Choose(*worker);
      if (sweep == nullptr) {
        passed_over.push_back(worker);
        continue;
      }
      gangs.push_back(GiveGang(worker, sweep, batch, now_us));
      if (IdleSlots(*worker) > 0) next.push_back(worker);
    }
    if (next.empty() && avoiding_batches_ > 0 && gangs.size() > gangs_before) {
      gangs_before = gangs.size();
      next = std::exchange(passed_over, {});
    }
    round = std::move(next);
  }
  return gangs;
}

std::pair<Queue::Sweep*, Queue::Batches::value_type*> Queue::Choose(const Worker& worker) const {
  std::pair<Sweep*, Batches::value_type*> best{nullptr, nullptr};
  if (!CanTakeGang(worker)) return best;
  // Requirements are few where sweeps are many.
  const bool may_fit = absl::c_any_of(
      needs_, [&](const auto& need) { return need.second.jobs > 0 && Meets(worker, need.second); });
  if (!may_fit) return best;
  for (const auto& [key, sweep] : offering_) {
    if (best.first != nullptr && !GoesBefore(*sweep, *best.first)) {
      if (sweep->facts.policy.priority() < best.first->facts.policy.priority()) break;
      continue;
    }
    if (!Meets(worker, *sweep->need)) continue;
    Batches::value_type* batch = FirstBatch(worker, *sweep);
    if (batch != nullptr) best = {sweep, batch};
  }
  return best;
}

bool Queue::GoesBefore(const Sweep& a, const Sweep& b) {
  auto key = [](const Sweep& sweep) {
    return std::make_tuple(-sweep.facts.policy.priority(), sweep.user->busy, sweep.busy,
                           sweep.facts.number);
  };
  return key(a) < key(b);
}

bool Queue::Meets(const Worker& worker, const Need& need) {
  return MeetsRequirements(worker.facts, need.wants);
}

// Whether others are to do what avoids `avoided`.
bool Queue::Avoids(const Worker& worker, const std::string& avoided, const Need& need) const {
  const auto nearness_of = [&avoided](const Worker& any) {
    return NearnessTo(avoided, any.place->name, any.facts.name());
  };
  const Nearness nearness = nearness_of(worker);
  if (nearness.degree == 0) return false;
  return absl::c_any_of(workers_, [&](const auto& entry) {
    const Worker& other = entry.second;
    return (nearness.strict ? other.counted_slots > 0 : CanTakeGang(other)) && Meets(other, need) &&
           nearness_of(other).degree < nearness.degree;
  });
}

// On trial, it takes one at a time.
bool Queue::CanTakeGang(const Worker& worker) const {
  return IdleSlots(worker) > 0 &&
         (worker.place->state != Places::State::kOnTrial || worker.place->leases == 0);
}

// Of those that the worker can take, the one with the oldest job; null if there is none.
Queue::Batches::value_type* Queue::FirstBatch(const Worker& worker, const Sweep& sweep) const {
  for (const auto& [oldest, batch] : sweep.by_oldest) {
    if (!Avoids(worker, batch->first.avoided, *sweep.need)) return batch;
  }
  return nullptr;
}

Queue::NewGang Queue::GiveGang(Worker* worker, Sweep* sweep, Batches::value_type* batch,
                               int64_t now_us) {
  ++revision_;
  struct Source {
    Share* share;
    int64_t jobs;
  };
  std::vector<Source> sources;
  int64_t jobs = 0;
  for (auto& [number, share] : batch->second.shares) {
    const Sweep& from = *share.sweep;
    const int64_t offered = std::min<int64_t>(from.offered_jobs, share.jobs.size());
    if (offered == 0 || !Meets(*worker, *from.need) ||
        Avoids(*worker, batch->first.avoided, *from.need)) {
      continue;
    }
    sources.push_back({&share, offered});
    jobs += offered;
  }
  const int64_t size = GangSize(*worker, *sweep->need, GangLimit(*worker, batch->first), jobs,
                                static_cast<int64_t>(sources.size()));
  // Each source has a job at least. The sweep that is served goes before all others.
  const auto last = sources.begin() + std::min<int64_t>(size, sources.size());
  std::partial_sort(sources.begin(), last, sources.end(), [](const Source& a, const Source& b) {
    return GoesBefore(*a.share->sweep, *b.share->sweep);
  });

  while (worker->gangs.count(next_gang_id_) > 0) ++next_gang_id_;
  NewGang gang{worker->facts.id(), worker->facts.name(), worker->place->name, next_gang_id_++, {}};
  for (auto source = sources.begin(); source != last; ++source) {
    for (int64_t i = 0; i < source->jobs; ++i) {
      if (static_cast<int64_t>(gang.leases.size()) == size) break;
      const int64_t job_id = *source->share->jobs.begin();
      Job* job = &jobs_.at(job_id);
      Unwait(job);  // the last one takes the share with it
      ++job->attempt;
      GiveLease(job, worker, gang.gang_id, sweep, now_us);
      gang.leases.push_back({job_id, job->attempt});
    }
  }
  Recount(worker);
  return gang;
}

int64_t Queue::GangLimit(const Worker& worker, const BatchKey& key) {
  if (worker.place->state == Places::State::kOnTrial) return 1;
  const int64_t limit = std::max(1, worker.facts.gang_size_max() >> (3 * key.suspicion));
  return std::min<int64_t>(limit, kLeasesPerWorkerMax - worker.leases);
}

// For a batch of which the worker could take `jobs` of so many sweeps.
int64_t Queue::GangSize(const Worker& worker, const Need& need, int64_t limit, int64_t jobs,
                        int64_t shares) const {
  int64_t other_jobs = -jobs;
  int64_t other_shares = -shares;
  for (const auto& [wants, other] : needs_) {
    if (other.jobs == 0 || !Meets(worker, other)) continue;
    other_jobs += other.jobs;
    other_shares += other.batches;
  }
  const int64_t other_gangs = std::max(other_shares, (other_jobs + limit - 1) / limit);
  const int64_t slots = std::max<int64_t>(1, need.slots - std::max<int64_t>(0, other_gangs));
  return std::min(limit, (jobs + slots - 1) / slots);
}

// -- making room -------------------------------------------------------------------

// A slot that is or can be made free. Without a gang: it is about to be.
struct Queue::FreeSlot {
  Worker* worker = nullptr;
  Gang* gang = nullptr;
  int64_t gang_id = 0;
  bool taken = false;

  bool IsSoon() const { return gang == nullptr || gang->sweep->facts.policy.paused(); }
  // What is about to be free, what was preempted before, what costs least.
  auto Key() const {
    return IsSoon() ? std::make_tuple(0, 0, int64_t{0})
                    : std::make_tuple(gang->preempted ? 1 : 2, gang->sweep->facts.policy.priority(),
                                      -gang_id);
  }
};

void Queue::Preempt() {
  std::vector<const Sweep*> sweeps;
  for (const auto& [key, sweep] : offering_) {
    if (sweep->facts.policy.preempt()) sweeps.push_back(sweep);
  }
  if (sweeps.empty() && !preempting_) return;
  std::vector<FreeSlot> slots = ListFreeSlots();
  for (const Sweep* sweep : sweeps) {
    if (!TakeSlots(*sweep, &slots)) break;  // so there is nothing for lower ones either
  }
  preempting_ = false;
  for (const FreeSlot& slot : slots) {
    if (slot.gang == nullptr) continue;
    const bool preempted = slot.taken && !slot.IsSoon();
    if (std::exchange(slot.gang->preempted, preempted) != preempted) Changed(*slot.worker);
    preempting_ = preempting_ || preempted;
  }
}

// In the order in which they are to be used.
std::vector<Queue::FreeSlot> Queue::ListFreeSlots() {
  std::vector<FreeSlot> slots;
  for (auto& [id, worker] : workers_) {
    const bool takes_gangs =
        worker.counted_slots > 0 && worker.place->state == Places::State::kOpen;
    if (takes_gangs) {
      // Idle slots are of no use: Assign() has just left them empty.
      const int64_t soon = EndingSlots(worker) - worker.stuck;
      for (int64_t i = 0; i < soon; ++i) slots.push_back({&worker});
    }
    for (auto& [gang_id, gang] : worker.gangs) {
      if (takes_gangs && gang.sweep != nullptr) {
        slots.push_back({&worker, &gang, gang_id});
      } else if (std::exchange(gang.preempted, false)) {
        Changed(worker);
      }
    }
  }
  std::stable_sort(slots.begin(), slots.end(),
                   [](const FreeSlot& a, const FreeSlot& b) { return a.Key() < b.Key(); });
  return slots;
}

// Takes as many as what the sweep offers needs, and as there are for it. False if
// there was no slot that its priority could take.
bool Queue::TakeSlots(const Sweep& sweep, std::vector<FreeSlot>* slots) const {
  std::vector<FreeSlot*> usable;
  bool any = false;
  for (FreeSlot& slot : *slots) {
    if (slot.taken) continue;
    if (!slot.IsSoon() &&
        slot.gang->sweep->facts.policy.priority() >= sweep.facts.policy.priority()) {
      continue;
    }
    any = true;
    if (Meets(*slot.worker, *sweep.need)) usable.push_back(&slot);
  }
  int64_t jobs = sweep.offered_jobs;
  auto first = usable.begin();
  for (const auto& [oldest, batch] : sweep.by_oldest) {
    int64_t left = std::min<int64_t>(jobs, batch->second.shares.at(sweep.facts.number).jobs.size());
    jobs -= left;
    for (auto it = first; left > 0 && it != usable.end(); ++it) {
      FreeSlot* slot = *it;
      if (slot->taken || Avoids(*slot->worker, batch->first.avoided, *sweep.need)) continue;
      slot->taken = true;
      left -= GangLimit(*slot->worker, batch->first);
    }
    while (first != usable.end() && (*first)->taken) ++first;
    if (jobs == 0 || first == usable.end()) break;
  }
  return any;
}

}  // namespace modlab
