// The queue against a naive model of its policy, under random operations.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/queue/queue_model_fixture.h"

namespace modlab {
namespace {

class QueueRandomTest : public QueueModelFixture, public testing::WithParamInterface<int> {
 protected:
  QueueRandomTest() : random_(static_cast<uint64_t>(GetParam())) {
    sweeps_[1] = Sweep(1);
    queue_ = FromStore(100);
  }

  int64_t Below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  bool OneIn(int64_t n) { return Below(n) == 0; }

  // -- what happens ----------------------------------------------------------------------

  void ChangeSweep() {
    const int64_t number = OneIn(4) || sweeps_.empty() ? ++newest_sweep_ : AnySweep();
    const auto [it, is_new] = sweeps_.try_emplace(number, Sweep(number));
    QueuedSweep& sweep = it->second;
    if (is_new) sweep.user = absl::StrCat("u", number % 3);
    sweep.policy.set_priority(static_cast<int32_t>(Below(3)));
    sweep.policy.set_max_running(OneIn(2) ? 0 : static_cast<int32_t>(Below(6)));
    sweep.policy.set_paused(OneIn(4));
    sweep.policy.set_preempt(OneIn(4));
    v1::Requirements* wants = sweep.policy.mutable_requirements();
    wants->Clear();
    if (OneIn(4)) wants->set_device("cuda");
    if (OneIn(4)) wants->add_labels("big");
    queue_->SetSweep(sweep);
  }
  int64_t AnySweep() { return std::next(sweeps_.begin(), Below(sweeps_.size()))->first; }

  void RemoveASweep() {
    if (sweeps_.size() < 3) return;
    const int64_t number = AnySweep();
    const std::vector<int64_t> unwanted = queue_->RemoveSweep(number);
    for (auto& [id, job] : jobs_) {
      job.sweeps.erase(std::remove(job.sweeps.begin(), job.sweeps.end(), number), job.sweeps.end());
    }
    for (auto& [id, gang] : gangs_) {
      if (gang.sweep != number) continue;
      gang.sweep = 0;
      for (int64_t job : gang.jobs) {
        const QueuedSweep* leader = Leader(jobs_.at(job));
        if (gang.sweep == 0 && leader != nullptr) gang.sweep = leader->number;
      }
    }
    sweeps_.erase(number);
    const Jobs all = jobs_;
    std::vector<int64_t> removed;
    for (const auto& [id, job] : all) {
      EXPECT_EQ(queue_->IsUnwanted(id), job.sweeps.empty());
      if (!job.sweeps.empty()) continue;
      removed.push_back(id);
      EXPECT_TRUE(queue_->RemoveJob(id));
      if (job.state == v1::RUNNING) EndLease(id);
      jobs_.erase(id);
    }
    EXPECT_EQ(unwanted, removed);
  }

  void AddSomeJobs() {
    for (int64_t i = Below(12); i >= 0 && jobs_.size() < 120; --i) {
      UnfinishedJob job = Job(++newest_job_, absl::StrCat("shape-", Below(3)), {AnySweep()});
      if (OneIn(10)) job.avoided = absl::StrCat("p", Below(3));
      if (OneIn(10)) job.checkpoint = Checkpoint(100 * (1 + Below(2)));
      jobs_[job.id] = job;
      Add(job);
    }
  }
  void LinkAJob() {
    if (jobs_.empty()) return;
    UnfinishedJob& job = std::next(jobs_.begin(), Below(jobs_.size()))->second;
    const int64_t sweep = AnySweep();
    queue_->LinkJob(job.id, sweep);
    if (std::count(job.sweeps.begin(), job.sweeps.end(), sweep) == 0) job.sweeps.push_back(sweep);
  }

  // Of the process that now is one of six workers.
  std::string WorkerId() {
    const int number = static_cast<int>(Below(6));
    return absl::StrCat("w", number, "-", lives_[number]);
  }

  // A worker's view: it holds what it should, or most of it.
  void HearWorker() {
    const std::string id = WorkerId();
    FakeWorker& worker = workers_[id];
    if (worker.view.worker_id().empty()) {
      worker.view = At(absl::StrCat("p", Below(3)), View(id, 1 + static_cast<int>(Below(3)), 16));
      if (OneIn(3)) worker.view.set_device("cuda");
      if (OneIn(3)) worker.view.add_labels("big");
    }
    v1::CoordinatorView desired;
    const bool is_known = queue_->FillGangs(id, &desired);
    v1::WorkerView view = worker.view;
    if (is_known) {
      view = Obedient(view);
    } else {  // after a restart: it tells what it holds
      for (const auto& [job_id, job] : jobs_) {
        if (job.worker_id != id || OneIn(3)) continue;
        v1::HeldLease* held = view.add_held();
        held->set_job_id(job_id);
        held->set_attempt(job.attempt - (OneIn(9) ? 1 : 0));
        held->set_gang_id(1 + Below(2) + 2 * (id[1] - '0'));
      }
      view.set_slots_idle(0);
    }
    view.set_draining(OneIn(25));
    if (view.held_size() > 0 && OneIn(9)) view.mutable_held()->RemoveLast();

    std::set<int64_t> held;
    for (const v1::HeldLease& lease : view.held()) {
      held.insert(lease.job_id());
      const auto job = jobs_.find(lease.job_id());
      if (job == jobs_.end() || job->second.attempt != lease.attempt()) continue;
      expires_us_[lease.job_id()] = now_ + kLeaseUs;
      if (GangOf(lease.job_id()) == 0) {
        Gang& gang = gangs_[lease.gang_id()];
        if (gang.jobs.empty()) gang = {id, SweepOf(lease.job_id()), {}};
        gang.jobs.insert(lease.job_id());
      }
      worker.gangs_seen.insert(GangOf(lease.job_id()));
    }
    std::set<int64_t> expected;
    for (const auto& [job_id, job] : jobs_) {
      if (job.worker_id != id) continue;
      if (GangOf(job_id) == 0 || (view.draining() && held.count(job_id) == 0)) {
        expected.insert(job_id);
      }
    }
    std::set<int64_t> given_back;
    for (const Queue::Verdict& verdict : Update(view)) {
      given_back.insert(verdict.job_id);
      Take(verdict);
    }
    EXPECT_EQ(given_back, expected);
    view.clear_held();
    worker.view = view;
    worker.connected = true;
    worker.seen_us = now_;
  }
  void EndSomeLeases() {
    std::vector<int64_t> running;
    for (const auto& [id, job] : jobs_) {
      if (job.state == v1::RUNNING && OneIn(3)) running.push_back(id);
    }
    for (int64_t id : running) {
      UnfinishedJob& job = jobs_.at(id);
      ASSERT_TRUE(queue_->LeaseIsCurrent(id, job.attempt, job.worker_id));
      switch (Below(6)) {
        case 0: {
          static constexpr v1::FailureCause kCauses[] = {v1::WORKER_LOST, v1::WORKER_ERROR,
                                                         v1::DIVERGED};
          Take(queue_->Fail(id, kCauses[Below(3)], "it broke", now_));
          break;
        }
        case 1:
          Take(queue_->Release(id));
          break;
        case 2:
          job.checkpoint = Checkpoint(job.checkpoint.iteration() + 100);
          job.failures = 0;
          EXPECT_TRUE(queue_->WantsCheckpoint(id, job.checkpoint.iteration()));
          queue_->KeepCheckpoint(id, job.checkpoint);
          break;
        default:
          queue_->Finish(id);
          EndLease(id);
          jobs_.erase(id);
      }
    }
  }

  void PassTime() {
    now_ += Below(OneIn(10) ? 3 * kLeaseUs : kLeaseUs / 4);
    std::set<int64_t> expected;
    for (const auto& [id, expires_us] : expires_us_) {
      if (expires_us <= now_) expected.insert(id);
    }
    std::set<int64_t> expired;
    for (const Queue::Verdict& verdict : queue_->Expire(now_)) {
      expired.insert(verdict.job_id);
      Take(verdict);
    }
    EXPECT_EQ(expired, expected);
    for (auto it = workers_.begin(); it != workers_.end();) {
      if (queue_->KnowsWorker(it->first)) {
        ++it;
        continue;
      }
      EXPECT_LE(it->second.seen_us + kLeaseUs, now_);
      // A process that was asked to drain is asked for good: another one comes.
      if (it->second.asked) ++lives_[it->first[1] - '0'];
      it = workers_.erase(it);
    }
  }

  void MeddleWithAWorker() {
    const std::string id = WorkerId();
    if (!queue_->KnowsWorker(id)) return;
    FakeWorker& worker = workers_[id];
    switch (Below(3)) {
      case 0:
        queue_->Disconnect(id);
        worker.connected = false;
        break;
      case 1:
        EXPECT_TRUE(queue_->ReleaseWorker(id).ok());
        break;
      default:
        if (!OneIn(5)) return;
        EXPECT_TRUE(queue_->DrainWorker(id).ok());
        worker.asked = true;
    }
  }

  std::unique_ptr<Queue> FromStore(int64_t first_gang_id) {
    Queue::Options options = Options();
    options.quarantine_first_us = kLeaseUs / 2;
    options.first_gang_id = first_gang_id;
    auto fresh = std::make_unique<Queue>(options);
    for (const auto& [number, sweep] : sweeps_) fresh->SetSweep(sweep);
    for (const auto& [id, worker] : workers_) {
      if (worker.asked) fresh->AskToDrain(id);
    }
    for (const auto& [id, job] : jobs_) fresh->AddJob(job, now_);
    return fresh;
  }
  // As after a commit that failed.
  void Rebuild() {
    std::unique_ptr<Queue> old = std::exchange(queue_, FromStore(100));
    queue_->AdoptWorkers(*old);
    for (auto& [id, expires_us] : expires_us_) {
      if (GangOf(id) == 0) expires_us = now_ + kLeaseUs;
    }
    const std::vector<Queue::NewGang> theirs = old->Assign(now_);
    const std::vector<Queue::NewGang> ours = AssignAndCheck();
    ASSERT_EQ(ours.size(), theirs.size());
    for (size_t i = 0; i < ours.size(); ++i) {
      ASSERT_EQ(ours[i].gang_id, theirs[i].gang_id);
      ASSERT_EQ(ours[i].worker_id, theirs[i].worker_id);
      ASSERT_EQ(ours[i].leases.size(), theirs[i].leases.size());
    }
    queue_->Preempt();
    old->Preempt();
    for (const auto& [id, worker] : workers_) {
      const std::vector<std::string> desired = Desired(id);
      std::swap(queue_, old);
      EXPECT_EQ(desired, Desired(id));
      std::swap(queue_, old);
    }
  }
  // As after the coordinator was killed.
  void Restart() {
    first_gang_id_ += 100'000;
    queue_ = FromStore(first_gang_id_);
    gangs_.clear();
    Wake();
    for (auto& [id, expires_us] : expires_us_) expires_us = now_ + kLeaseUs;
    for (auto& [id, worker] : workers_) {
      worker.connected = false;
      worker.seen_us = 0;
      worker.gangs_seen.clear();
    }
  }

  std::mt19937_64 random_;
  std::map<int, int> lives_;  // processes before this one, by number of the worker
  int64_t newest_sweep_ = 1;
  int64_t newest_job_ = 0;
  int64_t first_gang_id_ = 100;
};

TEST_P(QueueRandomTest, FollowsThePolicyAndLosesNothing) {
  for (int step = 0; step < 1500; ++step) {
    SCOPED_TRACE(absl::StrCat("seed ", GetParam(), ", step ", step));
    const int64_t operation = Below(100);
    if (operation < 8) {
      ChangeSweep();
    } else if (operation < 10) {
      RemoveASweep();
    } else if (operation < 22) {
      AddSomeJobs();
    } else if (operation < 26) {
      LinkAJob();
    } else if (operation < 66) {
      HearWorker();
    } else if (operation < 82) {
      EndSomeLeases();
    } else if (operation < 93) {
      PassTime();
    } else if (operation < 97) {
      MeddleWithAWorker();
    } else if (operation < 99) {
      Rebuild();
    } else {
      Restart();
    }
    if (OneIn(2)) AssignAndCheck();
    queue_->Preempt();
    if (!HasFatalFailure()) CheckAll();
    if (HasFailure()) return;
  }
  for (auto& [number, sweep] : sweeps_) {
    sweep.policy.Clear();
    queue_->SetSweep(sweep);
  }
  for (const auto& [id, worker] : workers_) queue_->Disconnect(id);
  v1::WorkerView healthy = At("z", View("z", 4, 16));
  for (int round = 0; round < 300 && !jobs_.empty(); ++round) {
    now_ += kLeaseUs / 4;
    for (const Queue::Verdict& verdict : queue_->Expire(now_)) Take(verdict);
    Update(Obedient(healthy));
    for (const Queue::NewGang& gang : queue_->Assign(now_)) {
      for (const Queue::NewLease& lease : gang.leases) {
        queue_->Finish(lease.job_id);
        jobs_.erase(lease.job_id);
      }
    }
  }
  EXPECT_EQ(jobs_.size(), 0u);
  EXPECT_EQ(queue_->totals().waiting + queue_->totals().running, 0);
}

TEST_P(QueueRandomTest, EqualsStayWithinOneSlotOfEachOther) {
  const std::vector<std::string> users = {"", "ann", "ann", "ann", "bob"};
  for (int64_t number = 1; number <= 4; ++number) {
    SetSweep(Sweep(number, 0, users[static_cast<size_t>(number)]));
  }
  std::vector<Queue::NewGang> running;
  for (int round = 0; round < 300; ++round) {
    for (int64_t number = 1; number <= 4; ++number) {
      for (int64_t i = round == 0 ? -300 : Below(8); i < 10; ++i) {
        Add(Job(++newest_job_, absl::StrCat("shape-", Below(9)), {number}));
      }
    }
    Update(Obedient(View("w", 17, 4)));
    for (Queue::NewGang& gang : queue_->Assign(now_)) running.push_back(std::move(gang));
    ASSERT_EQ(running.size(), 17u);
    std::map<std::string, int64_t> slots;
    std::map<std::string, int64_t> users_slots;
    for (const v1::SweepLoad& load : queue_->ListLoads(10)) {
      slots[load.id()] = load.slots();
      users_slots[load.user()] += load.slots();
    }
    EXPECT_LE(std::abs(users_slots["ann"] - users_slots["bob"]), 1);
    const auto anns = {slots["s-1"], slots["s-2"], slots["s-3"]};
    EXPECT_LE(std::max(anns) - std::min(anns), 1);
    for (int64_t ended = Below(5); ended >= 0; --ended) {
      const auto gang = running.begin() + Below(17 - 4);
      for (const Queue::NewLease& lease : gang->leases) queue_->Finish(lease.job_id);
      running.erase(gang);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, QueueRandomTest, testing::Range(1, 13));

}  // namespace
}  // namespace modlab
