#include "worker/session.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>
#include <vector>

namespace modlab {

Session::Session(v1::WorkerView identity, ReportLimits limits, std::function<void()> on_news)
    : identity_(std::move(identity)),
      limits_(limits),
      on_news_(std::move(on_news)),
      reports_(limits.reports_max, limits.bytes_max) {}

void Session::StreamOpened() {
  const std::lock_guard<std::mutex> lock(mutex_);
  reports_.Rewind();
  changed_ = true;
}

bool Session::has_news() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return changed_ || reports_.has_unsent();
}

bool Session::has_unacknowledged() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return !reports_.empty();
}

v1::WorkerView Session::NextView() {
  const std::lock_guard<std::mutex> lock(mutex_);
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
  std::vector<Dropped> dropped;
  bool news = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const uint64_t acknowledged_before = reports_.acknowledged();
    reports_.Acknowledge(view.reports_acknowledged());

    std::set<LeaseKey> wanted;
    if (!draining_) {
      for (const v1::Gang& gang : view.gangs()) {
        for (const v1::Lease& lease : gang.leases()) {
          wanted.emplace(lease.job_id(), lease.attempt());
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
      if (listed.last_report == 0) dropped.push_back({listed.gang, listed.member});
      it = listed_.erase(it);
    }
    // A gang that lost all its members before a slot was free.
    const auto is_empty = [this](const std::shared_ptr<Gang>& gang) {
      for (int member = 0; member < gang->size(); ++member) {
        if (FindWanted(*gang, member) != nullptr) return false;
      }
      return true;
    };
    pending_.erase(std::remove_if(pending_.begin(), pending_.end(), is_empty), pending_.end());

    if (!draining_) {
      const size_t pending_before = pending_.size();
      for (const v1::Gang& gang : view.gangs()) StartGang(gang);
      if (pending_.size() != pending_before) news = true;
    }
    changed_ = changed_ || news;
  }
  gang_waits_.notify_all();
  report_allowed_.notify_all();
  for (const Dropped& drop : dropped) drop.gang->Drop(drop.member);
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
    const auto [it, is_new] = listed_.try_emplace(LeaseKey(lease.job_id(), lease.attempt()));
    // A restarted coordinator may give the same lease another gang.
    it->second.gang_id = listed.id();
    if (!is_new) continue;
    it->second.member = static_cast<int>(leases.size());
    leases.push_back(lease);
    entries.push_back(&it->second);
  }
  if (leases.empty()) return;
  const auto gang = std::make_shared<Gang>(std::move(leases));
  for (Listed* entry : entries) entry->gang = gang;
  pending_.push_back(gang);
}

std::shared_ptr<Gang> Session::NextGang() {
  std::unique_lock<std::mutex> lock(mutex_);
  gang_waits_.wait(lock, [this] { return draining_ || !pending_.empty(); });
  if (draining_) return nullptr;
  std::shared_ptr<Gang> gang = std::move(pending_.front());
  pending_.pop_front();
  ++slots_busy_;
  return gang;
}

void Session::GangEnded() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    --slots_busy_;
    changed_ = true;
  }
  on_news_();
}

// The member's entry, unless it was dropped or has made its last report.
Session::Listed* Session::FindWanted(const Gang& gang, int member) {
  const v1::Lease& lease = gang.leases()[static_cast<size_t>(member)];
  const auto it = listed_.find(LeaseKey(lease.job_id(), lease.attempt()));
  if (it == listed_.end() || it->second.gang.get() != &gang) return nullptr;
  return it->second.last_report == 0 ? &it->second : nullptr;
}

bool Session::Add(const Gang& gang, int member, v1::Report event) {
  const v1::Lease& lease = gang.leases()[static_cast<size_t>(member)];
  {
    std::unique_lock<std::mutex> lock(mutex_);
    Listed* listed = nullptr;
    report_allowed_.wait(lock, [&] {
      listed = FindWanted(gang, member);
      return listed == nullptr || !reports_.full();
    });
    if (listed == nullptr) return false;
    event.set_job_id(lease.job_id());
    event.set_attempt(lease.attempt());
    const bool is_last = event.has_finished() || event.has_failed();
    const uint64_t number = reports_.Add(std::move(event));
    if (is_last) listed->last_report = number;
  }
  on_news_();
  return true;
}

void Session::Drain() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    draining_ = true;
    pending_.clear();
    changed_ = true;
  }
  // A view that lists nothing drops everything.
  v1::CoordinatorView nothing;
  Apply(nothing);
  on_news_();
}

}  // namespace modlab
