// Leases, the workers that hold them, and a queue that is built anew.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/queue/queue_fixture.h"

namespace modlab {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using QueueTest = QueueFixture;

TEST_F(QueueTest, AGangTakesASlotUntilItsWorkerReportsIt) {
  AddJobs(1, 20, "a");
  const v1::WorkerView idle = View("w", 1, 4);
  Update(idle);
  EXPECT_EQ(Assign().size(), 1u);
  // The worker's view was under way when the gang was given.
  Update(idle);
  EXPECT_THAT(Assign(), IsEmpty());
  Update(Obedient(idle));
  EXPECT_THAT(Assign(), IsEmpty());
  for (int64_t id = 1; id <= 4; ++id) EXPECT_TRUE(queue_->RemoveJob(id));
  // Its slot is not known to be free before it says so.
  EXPECT_THAT(Assign(), IsEmpty());
  Update(Obedient(idle));
  EXPECT_THAT(Assign(), ElementsAre("w: 5/1 6/1 7/1 8/1"));
}

TEST_F(QueueTest, LeasesAreFencedByJobAttemptAndWorker) {
  AddJobs(1, 1, "a");
  Update(View("v", 1, 1));
  Update(View("w", 1, 1));
  EXPECT_THAT(Assign(), ElementsAre("v: 1/1"));
  EXPECT_TRUE(queue_->LeaseIsCurrent(1, 1, "v"));
  EXPECT_FALSE(queue_->LeaseIsCurrent(1, 2, "v"));
  EXPECT_FALSE(queue_->LeaseIsCurrent(1, 1, "w"));
  EXPECT_FALSE(queue_->LeaseIsCurrent(2, 1, "v"));
  queue_->Fail(1, v1::WORKER_ERROR, "", now_);
  EXPECT_FALSE(queue_->LeaseIsCurrent(1, 1, "v"));
}

TEST_F(QueueTest, ViewsRenewWhatTheyListAndOnlyThat) {
  AddJobs(1, 2, "a");
  Update(View("w", 2, 1));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1", "w: 2/1"));
  now_ += kLeaseUs - 1;
  EXPECT_THAT(queue_->Expire(now_), IsEmpty());
  v1::WorkerView view = Obedient(View("w", 2, 1));
  view.mutable_held()->RemoveLast();
  Update(view);
  now_ += 1;
  EXPECT_THAT(Lines(queue_->Expire(now_)), ElementsAre("2 requeued 1"));
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1"));
  now_ = kStart + 2 * kLeaseUs - 2;
  EXPECT_THAT(queue_->Expire(now_), IsEmpty());
  now_ += 1;
  EXPECT_THAT(Lines(queue_->Expire(now_)), ElementsAre("1 requeued 1"));
  EXPECT_THAT(queue_->ListWorkers(), IsEmpty()) << "a silent worker is forgotten";
}

TEST_F(QueueTest, ExpiryRaisesTheAttempt) {
  AddJobs(1, 1, "a");
  Update(View("v", 1, 1));
  Assign();
  now_ += kLeaseUs;
  queue_->Expire(now_);
  now_ += kBackoffUs;
  Update(View("w", 1, 1));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/2"));
  EXPECT_FALSE(queue_->LeaseIsCurrent(1, 1, "v"));
}

TEST_F(QueueTest, GangMatesOutliveAMember) {
  AddJobs(1, 3, "a");
  Update(View("w", 1, 3));
  Assign();
  queue_->Fail(2, v1::DIVERGED, "", now_);
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1 3/1"));
  queue_->RemoveJob(1);
  queue_->RemoveJob(3);
  EXPECT_THAT(Desired("w"), IsEmpty());
}

TEST_F(QueueTest, ChangedWorkersAreNamedOnce) {
  AddJobs(1, 2, "a");
  Update(View("v", 1, 1));
  Update(View("w", 1, 1));
  EXPECT_THAT(queue_->TakeChangedWorkers(), IsEmpty());
  Assign();
  EXPECT_THAT(queue_->TakeChangedWorkers(), ElementsAre("v", "w"));
  EXPECT_THAT(queue_->TakeChangedWorkers(), IsEmpty());
  queue_->RemoveJob(2);
  EXPECT_THAT(queue_->TakeChangedWorkers(), ElementsAre("w"));
}

TEST_F(QueueTest, DrainingWorkersGetNothingAndReturnWhatTheyDoNotHold) {
  AddJobs(1, 4, "a");
  Update(View("w", 2, 2));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1 2/1", "w: 3/1"));
  v1::WorkerView view = Obedient(View("w", 2, 2));
  view.set_draining(true);
  view.mutable_held()->DeleteSubrange(1, 2);
  EXPECT_THAT(Lines(Update(view)), ElementsAre("2 requeued 0", "3 requeued 0"));
  EXPECT_THAT(Assign(), IsEmpty());
  Update(View("x", 1, 4));
  EXPECT_THAT(Assign(), ElementsAre("x: 2/2 3/2 4/1"));
}

TEST_F(QueueTest, DisconnectedWorkersGetNothingNewButKeepTheirLeases) {
  AddJobs(1, 2, "a");
  Update(View("w", 2, 1));
  queue_->RemoveJob(2);
  Assign();
  queue_->Disconnect("w");
  queue_->AddJob(Job(3, "a"), now_);
  EXPECT_THAT(Assign(), IsEmpty());
  EXPECT_TRUE(queue_->LeaseIsCurrent(1, 1, "w"));
  Update(Obedient(View("w", 2, 1)));
  EXPECT_THAT(Assign(), ElementsAre("w: 3/1"));
}

TEST_F(QueueTest, RestoredLeasesAreClaimedWithTheirGangs) {
  for (int64_t id : {1, 2, 3, 4}) {
    UnfinishedJob job = Running(Job(id, "a"), 2, id == 4 ? "lost" : "w");
    job.failures = 1;
    queue_->AddJob(job, now_);
  }
  EXPECT_THAT(queue_->ListWorkers(), IsEmpty());
  EXPECT_TRUE(queue_->LeaseIsCurrent(1, 2, "w"));
  now_ += kLeaseUs - 1;
  v1::WorkerView view = View("w", 2, 4);
  view.set_slots_idle(1);
  for (int64_t id : {1, 2}) {
    v1::HeldLease* held = view.add_held();
    held->set_job_id(id);
    held->set_attempt(2);
    held->set_gang_id(102);
  }
  // It never got job 3: no failure of it.
  EXPECT_THAT(Lines(Update(view)), ElementsAre("3 requeued 1"));
  EXPECT_THAT(Desired("w"), ElementsAre("102: 1/2 2/2"));
  now_ += 1;
  EXPECT_THAT(Lines(queue_->Expire(now_)), ElementsAre("4 requeued 2"));
  EXPECT_THAT(Assign(), ElementsAre("w: 3/3"));
  // Gang ids stay apart.
  now_ += 2 * kBackoffUs;
  Update(Obedient(View("w", 4, 4)));
  AddJobs(10, 10, "b");
  AddJobs(11, 11, "c");
  Assign();
  EXPECT_THAT(Desired("w"), ElementsAre("100: 3/3", "101: 4/3", "102: 1/2 2/2", "103: 10/1"));
}

TEST_F(QueueTest, AClaimOfAnotherAttemptRenewsNothing) {
  Add(Running(Job(1, "a"), 2, "w"));
  v1::WorkerView view = View("w", 1, 1);
  view.set_slots_idle(0);
  v1::HeldLease* held = view.add_held();
  held->set_job_id(1);
  held->set_attempt(1);
  held->set_gang_id(7);
  EXPECT_THAT(Lines(Update(view)), ElementsAre("1 requeued 0"));
  EXPECT_THAT(Desired("w"), IsEmpty());
}

TEST_F(QueueTest, ARebuiltQueueKeepsWorkersAndGangs) {
  AddJobs(1, 4, "a");
  Update(View("v", 1, 1));
  EXPECT_THAT(Assign(), ElementsAre("v: 1/1"));
  Update(View("w", 2, 2));
  EXPECT_THAT(Assign(), ElementsAre("w: 2/1", "w: 3/1"));
  v1::WorkerView view = Obedient(View("w", 2, 2));
  Update(view);
  // Memory was ahead of the store: there job 2 still runs, and 3 and 4 wait.
  queue_->RemoveJob(2);
  std::unique_ptr<Queue> old = std::move(queue_);
  queue_ = NewQueue();
  SetSweep(Sweep(1));
  for (int64_t id : {1, 2}) {
    Add(Running(Job(id, "a"), 1, id == 1 ? "v" : "w"));
  }
  AddJobs(3, 4, "a");
  queue_->AdoptWorkers(*old);
  EXPECT_THAT(queue_->TakeChangedWorkers(), ElementsAre("v", "w"));
  EXPECT_THAT(Desired("v"), ElementsAre("100: 1/1"));
  v1::CoordinatorView unknown;
  EXPECT_FALSE(queue_->FillGangs("w", &unknown)) << "it has not claimed job 2 yet";
  view.set_slots_idle(1);
  EXPECT_THAT(Update(view), IsEmpty());
  EXPECT_THAT(Desired("w"), ElementsAre("101: 2/1"));
  EXPECT_THAT(Assign(), ElementsAre("w: 3/1"));
}

TEST_F(QueueTest, SpeedsAddUp) {
  AddJobs(1, 2, "a");
  Update(View("w", 1, 2));
  Assign();
  v1::WorkerView view = Obedient(View("w", 1, 2));
  view.mutable_held(1)->set_iterations_per_second(-5.0);
  Update(view);
  EXPECT_EQ(queue_->IterationsPerSecond(1), 10.0);
  EXPECT_EQ(queue_->IterationsPerSecond(2), 0.0);
  EXPECT_EQ(queue_->IterationsPerSecond(3), 0.0);
  ASSERT_EQ(queue_->SweepSpeeds().size(), 1u);
  EXPECT_EQ(queue_->SweepSpeeds().begin()->second, 10.0);
  const std::vector<v1::Worker> workers = queue_->ListWorkers();
  ASSERT_EQ(workers.size(), 1u);
  EXPECT_EQ(workers[0].name(), "name-w");
  EXPECT_EQ(workers[0].jobs_held(), 2);
  EXPECT_EQ(workers[0].iterations_per_second(), 10.0);
}

TEST_F(QueueTest, WorkersAreLimited) {
  for (int i = 0; i < Queue::kWorkersMax; ++i) Update(View(absl::StrCat("w", i), 1, 1));
  EXPECT_EQ(queue_->UpdateWorker(View("one-more", 1, 1), now_).status().code(),
            absl::StatusCode::kResourceExhausted);
  Update(View("w0", 1, 1));
}

}  // namespace
}  // namespace modlab
