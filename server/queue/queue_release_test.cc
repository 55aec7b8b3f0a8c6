// What workers are asked to hand back: paused, drained, preempted.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/queue/queue_fixture.h"

namespace modlab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class QueueReleaseTest : public QueueFixture {
 protected:
  static QueuedSweep Preempting(int64_t number, int priority) {
    QueuedSweep sweep = Sweep(number, priority);
    sweep.policy.set_preempt(true);
    return sweep;
  }
  bool AskedToDrain(const std::string& worker_id) const {
    v1::CoordinatorView view;
    queue_->FillGangs(worker_id, &view);
    return view.drain();
  }
  void HandBack(std::vector<int64_t> jobs) {
    for (int64_t id : jobs) queue_->Release(id);
  }
};

// -- pausing -----------------------------------------------------------------------

TEST_F(QueueReleaseTest, WhatRunsOfAPausedSweepIsToBeReleased) {
  SetSweep(Sweep(2));
  AddJobs(1, 1, "a", {1});
  AddJobs(2, 2, "a", {1, 2});
  AddJobs(3, 3, "a", {2});
  Update(View("w", 1, 8));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1 2/1 3/1"));
  queue_->TakeChangedWorkers();
  Pause(1);
  EXPECT_THAT(queue_->TakeChangedWorkers(), ElementsAre("w"));
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1! 2/1 3/1"));
  EXPECT_EQ(queue_->ReleaseReason(1), "sweep s-1 was paused");
  EXPECT_EQ(queue_->ReleaseReason(2), "");
  Pause(2);
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1! 2/1! 3/1!"));
  HandBack({1, 2, 3});
  EXPECT_EQ(queue_->ReleaseReason(1), "") << "nobody has it";
  Update(View("w", 1, 8));
  EXPECT_THAT(Assign(), IsEmpty());
  Pause(1, false);
  EXPECT_THAT(Assign(), ElementsAre("w: 1/2 2/2"));
  queue_->RemoveSweep(1);
  EXPECT_THAT(Desired("w"), ElementsAre("101: 1/2! 2/2!"));
  EXPECT_EQ(queue_->ReleaseReason(1), "no sweep asks for it");
}

TEST_F(QueueReleaseTest, ResumedInTimeNothingIsReleased) {
  AddJobs(1, 1, "a");
  Update(View("w", 1, 8));
  Assign();
  Pause(1);
  queue_->TakeChangedWorkers();
  Pause(1, false);
  EXPECT_THAT(queue_->TakeChangedWorkers(), ElementsAre("w"));
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1"));
}

TEST_F(QueueReleaseTest, AnotherSweepSavesAPausedJob) {
  AddJobs(1, 1, "a");
  Update(View("w", 1, 8));
  Assign();
  Pause(1);
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1!"));
  SetSweep(Sweep(2));
  queue_->TakeChangedWorkers();
  queue_->LinkJob(1, 2);
  EXPECT_THAT(queue_->TakeChangedWorkers(), ElementsAre("w"));
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1"));
  queue_->RemoveSweep(2);
  EXPECT_THAT(queue_->TakeChangedWorkers(), ElementsAre("w"));
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1!"));
}

// -- draining ----------------------------------------------------------------------

TEST_F(QueueReleaseTest, AWorkerIsAskedToDrainForGood) {
  AddJobs(1, 4, "a");
  Update(View("w", 2, 2));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1 2/1", "w: 3/1"));
  queue_->TakeChangedWorkers();
  EXPECT_FALSE(AskedToDrain("w"));
  const absl::StatusOr<v1::Worker> worker = queue_->DrainWorker("name-w");
  ASSERT_TRUE(worker.ok());
  EXPECT_EQ(worker->id(), "w");
  EXPECT_TRUE(worker->draining());
  EXPECT_EQ(worker->jobs_held(), 3);
  EXPECT_THAT(queue_->TakeChangedWorkers(), ElementsAre("w"));
  EXPECT_TRUE(AskedToDrain("w"));
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1! 2/1!", "101: 3/1!"));
  EXPECT_EQ(queue_->ReleaseReason(3), "worker name-w was asked to drain");
  EXPECT_TRUE(queue_->DrainWorker("w").ok());
  EXPECT_THAT(queue_->TakeChangedWorkers(), IsEmpty());
  HandBack({1, 2});
  Update(Obedient(View("w", 2, 2)));  // it does not drain yet
  EXPECT_THAT(Assign(), IsEmpty());
  EXPECT_TRUE(queue_->ListWorkers()[0].draining());
  EXPECT_TRUE(AskedToDrain("w"));
  EXPECT_FALSE(AskedToDrain("unknown"));
}

TEST_F(QueueReleaseTest, AWorkerThatWasAskedToDrainIsToldSoWheneverItComes) {
  AddJobs(1, 2, "a");
  queue_->AskToDrain("w");
  Update(View("v", 1, 1));
  Update(View("w", 1, 1));
  EXPECT_TRUE(AskedToDrain("w"));
  EXPECT_FALSE(AskedToDrain("v"));
  EXPECT_THAT(Assign(), ElementsAre("v: 1/1"));
}

TEST_F(QueueReleaseTest, ARequestToDrainThatIsNotInTheStoreIsForgotten) {
  Update(View("w", 1, 1));
  EXPECT_TRUE(queue_->DrainWorker("w").ok());
  const std::unique_ptr<Queue> old = std::move(queue_);
  queue_ = NewQueue();
  SetSweep(Sweep(1));
  AddJobs(1, 1, "a");
  queue_->AdoptWorkers(*old);
  EXPECT_FALSE(AskedToDrain("w"));
  Update(View("w", 1, 1));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1"));
}

TEST_F(QueueReleaseTest, WorkersAreFoundByNameAndId) {
  EXPECT_THAT(queue_->DrainWorker("name-w").status().message(), HasSubstr("there are none"));
  v1::WorkerView view = View("v", 1, 1);
  view.set_name("name-w");
  Update(view);
  Update(View("w", 1, 1));
  EXPECT_EQ(queue_->DrainWorker("name-w").status(),
            absl::InvalidArgumentError(
                "2 workers are named \"name-w\"; give the id of the one that is meant"));
  EXPECT_EQ(
      queue_->DrainWorker("name-v").status(),
      absl::NotFoundError("no worker has the name or id \"name-v\"; the nearest is \"name-w\""));
  EXPECT_EQ(queue_->ReleaseWorker("v")->name(), "name-w");
  for (const v1::Worker& worker : queue_->ListWorkers()) EXPECT_FALSE(worker.draining());
}

// -- preemption --------------------------------------------------------------------

TEST_F(QueueReleaseTest, TheYoungestGangOfTheLowestPriorityMakesRoom) {
  SetSweep(Sweep(2, -5));
  SetSweep(Preempting(3, 5));
  AddJobs(1, 2, "a", {1});
  AddJobs(11, 12, "b", {2});
  Update(View("v", 2, 1));
  Update(View("w", 2, 1));
  EXPECT_THAT(Assign(), ElementsAre("v: 1/1", "w: 2/1", "v: 11/1", "w: 12/1"));
  for (const char* id : {"v", "w"}) Update(Obedient(View(id, 2, 1)));
  queue_->Preempt();
  EXPECT_THAT(Desired("v"), ElementsAre("100: 1/1", "102: 11/1"));
  queue_->TakeChangedWorkers();

  AddJobs(21, 21, "c", {3});
  EXPECT_THAT(Assign(), IsEmpty());
  queue_->Preempt();
  EXPECT_THAT(queue_->TakeChangedWorkers(), ElementsAre("w"));
  EXPECT_THAT(Desired("v"), ElementsAre("100: 1/1", "102: 11/1"));
  EXPECT_THAT(Desired("w"), ElementsAre("101: 2/1", "103: 12/1!"));
  EXPECT_EQ(queue_->ReleaseReason(12), "a sweep of a higher priority needs the slot");
  queue_->Preempt();
  EXPECT_THAT(queue_->TakeChangedWorkers(), IsEmpty()) << "it is on its way";

  AddJobs(22, 23, "c", {3});
  queue_->Preempt();
  EXPECT_THAT(Desired("v"), ElementsAre("100: 1/1", "102: 11/1!"));
  EXPECT_THAT(Desired("w"), ElementsAre("101: 2/1!", "103: 12/1!"));
  HandBack({12});
  queue_->Preempt();
  EXPECT_THAT(Desired("v"), ElementsAre("100: 1/1", "102: 11/1!")) << "that slot will be idle";
  Update(Obedient(View("w", 2, 1)));
  EXPECT_THAT(Assign(), ElementsAre("w: 21/1"));
  queue_->Preempt();
  EXPECT_THAT(Desired("v"), ElementsAre("100: 1/1", "102: 11/1!"));
  EXPECT_THAT(Desired("w"), ElementsAre("101: 2/1!", "104: 21/1"));
}

TEST_F(QueueReleaseTest, ASlotThatHangsIsNotWaitedForForever) {
  SetSweep(Preempting(2, 5));
  AddJobs(1, 2, "a", {1});
  Update(View("w", 2, 1));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1", "w: 2/1"));
  Update(Obedient(View("w", 2, 1)));
  queue_->Finish(1);
  AddJobs(21, 21, "b", {2});
  v1::WorkerView view = Obedient(View("w", 2, 1));
  view.set_slots_idle(0);
  for (const int64_t hangs_us = now_ + 2 * kLeaseUs; now_ < hangs_us; now_ += kLeaseUs / 4) {
    Update(view);
    EXPECT_THAT(Assign(), IsEmpty());
    queue_->Preempt();
    EXPECT_THAT(Desired("w"), ElementsAre("101: 2/1"));
  }
  Update(view);
  queue_->Preempt();
  EXPECT_THAT(Desired("w"), ElementsAre("101: 2/1!"));
  Update(Obedient(View("w", 2, 1)));
  queue_->Preempt();
  EXPECT_THAT(Assign(), ElementsAre("w: 21/1")) << "it did get free";
  queue_->Preempt();
  EXPECT_THAT(Desired("w"), ElementsAre("101: 2/1", "102: 21/1"));
}

TEST_F(QueueReleaseTest, AGangThatWasPreemptedStaysTheOne) {
  SetSweep(Sweep(2, 1));
  SetSweep(Preempting(3, 5));
  AddJobs(1, 1, "a", {1});
  AddJobs(2, 2, "a", {2});
  Update(View("w", 2, 1));
  EXPECT_THAT(Assign(), ElementsAre("w: 2/1", "w: 1/1"));
  AddJobs(3, 3, "b", {3});
  queue_->Preempt();
  EXPECT_THAT(Desired("w"), ElementsAre("100: 2/1", "101: 1/1!"));
  SetSweep(Sweep(2, -1));
  queue_->Preempt();
  EXPECT_THAT(Desired("w"), ElementsAre("100: 2/1", "101: 1/1!"));
}

TEST_F(QueueReleaseTest, OnlyLowerPrioritiesMakeRoomAndOnlyForPreempt) {
  SetSweep(Preempting(2, 0));
  SetSweep(Sweep(3, 5));
  AddJobs(1, 1, "a", {1});
  Update(View("w", 1, 1));
  Assign();
  AddJobs(2, 2, "b", {2});
  AddJobs(3, 3, "c", {3});
  queue_->Preempt();
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1"));
  SetSweep(Preempting(3, 5));
  queue_->Preempt();
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1!"));
}

TEST_F(QueueReleaseTest, AsManyGangsMakeRoomAsTheJobsNeed) {
  SetSweep(Preempting(2, 5));
  AddJobs(1, 20, "a", {1});
  Update(View("w", 3, 4));
  EXPECT_EQ(Assign().size(), 3u);
  AddJobs(21, 25, "b", {2});
  Assign();
  queue_->Preempt();
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1 2/1 3/1 4/1", "101: 5/1! 6/1! 7/1! 8/1!",
                                        "102: 9/1! 10/1! 11/1! 12/1!"))
      << "five jobs are two gangs of at most four";
  QueuedSweep bounded = Preempting(2, 5);
  bounded.policy.set_max_running(1);
  SetSweep(bounded);
  queue_->Preempt();
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1 2/1 3/1 4/1", "101: 5/1 6/1 7/1 8/1",
                                        "102: 9/1! 10/1! 11/1! 12/1!"));
}

TEST_F(QueueReleaseTest, NoRoomIsMadeWhereTheJobsCouldNotGo) {
  QueuedSweep sweep = Preempting(2, 5);
  sweep.policy.mutable_requirements()->set_device("cuda");
  SetSweep(sweep);
  AddJobs(1, 2, "a", {1});
  v1::WorkerView gpu = View("g", 1, 1);
  gpu.set_device("cuda");
  Update(gpu);
  Update(View("w", 1, 1));
  EXPECT_THAT(Assign(), ElementsAre("g: 1/1", "w: 2/1"));
  AddJobs(21, 22, "b", {2});
  Assign();
  queue_->Preempt();
  EXPECT_THAT(Desired("g"), ElementsAre("100: 1/1!"));
  EXPECT_THAT(Desired("w"), ElementsAre("101: 2/1"));
}

TEST_F(QueueReleaseTest, APausedGangIsRoomEnough) {
  SetSweep(Sweep(2));
  SetSweep(Preempting(3, 5));
  AddJobs(1, 1, "a", {1});
  AddJobs(2, 2, "a", {2});
  Update(View("w", 2, 1));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1", "w: 2/1"));
  Pause(1);
  AddJobs(21, 21, "b", {3});
  Assign();
  queue_->Preempt();
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1!", "101: 2/1"));
}

TEST_F(QueueReleaseTest, PreemptionEndsWithItsReason) {
  SetSweep(Preempting(2, 5));
  AddJobs(1, 1, "a", {1});
  Update(View("w", 1, 1));
  Assign();
  AddJobs(2, 2, "b", {2});
  queue_->Preempt();
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1!"));
  queue_->TakeChangedWorkers();
  queue_->RemoveJob(2);
  queue_->Preempt();
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1"));
  EXPECT_THAT(queue_->TakeChangedWorkers(), ElementsAre("w"));
}

TEST_F(QueueReleaseTest, ARebuiltQueuePreemptsWhatTheOldOneDid) {
  SetSweep(Preempting(2, 5));
  AddJobs(1, 2, "a", {1});
  Update(View("w", 2, 1));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1", "w: 2/1"));
  AddJobs(3, 3, "b", {2});
  queue_->Preempt();
  const std::vector<std::string> desired = Desired("w");
  EXPECT_THAT(desired, ElementsAre("100: 1/1", "101: 2/1!"));
  const std::unique_ptr<Queue> old = std::move(queue_);
  queue_ = NewQueue();
  SetSweep(Sweep(1));
  SetSweep(Preempting(2, 5));
  Add(Running(Job(1, "a"), 1, "w"));
  Add(Running(Job(2, "a"), 1, "w"));
  queue_->AdoptWorkers(*old);
  EXPECT_EQ(Desired("w"), desired);
  EXPECT_THAT(Loads(), ElementsAre("s-1: 0/0/2, 2"));
  queue_->Preempt();
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1", "101: 2/1")) << "job 3 is not there";
}

}  // namespace
}  // namespace modlab
