// Which sweep a job follows, whose turn it is, and what is counted of it.

#include <cstdint>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/queue/queue_fixture.h"

namespace modlab {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using QueueSweepsTest = QueueFixture;

// -- following -------------------------------------------------------------------

TEST_F(QueueSweepsTest, AJobFollowsTheHighestPriorityAndOfEqualsTheOldest) {
  SetSweep(Sweep(2, 5));
  SetSweep(Sweep(3, 5));
  AddJobs(1, 1, "a", {3, 1, 2});
  EXPECT_THAT(Loads(), ElementsAre("s-2: 1/0/0, 0"));
  SetSweep(Sweep(1, 6));
  EXPECT_THAT(Loads(), ElementsAre("s-1: 1/0/0, 0"));
  SetSweep(Sweep(1, 4));
  SetSweep(Sweep(3, 7));
  EXPECT_THAT(Loads(), ElementsAre("s-3: 1/0/0, 0"));
}

TEST_F(QueueSweepsTest, AJobLeavesAPausedSweepForAnother) {
  SetSweep(Sweep(2, 5));
  AddJobs(1, 1, "a", {1, 2});
  AddJobs(2, 2, "a", {2});
  QueuedSweep paused = Sweep(2, 5);
  paused.policy.set_paused(true);
  SetSweep(paused);
  EXPECT_THAT(Loads(), ElementsAre("s-2: 1/0/0, 0", "s-1: 1/0/0, 0"));
  Update(View("w", 1, 4));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1"));
  EXPECT_THAT(Loads(), ElementsAre("s-2: 1/0/0, 0", "s-1: 0/0/1, 1"));
  // A running job goes back as a waiting one does; its slot stays where it was.
  SetSweep(Sweep(2, 5));
  EXPECT_THAT(Loads(), ElementsAre("s-2: 1/0/1, 0"));
  queue_->RemoveJob(1);
  Update(View("w", 1, 4));
  EXPECT_THAT(Assign(), ElementsAre("w: 2/1"));
}

TEST_F(QueueSweepsTest, WhatIsPausedWaits) {
  AddJobs(1, 2, "a");
  Pause(1);
  Update(View("w", 1, 4));
  EXPECT_THAT(Assign(), IsEmpty());
  AddJobs(3, 3, "a");
  EXPECT_THAT(Assign(), IsEmpty());
  EXPECT_THAT(Loads(), ElementsAre("s-1: 3/0/0, 0"));
  Pause(1, false);
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1 2/1 3/1"));
}

TEST_F(QueueSweepsTest, OfPausedSweepsTheFirstIsFollowedToo) {
  SetSweep(Sweep(2, 5));
  AddJobs(1, 1, "a", {1, 2});
  QueuedSweep paused = Sweep(2, 5);
  paused.policy.set_paused(true);
  SetSweep(paused);
  Pause(1);
  EXPECT_THAT(Loads(), ElementsAre("s-2: 1/0/0, 0"));
}

TEST_F(QueueSweepsTest, LinkedJobsFollowTheirNewSweep) {
  AddJobs(1, 2, "a");
  SetSweep(Sweep(2, 1));
  queue_->LinkJob(2, 2);
  queue_->LinkJob(2, 2);
  EXPECT_THAT(Loads(), ElementsAre("s-2: 1/0/0, 0", "s-1: 1/0/0, 0"));
  queue_->RemoveSweep(2);
  EXPECT_THAT(Loads(), ElementsAre("s-1: 2/0/0, 0"));
}

TEST_F(QueueSweepsTest, ARemovedSweepGivesItsJobsToOthers) {
  SetSweep(Sweep(2, 5));
  AddJobs(1, 1, "a", {1, 2});
  AddJobs(2, 2, "a", {2});
  Update(View("w", 1, 1));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1"));
  EXPECT_THAT(Loads(), ElementsAre("s-2: 1/0/1, 1"));
  EXPECT_THAT(queue_->RemoveSweep(2), ElementsAre(2));
  EXPECT_THAT(Loads(), ElementsAre("s-1: 0/0/1, 1"));
  EXPECT_TRUE(queue_->Contains(2));
  EXPECT_TRUE(queue_->IsUnwanted(2));
  EXPECT_FALSE(queue_->IsUnwanted(1));
  EXPECT_EQ(queue_->totals().waiting, 1);
  // Nobody asks for job 2 any more.
  Update(View("x", 1, 1));
  EXPECT_THAT(Assign(), IsEmpty());
  EXPECT_TRUE(queue_->RemoveJob(2));
  EXPECT_FALSE(queue_->IsUnwanted(2));
  EXPECT_THAT(queue_->RemoveSweep(2), IsEmpty());
  EXPECT_THAT(queue_->RemoveSweep(77), IsEmpty());
}

TEST_F(QueueSweepsTest, WhatASweepAsksForAgainGoesOn) {
  AddJobs(1, 2, "a");
  EXPECT_THAT(queue_->RemoveSweep(1), ElementsAre(1, 2));
  SetSweep(Sweep(2));
  queue_->LinkJob(2, 2);
  EXPECT_TRUE(queue_->IsUnwanted(1));
  EXPECT_FALSE(queue_->IsUnwanted(2));
  Update(View("w", 1, 4));
  EXPECT_THAT(Assign(), ElementsAre("w: 2/1"));
}

TEST_F(QueueSweepsTest, DelayedJobsChangeSweepsToo) {
  SetSweep(Sweep(2));
  UnfinishedJob job = Job(1, "a", {1, 2});
  job.not_before_us = now_ + 100;
  Add(job);
  EXPECT_THAT(Loads(), ElementsAre("s-1: 1/1/0, 0"));
  SetSweep(Sweep(2, 1));
  EXPECT_THAT(Loads(), ElementsAre("s-2: 1/1/0, 0"));
  Update(View("w", 1, 1));
  EXPECT_THAT(Assign(), IsEmpty());
  now_ += 100;
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1"));
}

// -- order -----------------------------------------------------------------------

TEST_F(QueueSweepsTest, TheHighestPriorityGoesFirst) {
  SetSweep(Sweep(2, 5));
  SetSweep(Sweep(3, -5));
  AddJobs(1, 1, "a", {3});
  AddJobs(2, 2, "b", {1});
  AddJobs(3, 3, "c", {2});
  Update(View("w", 3, 4));
  EXPECT_THAT(Assign(), ElementsAre("w: 3/1", "w: 2/1", "w: 1/1"));
}

TEST_F(QueueSweepsTest, UsersShareSlotsAndOfEachUserItsSweeps) {
  SetSweep(Sweep(2));
  SetSweep(Sweep(3, 0, "bob"));
  AddJobs(1, 100, "a", {1});
  AddJobs(101, 200, "b", {2});
  AddJobs(201, 300, "c", {3});
  Update(View("w", 8, 1));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1", "w: 201/1", "w: 101/1", "w: 202/1", "w: 2/1",
                                    "w: 203/1", "w: 102/1", "w: 204/1"));
  EXPECT_THAT(Loads(), ElementsAre("s-1: 98/0/2, 2", "s-2: 98/0/2, 2", "s-3: 96/0/4, 4"));
}

TEST_F(QueueSweepsTest, AUsersSlotsOfAllPrioritiesCount) {
  SetSweep(Sweep(2, 9));
  SetSweep(Sweep(3, 0, "bob"));
  AddJobs(1, 10, "a", {1});
  AddJobs(11, 12, "b", {2});
  AddJobs(21, 30, "c", {3});
  Update(View("w", 4, 1));
  EXPECT_THAT(Assign(), ElementsAre("w: 11/1", "w: 12/1", "w: 21/1", "w: 22/1"));
}

TEST_F(QueueSweepsTest, SlotsCountAndNotJobs) {
  SetSweep(Sweep(2));
  AddJobs(1, 1, "a", {1});
  AddJobs(2, 2, "a2", {1});
  AddJobs(11, 30, "b", {2});
  Update(View("w", 1, 8));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1"));
  Update(Obedient(View("w", 2, 8)));
  EXPECT_EQ(Assign(), std::vector<std::string>{"w: 11/1 12/1 13/1 14/1 15/1 16/1 17/1 18/1"});
  Update(Obedient(View("w", 3, 8)));
  EXPECT_THAT(Assign(), ElementsAre("w: 2/1")) << "a slot each, however many jobs: the oldest";
}

TEST_F(QueueSweepsTest, OfEqualSweepsTheOldestGoesFirst) {
  SetSweep(Sweep(3, 0, "bob"));
  SetSweep(Sweep(2));
  AddJobs(1, 1, "a", {3});
  AddJobs(2, 2, "b", {2});
  Update(View("w", 1, 1));
  EXPECT_THAT(Assign(), ElementsAre("w: 2/1"));
}

TEST_F(QueueSweepsTest, AFinishedGangFreesItsShare) {
  SetSweep(Sweep(2));
  AddJobs(1, 9, "a", {1});
  AddJobs(11, 19, "b", {2});
  Update(View("w", 2, 1));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1", "w: 11/1"));
  queue_->Finish(11);
  Update(Obedient(View("w", 2, 1)));
  EXPECT_THAT(Assign(), ElementsAre("w: 12/1"));
}

TEST_F(QueueSweepsTest, MaxRunningBoundsTheLeases) {
  QueuedSweep sweep = Sweep(1);
  sweep.policy.set_max_running(3);
  SetSweep(sweep);
  AddJobs(1, 30, "a");
  Update(View("w", 4, 2));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1", "w: 2/1", "w: 3/1"));
  Update(Obedient(View("w", 4, 2)));
  EXPECT_THAT(Assign(), IsEmpty());
  queue_->Finish(2);
  EXPECT_THAT(Assign(), ElementsAre("w: 4/1"));
  sweep.policy.set_max_running(0);
  SetSweep(sweep);
  Update(Obedient(View("w", 5, 2)));
  EXPECT_THAT(Assign(), ElementsAre("w: 5/1 6/1", "w: 7/1 8/1"));
}

TEST_F(QueueSweepsTest, MaxRunningBoundsRidersToo) {
  QueuedSweep sweep = Sweep(2, -1);
  sweep.policy.set_max_running(1);
  SetSweep(sweep);
  AddJobs(1, 2, "a", {1});
  AddJobs(3, 9, "a", {2});
  Update(View("w", 1, 8));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1 2/1 3/1"));
  Update(View("x", 1, 8));
  EXPECT_THAT(Assign(), IsEmpty());
}

// -- filling ---------------------------------------------------------------------

TEST_F(QueueSweepsTest, GangsAreFilledFromOtherSweepsInOrder) {
  SetSweep(Sweep(2, 1));
  SetSweep(Sweep(3, 0, "bob"));
  SetSweep(Sweep(4, 9));
  AddJobs(1, 2, "a", {1});
  AddJobs(11, 12, "a", {2});
  AddJobs(21, 22, "a", {3});
  AddJobs(31, 31, "b", {4});
  AddJobs(41, 60, "c", {1});
  Update(View("v", 1, 1));
  EXPECT_THAT(Assign(), ElementsAre("v: 31/1"));
  // Ann has a slot now, Bob none.
  Update(View("w", 1, 5));
  EXPECT_THAT(Assign(), ElementsAre("w: 11/1 12/1 21/1 22/1 1/1"));
  EXPECT_THAT(Loads(),
              ElementsAre("s-4: 0/0/1, 1", "s-2: 0/0/2, 1", "s-1: 21/0/1, 0", "s-3: 0/0/2, 0"))
      << "riders cost no slot";
  queue_->RemoveSweep(2);
  EXPECT_THAT(Loads(), ElementsAre("s-4: 0/0/1, 1", "s-1: 21/0/1, 1", "s-3: 0/0/2, 0"))
      << "the slot is one of its jobs' sweeps' then";
}

TEST_F(QueueSweepsTest, TheServedSweepFillsItsGangFirst) {
  SetSweep(Sweep(2));
  AddJobs(1, 1, "b", {1});
  AddJobs(2, 25, "a", {1});
  AddJobs(31, 60, "a", {2});
  Update(View("w", 1, 4));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1"));
  Update(Obedient(View("w", 2, 4)));
  EXPECT_THAT(Assign(), ElementsAre("w: 31/1 32/1 33/1 34/1"));
  Update(Obedient(View("w", 3, 4)));
  EXPECT_THAT(Assign(), ElementsAre("w: 2/1 3/1 4/1 5/1"));
}

TEST_F(QueueSweepsTest, PausedSweepsFillNothing) {
  SetSweep(Sweep(2));
  AddJobs(1, 2, "a", {1});
  AddJobs(11, 12, "a", {2});
  Pause(2);
  Update(View("w", 1, 4));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1 2/1"));
}

// -- looking ---------------------------------------------------------------------

TEST_F(QueueSweepsTest, TotalsAddUp) {
  AddJobs(1, 5, "a");
  Update(View("w", 1, 2));
  Assign();
  Update(Obedient(View("w", 1, 2)));
  EXPECT_EQ(Fail(1, v1::WORKER_ERROR), "1 requeued 1");
  Queue::Totals totals = queue_->totals();
  EXPECT_EQ(totals.waiting, 4);
  EXPECT_EQ(totals.delayed, 1);
  EXPECT_EQ(totals.running, 1);
  EXPECT_EQ(totals.iterations_per_second, 10.0);
  EXPECT_THAT(Loads(), ElementsAre("s-1: 4/1/1, 1"));
  now_ += kBackoffUs;
  Assign();
  EXPECT_THAT(Loads(), ElementsAre("s-1: 4/0/1, 1"));
}

TEST_F(QueueSweepsTest, LoadsAreOfSweepsWithJobsByPriorityThenAge) {
  SetSweep(Sweep(2, 3));
  SetSweep(Sweep(3, 3, "bob"));
  SetSweep(Sweep(4, 8));
  AddJobs(1, 1, "a", {3});
  AddJobs(2, 2, "a", {2});
  AddJobs(3, 3, "a", {1});
  EXPECT_THAT(Loads(), ElementsAre("s-2: 1/0/0, 0", "s-3: 1/0/0, 0", "s-1: 1/0/0, 0"));
  EXPECT_THAT(Loads(2), ElementsAre("s-2: 1/0/0, 0", "s-3: 1/0/0, 0"));
  EXPECT_EQ(queue_->ListLoads(2)[1].user(), "bob");
  EXPECT_EQ(queue_->ListLoads(2)[1].policy().priority(), 3);
}

}  // namespace
}  // namespace modlab
