// For tests: a naive model of the queue's policy, told of everything that the queue
// is, to which the queue is then held.

#ifndef MODLAB_SERVER_QUEUE_QUEUE_MODEL_FIXTURE_H_
#define MODLAB_SERVER_QUEUE_QUEUE_MODEL_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/queue/avoided.h"
#include "server/queue/queue_fixture.h"

namespace modlab {

// What the store and the workers know, kept the plain way.
class QueueModelFixture : public QueueFixture {
 protected:
  struct FakeWorker {
    v1::WorkerView view;
    bool connected = false;
    bool asked = false;  // to drain
    int64_t seen_us = 0;
    std::set<int64_t> gangs_seen;
    const std::string& place() const { return view.place().empty() ? view.name() : view.place(); }
  };
  struct Gang {
    std::string worker;
    int64_t sweep = 0;  // 0: none
    std::set<int64_t> jobs;
  };
  using Jobs = std::map<int64_t, UnfinishedJob>;

  // -- the policy, naively -----------------------------------------------------------

  const QueuedSweep* Leader(const UnfinishedJob& job) const {
    const QueuedSweep* leader = nullptr;
    for (int64_t number : job.sweeps) {
      const QueuedSweep* sweep = &sweeps_.at(number);
      const auto key = [](const QueuedSweep* s) {
        return std::make_tuple(!s->policy.paused(), s->policy.priority(), -s->number);
      };
      if (leader == nullptr || key(sweep) > key(leader)) leader = sweep;
    }
    return leader;
  }
  bool Follows(const UnfinishedJob& job, int64_t sweep) const {
    const QueuedSweep* leader = Leader(job);
    return leader != nullptr && leader->number == sweep;
  }
  int64_t CountRunning(int64_t sweep) const {
    return std::count_if(jobs_.begin(), jobs_.end(), [&](const auto& job) {
      return job.second.state == v1::RUNNING && Follows(job.second, sweep);
    });
  }
  int64_t CountBusy(int64_t sweep) const {
    return std::count_if(gangs_.begin(), gangs_.end(),
                         [&](const auto& gang) { return gang.second.sweep == sweep; });
  }
  int64_t CountUsersBusy(const std::string& user) const {
    int64_t busy = 0;
    for (const auto& [number, sweep] : sweeps_) busy += sweep.user == user ? CountBusy(number) : 0;
    return busy;
  }
  static bool Meets(const FakeWorker& worker, const QueuedSweep& sweep) {
    const v1::Requirements& wants = sweep.policy.requirements();
    for (const std::string& label : wants.labels()) {
      if (std::count(worker.view.labels().begin(), worker.view.labels().end(), label) == 0) {
        return false;
      }
    }
    return wants.device().empty() || wants.device() == worker.view.device();
  }
  bool TakesGangs(const FakeWorker& worker) const {
    return worker.connected && !worker.view.draining() && !worker.asked &&
           closed_.count(worker.place()) == 0;
  }
  bool MayTake(const FakeWorker& worker, const UnfinishedJob& job) const {
    const QueuedSweep* sweep = Leader(job);
    if (job.state != v1::QUEUED || job.not_before_us > 0 || sweep == nullptr) return false;
    if (sweep->policy.paused() || !Meets(worker, *sweep)) return false;
    const int64_t most = sweep->policy.max_running();
    if (most > 0 && CountRunning(sweep->number) >= most) return false;
    const auto nearness_of = [&job = job](const FakeWorker& any) {
      return NearnessTo(job.failures > 0 ? job.avoided : ForgetFailures(job.avoided), any.place(),
                        any.view.name());
    };
    const Nearness nearness = nearness_of(worker);
    return std::none_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
      const FakeWorker& other = entry.second;
      return nearness_of(other).degree < nearness.degree && Meets(other, *sweep) &&
             (nearness.strict ? TakesGangs(other) : CanTakeGang(entry.first, other));
    });
  }
  std::tuple<int, int64_t, int64_t, int64_t> Turn(const QueuedSweep& sweep) const {
    return {-sweep.policy.priority(), CountUsersBusy(sweep.user), CountBusy(sweep.number),
            sweep.number};
  }
  // The oldest job of the sweep whose turn it is; 0: none.
  int64_t Next(const FakeWorker& worker) const {
    int64_t next = 0;
    for (const auto& [id, job] : jobs_) {
      if (!MayTake(worker, job)) continue;
      if (next == 0 || Turn(*Leader(job)) < Turn(*Leader(jobs_.at(next)))) next = id;
    }
    return next;
  }
  static auto BatchOf(const UnfinishedJob& job) {
    return std::make_tuple(job.shape_key, job.checkpoint.iteration(), std::min(job.failures, 4),
                           job.failures > 0 ? job.avoided : ForgetFailures(job.avoided));
  }
  int64_t IdleSlots(const std::string& id, const FakeWorker& worker) const {
    if (!TakesGangs(worker)) return 0;
    int64_t gangs = 0;
    int64_t unseen = 0;
    for (const auto& [gang_id, gang] : gangs_) {
      if (gang.worker != id) continue;
      ++gangs;
      unseen += 1 - static_cast<int64_t>(worker.gangs_seen.count(gang_id));
    }
    return std::min<int64_t>(worker.view.slots_idle() - unseen, worker.view.slots() - gangs);
  }

  bool CanTakeGang(const std::string& id, const FakeWorker& worker) const {
    if (IdleSlots(id, worker) <= 0) return false;
    return on_trial_.count(worker.place()) == 0 ||
           std::none_of(jobs_.begin(), jobs_.end(), [&](const auto& entry) {
             const std::string& holder = entry.second.worker_id;
             return !holder.empty() && workers_.at(holder).place() == worker.place();
           });
  }

  int64_t GangOf(int64_t job) const {
    for (const auto& [id, gang] : gangs_) {
      if (gang.jobs.count(job) > 0) return id;
    }
    return 0;
  }
  int64_t SweepOf(int64_t job) const {
    const QueuedSweep* leader = Leader(jobs_.at(job));
    return leader == nullptr ? 0 : leader->number;
  }

  // -- following the queue -------------------------------------------------------------

  void EndLease(int64_t job_id) {
    UnfinishedJob& job = jobs_.at(job_id);
    EXPECT_EQ(job.state, v1::RUNNING);
    job.state = v1::QUEUED;
    job.worker_id.clear();
    expires_us_.erase(job_id);
    for (auto gang = gangs_.begin(); gang != gangs_.end(); ++gang) {
      if (gang->second.jobs.erase(job_id) == 0) continue;
      if (gang->second.jobs.empty()) gangs_.erase(gang);
      return;
    }
  }
  void Take(const Queue::Verdict& verdict) {
    EXPECT_EQ(jobs_.at(verdict.job_id).attempt, verdict.attempt);
    EndLease(verdict.job_id);
    if (!verdict.requeued) {
      jobs_.erase(verdict.job_id);
      return;
    }
    jobs_.at(verdict.job_id).failures = verdict.failures;
    jobs_.at(verdict.job_id).avoided = verdict.avoided;
    jobs_.at(verdict.job_id).not_before_us = verdict.not_before_us;
  }
  void Wake() {
    for (auto& [id, job] : jobs_) {
      if (job.not_before_us <= now_) job.not_before_us = 0;
    }
  }
  void NoticeQuarantines() {
    closed_.clear();
    on_trial_.clear();
    for (const v1::Worker& worker : queue_->ListWorkers()) {
      if (worker.failures() < Options().place_failures_max) continue;
      (worker.quarantined_until_us() > now_ ? closed_ : on_trial_).insert(worker.place());
    }
  }

  void CheckGang(const Queue::NewGang& given) {
    const FakeWorker& worker = workers_.at(given.worker_id);
    ASSERT_GT(IdleSlots(given.worker_id, worker), 0);
    ASSERT_FALSE(given.leases.empty());
    const int64_t first = given.leases[0].job_id;
    ASSERT_EQ(first, Next(worker));
    const int64_t served = Leader(jobs_.at(first))->number;
    const auto batch = BatchOf(jobs_.at(first));
    const int64_t limit = std::max(1, worker.view.gang_size_max() >> (3 * std::get<2>(batch)));
    ASSERT_LE(static_cast<int64_t>(given.leases.size()), limit);
    ASSERT_TRUE(CanTakeGang(given.worker_id, worker));
    if (on_trial_.count(worker.place()) > 0) {
      ASSERT_EQ(given.leases.size(), 1u);
    }
    Gang gang{given.worker_id, served, {}};
    for (const Queue::NewLease& lease : given.leases) {
      UnfinishedJob& job = jobs_.at(lease.job_id);
      ASSERT_EQ(BatchOf(job), batch);
      ASSERT_TRUE(MayTake(worker, job));
      for (const auto& [id, other] : jobs_) {
        if (BatchOf(other) != batch || !MayTake(worker, other)) continue;
        // Who rides, rides after the served sweep's own, and after his betters.
        if (Follows(other, served)) {
          ASSERT_TRUE(Follows(job, served));
        }
        if (Leader(other) == Leader(job)) {
          ASSERT_LE(lease.job_id, id);
        }
        if (!Follows(job, served)) {
          ASSERT_LE(Turn(*Leader(job)), Turn(*Leader(other)));
        }
      }
      job.state = v1::RUNNING;
      job.worker_id = given.worker_id;
      ASSERT_EQ(lease.attempt, ++job.attempt);
      expires_us_[lease.job_id] = now_ + kLeaseUs;
      gang.jobs.insert(lease.job_id);
    }
    ASSERT_TRUE(gangs_.emplace(given.gang_id, gang).second);
  }

  std::vector<Queue::NewGang> AssignAndCheck() {
    NoticeQuarantines();
    Wake();
    std::vector<Queue::NewGang> given = queue_->Assign(now_);
    for (const Queue::NewGang& gang : given) {
      CheckGang(gang);
      if (HasFatalFailure()) return given;
    }
    for (const auto& [id, worker] : workers_) {
      if (IdleSlots(id, worker) <= 0 || on_trial_.count(worker.place()) > 0) continue;
      EXPECT_EQ(Next(worker), 0) << id << " is idle";
    }
    return given;
  }

  // -- what must hold at any time ----------------------------------------------------------

  void CheckAll() {
    Queue::Totals expected;
    std::map<int64_t, v1::SweepLoad> loads;
    for (const auto& [id, job] : jobs_) {
      ASSERT_TRUE(queue_->Contains(id));
      const bool runs = job.state == v1::RUNNING;
      const bool delayed = !runs && job.not_before_us > 0;
      expected.running += runs;
      expected.waiting += !runs;
      expected.delayed += delayed;
      if (runs) {
        ASSERT_TRUE(queue_->LeaseIsCurrent(id, job.attempt, job.worker_id));
      }
      const QueuedSweep* sweep = Leader(job);
      if (sweep == nullptr) continue;
      v1::SweepLoad& load = loads[sweep->number];
      load.set_waiting(load.waiting() + !runs);
      load.set_delayed(load.delayed() + delayed);
      load.set_running(load.running() + runs);
      load.set_slots(CountBusy(sweep->number));
    }
    const Queue::Totals totals = queue_->totals();
    ASSERT_EQ(std::tie(totals.waiting, totals.delayed, totals.running),
              std::tie(expected.waiting, expected.delayed, expected.running));
    std::vector<std::string> lines;
    std::map<std::pair<int, int64_t>, const QueuedSweep*> order;
    for (const auto& [number, sweep] : sweeps_) {
      order[{-sweep.policy.priority(), number}] = &sweep;
    }
    for (const auto& [key, sweep] : order) {
      const auto load = loads.find(sweep->number);
      if (load == loads.end()) continue;
      const v1::SweepLoad& l = load->second;
      lines.push_back(absl::StrCat(sweep->id, ": ", l.waiting(), "/", l.delayed(), "/", l.running(),
                                   ", ", l.slots()));
    }
    ASSERT_EQ(Loads(1000), lines);
    CheckDesired();
  }
  void CheckDesired() {
    for (const auto& [worker_id, worker] : workers_) {
      v1::CoordinatorView view;
      if (!queue_->FillGangs(worker_id, &view)) continue;
      ASSERT_EQ(view.drain(), worker.asked);
      std::set<int64_t> gangs;
      for (const v1::Gang& gang : view.gangs()) {
        gangs.insert(gang.id());
        std::set<int64_t> jobs;
        for (const v1::Lease& lease : gang.leases()) {
          jobs.insert(lease.job_id());
          const UnfinishedJob& job = jobs_.at(lease.job_id());
          ASSERT_EQ(lease.attempt(), job.attempt);
          ASSERT_EQ(lease.checkpoint().iteration(), job.checkpoint.iteration());
          const QueuedSweep* sweep = Leader(job);
          const bool must = worker.asked || sweep == nullptr || sweep->policy.paused();
          if (must) {
            ASSERT_TRUE(lease.release());
          }
          if (lease.release() && !must) {
            ASSERT_TRUE(MayBePreempted(gangs_.at(gang.id())));
          }
        }
        ASSERT_EQ(jobs, gangs_.at(gang.id()).jobs);
        ASSERT_EQ(worker_id, gangs_.at(gang.id()).worker);
      }
      const int64_t expected =
          std::count_if(gangs_.begin(), gangs_.end(),
                        [&id = worker_id](const auto& gang) { return gang.second.worker == id; });
      ASSERT_EQ(static_cast<int64_t>(gangs.size()), expected);
    }
  }
  bool MayBePreempted(const Gang& gang) const {
    return std::any_of(jobs_.begin(), jobs_.end(), [&](const auto& entry) {
      const QueuedSweep* sweep = Leader(entry.second);
      return entry.second.state == v1::QUEUED && sweep != nullptr && sweep->policy.preempt() &&
             sweep->policy.priority() > sweeps_.at(gang.sweep).policy.priority();
    });
  }

  std::map<int64_t, QueuedSweep> sweeps_;
  Jobs jobs_;
  std::map<int64_t, int64_t> expires_us_;  // leases, by job
  std::map<std::string, FakeWorker> workers_;
  std::map<int64_t, Gang> gangs_;
  std::set<std::string> closed_;  // places
  std::set<std::string> on_trial_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_QUEUE_QUEUE_MODEL_FIXTURE_H_
