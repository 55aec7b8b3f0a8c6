#include "worker/session.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace modlab {

Session::Session(v1::WorkerView identity, ReportLimits limits, std::function<void()> on_news)
    : identity_(std::move(identity)),
      limits_(limits),
      on_news_(std::move(on_news)),
      reports_(limits.reports_max, limits.bytes_max) {}

void Session::StreamOpened() {
  const MutexLock lock(&mutex_);
  reports_.Rewind();
  changed_ = true;
}

bool Session::has_news() const {
  const MutexLock lock(&mutex_);
  return changed_ || reports_.has_unsent();
}

bool Session::has_unacknowledged() const {
  const MutexLock lock(&mutex_);
  return !reports_.empty();
}

v1::WorkerView Session::NextView() {
  const MutexLock lock(&mutex_);
  v1::WorkerView view = identity_;
  for (const auto& [key, listed] : listed_) {
    if (!IsHeld(listed)) continue;
    const Gang::Progress progress = listed.gang->progress(listed.member);
    v1::HeldLease* held = view.add_held();
    held->set_job_id(key.first);
    held->set_attempt(key.second);
    held->set_gang_id(listed.gang_id);
    held->set_iteration(progress.iteration);
    held->set_iterations_per_second(progress.iterations_per_second);
    held->set_pulse(progress.pulse);
  }
  if (!draining_) {
    const int idle = identity_.slots() - slots_busy_ - static_cast<int>(pending_.size());
    view.set_slots_idle(std::max(0, idle));
  }
  view.set_draining(draining_);
  reports_.TakeUnsent(limits_.view_bytes_max, view.mutable_reports());
  changed_ = false;
  return view;
}

void Session::Apply(const v1::CoordinatorView& view) {
  Orders orders;
  bool news = false;
  {
    const MutexLock lock(&mutex_);
    const uint64_t acknowledged_before = reports_.acknowledged();
    const uint64_t reports_before = reports_.last();
    const size_t pending_before = pending_.size();
    reports_.Acknowledge(view.reports_acknowledged());
    if (view.drain() && !draining_) draining_ = news = true;

    std::set<LeaseKey> wanted, to_release;
    if (!abandoned_) {
      for (const v1::Gang& gang : view.gangs()) {
        for (const v1::Lease& lease : gang.leases()) {
          wanted.emplace(lease.job_id(), lease.attempt());
          if (lease.release()) to_release.emplace(lease.job_id(), lease.attempt());
        }
      }
    }
    for (auto it = listed_.begin(); it != listed_.end();) {
      const Listed& listed = it->second;
      const bool is_listed = wanted.count(it->first) != 0;
      const bool was_held = listed.last_report == 0 || listed.last_report > acknowledged_before;
      if (was_held && !(is_listed && IsHeld(listed))) news = true;
      if (is_listed) {
        ++it;
        continue;
      }
      if (listed.last_report == 0) orders.dropped.push_back({listed.gang, listed.member});
      it = listed_.erase(it);
    }
    if (!abandoned_) {
      for (const v1::Gang& gang : view.gangs()) StartGang(gang);
    }
    Release(to_release, &orders);
    DropPendingWithoutMembers();
    news = news || pending_.size() != pending_before || reports_.last() != reports_before;
    changed_ = changed_ || news;
  }
  Tell(orders);
  if (news) on_news_();
}

bool Session::IsHeld(const Listed& listed) const {
  return listed.last_report == 0 || listed.last_report > reports_.acknowledged();
}

// What of the gang is not held yet becomes a gang that waits for a slot.
void Session::StartGang(const v1::Gang& listed) {
  std::vector<v1::Lease> leases;
  std::vector<Listed*> entries;
  for (const v1::Lease& lease : listed.leases()) {
    const LeaseKey key(lease.job_id(), lease.attempt());
    const auto found = listed_.find(key);
    if (found != listed_.end()) {
      // A restarted coordinator may give the same lease another gang.
      found->second.gang_id = listed.id();
    } else if (!draining_) {
      Listed& entry = listed_[key];
      entry.gang_id = listed.id();
      entry.member = static_cast<int>(leases.size());
      leases.push_back(lease);
      entries.push_back(&entry);
    }
  }
  if (leases.empty()) return;
  const auto gang = std::make_shared<Gang>(std::move(leases));
  for (Listed* entry : entries) entry->gang = gang;
  pending_.push_back(gang);
}

void Session::Release(const std::set<LeaseKey>& keys, Orders* orders) {
  for (auto& [key, listed] : listed_) {
    if (listed.last_report != 0 || (!draining_ && keys.count(key) == 0)) continue;
    if (std::find(pending_.begin(), pending_.end(), listed.gang) == pending_.end()) {
      orders->released.push_back({listed.gang, listed.member});
      continue;
    }
    // No slot has it yet: there is nothing to keep.
    v1::Report report;
    report.mutable_released();
    AddNow(&listed, key, std::move(report));
    orders->dropped.push_back({listed.gang, listed.member});
  }
}

// Gangs that lost all their members before a slot was free.
void Session::DropPendingWithoutMembers() {
  std::deque<std::shared_ptr<Gang>> kept;
  for (const std::shared_ptr<Gang>& gang : pending_) {
    bool is_wanted = false;
    for (int member = 0; member < gang->size(); ++member) {
      is_wanted = is_wanted || IsWanted(*gang, member);
    }
    if (is_wanted) kept.push_back(gang);
  }
  pending_.swap(kept);
}

// What was decided with the mutex held, without it.
void Session::Tell(const Orders& orders) {
  gang_waits_.NotifyAll();
  report_allowed_.NotifyAll();
  lease_ended_.NotifyAll();
  for (const Member& dropped : orders.dropped) dropped.gang->Drop(dropped.member);
  for (const Member& released : orders.released) released.gang->Release(released.member);
}

std::shared_ptr<Gang> Session::NextGang() {
  const MutexLock lock(&mutex_);
  while (!draining_ && pending_.empty()) gang_waits_.Wait(&mutex_);
  return TakeGang();
}

std::shared_ptr<Gang> Session::TryNextGang() {
  const MutexLock lock(&mutex_);
  return TakeGang();
}

std::shared_ptr<Gang> Session::TakeGang() {
  if (draining_ || pending_.empty()) return nullptr;
  std::shared_ptr<Gang> gang = std::move(pending_.front());
  pending_.pop_front();
  ++slots_busy_;
  return gang;
}

void Session::GangEnded() {
  {
    const MutexLock lock(&mutex_);
    --slots_busy_;
    changed_ = true;
  }
  on_news_();
}

Session::LeaseKey Session::Key(const Gang& gang, int member) {
  const v1::Lease& lease = gang.leases()[static_cast<size_t>(member)];
  return {lease.job_id(), lease.attempt()};
}

bool Session::IsWanted(const Gang& gang, int member) const {
  const auto it = listed_.find(Key(gang, member));
  return it != listed_.end() && it->second.gang.get() == &gang && it->second.last_report == 0;
}

bool Session::Wants(const Gang& gang, int member) const {
  const MutexLock lock(&mutex_);
  return IsWanted(gang, member);
}

bool Session::Add(const Gang& gang, int member, v1::Report event) {
  {
    const MutexLock lock(&mutex_);
    while (IsWanted(gang, member) && reports_.full()) report_allowed_.Wait(&mutex_);
    if (!IsWanted(gang, member)) return false;
    const LeaseKey key = Key(gang, member);
    AddNow(&listed_.at(key), key, std::move(event));
  }
  lease_ended_.NotifyAll();
  on_news_();
  return true;
}

void Session::AddNow(Listed* listed, const LeaseKey& key, v1::Report event) {
  event.set_job_id(key.first);
  event.set_attempt(key.second);
  if (event.has_released()) {
    event.mutable_released()->set_reason(draining_ ? "the worker drains"
                                                   : "the coordinator asked for it");
  }
  const bool is_last = event.has_finished() || event.has_failed() || event.has_released();
  const uint64_t number = reports_.Add(std::move(event));
  if (is_last) listed->last_report = number;
}

void Session::Drain() {
  Orders orders;
  {
    const MutexLock lock(&mutex_);
    draining_ = true;
    changed_ = true;
    Release({}, &orders);
    pending_.clear();
  }
  Tell(orders);
  on_news_();
}

bool Session::draining() const {
  const MutexLock lock(&mutex_);
  return draining_;
}

bool Session::HasUnreleased() const {
  return std::any_of(listed_.begin(), listed_.end(),
                     [](const auto& entry) { return entry.second.last_report == 0; });
}

bool Session::WaitUntilReleased(std::chrono::steady_clock::time_point deadline) {
  const MutexLock lock(&mutex_);
  while (HasUnreleased()) {
    if (!lease_ended_.WaitUntil(&mutex_, deadline)) return !HasUnreleased();
  }
  return true;
}

void Session::Abandon() {
  Drain();
  {
    const MutexLock lock(&mutex_);
    abandoned_ = true;
  }
  // A view that lists nothing drops everything.
  Apply(v1::CoordinatorView());
}

}  // namespace modlab
