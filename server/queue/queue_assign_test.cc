// Who is given what, in gangs of what size.

#include <cstdint>
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

class QueueAssignTest : public QueueFixture {
 protected:
  // A sweep that requires something.
  static QueuedSweep Requiring(int64_t number, const std::string& device,
                               const std::vector<std::string>& labels, int64_t memory_bytes) {
    QueuedSweep sweep = Sweep(number);
    v1::Requirements* wants = sweep.policy.mutable_requirements();
    wants->set_device(device);
    wants->mutable_labels()->Assign(labels.begin(), labels.end());
    wants->set_memory_bytes(memory_bytes);
    return sweep;
  }
};

// -- batches ---------------------------------------------------------------------

TEST_F(QueueAssignTest, GangsAreOfOneShapeAndTheOldestShapeGoesFirst) {
  AddJobs(5, 6, "b");
  AddJobs(1, 2, "a");
  AddJobs(3, 3, "b");
  Update(View("w", 1, 8));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1 2/1"));
  EXPECT_THAT(Desired("w"), ElementsAre("100: 1/1 2/1"));
  queue_->RemoveJob(1);
  queue_->RemoveJob(2);
  Update(View("w", 1, 8));
  EXPECT_THAT(Assign(), ElementsAre("w: 3/1 5/1 6/1"));
  EXPECT_THAT(Desired("w"), ElementsAre("101: 3/1 5/1 6/1"));
}

TEST_F(QueueAssignTest, GangsStartAtOneIteration) {
  for (int64_t id : {1, 2, 3, 4}) {
    UnfinishedJob job = Job(id, "a");
    if (id % 2 == 0) job.checkpoint = Checkpoint(500);
    Add(job);
  }
  AddJobs(11, 30, "b");
  Update(View("w", 2, 8));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1 3/1", "w: 2/1 4/1"));
  v1::CoordinatorView view;
  EXPECT_TRUE(queue_->FillGangs("w", &view));
  EXPECT_FALSE(view.gangs(0).leases(0).has_checkpoint());
  EXPECT_EQ(view.gangs(1).leases(1).checkpoint().iteration(), 500);
  EXPECT_EQ(view.gangs(1).leases(1).checkpoint().sha256(), "sha-500");
}

TEST_F(QueueAssignTest, AJobThatWasHandedBackGoesOnFromItsCheckpoint) {
  AddJobs(1, 3, "a");
  Update(View("w", 1, 8));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1 2/1 3/1"));
  EXPECT_EQ(queue_->CheckpointIteration(2), 0);
  EXPECT_TRUE(queue_->WantsCheckpoint(2, 40));
  queue_->KeepCheckpoint(2, Checkpoint(40));
  EXPECT_EQ(queue_->CheckpointIteration(2), 40);
  for (int64_t id : {1, 2, 3})
    EXPECT_EQ(Line(queue_->Release(id)), absl::StrCat(id, " requeued 0"));
  Update(View("w", 2, 8));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/2 3/2", "w: 2/2"));
}

// -- gang size -------------------------------------------------------------------

TEST_F(QueueAssignTest, GangSizeIsTheWorkersOwn) {
  AddJobs(1, 100, "a");
  Update(View("w", 1, 7));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1 2/1 3/1 4/1 5/1 6/1 7/1"));
}

TEST_F(QueueAssignTest, FewJobsSpreadOverAllSlots) {
  AddJobs(1, 5, "a");
  Update(View("u", 2, 8));
  Update(View("v", 2, 8));
  EXPECT_THAT(Assign(), ElementsAre("u: 1/1 2/1", "v: 3/1", "u: 4/1", "v: 5/1"));
}

TEST_F(QueueAssignTest, SlotsThatOtherShapesFillDoNotShrinkAGang) {
  AddJobs(1, 4, "a");
  AddJobs(5, 8, "b");
  AddJobs(9, 9, "c");
  Update(View("w", 3, 8));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1 2/1 3/1 4/1", "w: 5/1 6/1", "w: 7/1"))
      << "only the last but one shape has a slot to spare";
}

TEST_F(QueueAssignTest, SlotsThatCannotTakeTheSweepDoNotShrinkAGang) {
  SetSweep(Requiring(2, "cuda", {}, 0));
  AddJobs(1, 8, "a", {2});
  Update(View("c", 20, 8));
  v1::WorkerView gpu = View("g", 1, 8);
  gpu.set_device("cuda");
  Update(gpu);
  EXPECT_THAT(Assign(), ElementsAre("g: 1/1 2/1 3/1 4/1 5/1 6/1 7/1 8/1"));
}

TEST_F(QueueAssignTest, AWorkersSlotsCountForWhatItMeetsNow) {
  SetSweep(Requiring(2, "", {"big"}, 0));
  v1::WorkerView big = View("v", 8, 8);
  big.add_labels("big");
  Update(big);
  Update(View("v", 8, 8));
  big.set_worker_id("w");
  big.set_slots(1);
  Update(big);
  AddJobs(1, 3, "a", {2});
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1 2/1 3/1"));
}

TEST_F(QueueAssignTest, JobsThatTheWorkerCannotTakeAreNothingToDo) {
  SetSweep(Requiring(2, "cuda", {}, 0));
  AddJobs(1, 100, "a", {2});
  AddJobs(201, 202, "a", {1});
  Pause(3);
  AddJobs(301, 400, "a", {3});
  QueuedSweep full = Sweep(4);
  full.policy.set_max_running(1);
  SetSweep(full);
  Add(Running(Job(401, "a", {4}), 1, "lost"));
  AddJobs(402, 500, "a", {4});
  Update(View("c", 2, 8));
  EXPECT_THAT(Assign(), ElementsAre("c: 201/1", "c: 202/1"));
}

TEST_F(QueueAssignTest, JobsOfOtherSweepsThatRideAreNoOtherWork) {
  SetSweep(Sweep(2));
  AddJobs(1, 4, "a", {1});
  AddJobs(11, 14, "a", {2});
  Update(View("w", 4, 8));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1 2/1", "w: 11/1 12/1", "w: 3/1", "w: 13/1"));
}

// -- requirements ------------------------------------------------------------------

TEST_F(QueueAssignTest, WorkersMeetDeviceLabelsAndMemory) {
  SetSweep(Requiring(2, "cuda", {"a100", "rack=7"}, 1000));
  AddJobs(1, 1, "a", {2});
  v1::WorkerView view = View("w", 1, 8);
  view.add_labels("rack=7");
  view.set_memory_bytes(8000);
  view.set_slot_memory_bytes(1000);
  Update(view);
  EXPECT_THAT(Assign(), IsEmpty());
  view.add_labels("a100");
  Update(view);
  EXPECT_THAT(Assign(), IsEmpty()) << "the device";
  view.set_device("cuda");
  view.set_slot_memory_bytes(999);
  Update(view);
  EXPECT_THAT(Assign(), IsEmpty()) << "the memory of a slot";
  view.set_slot_memory_bytes(0);
  Update(view);
  EXPECT_THAT(Assign(), IsEmpty()) << "what is not known is not enough";
  view.set_slot_memory_bytes(1000);
  Update(view);
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1"));
}

TEST_F(QueueAssignTest, AWorkerThatNothingFitsIsPassedOver) {
  SetSweep(Requiring(2, "cuda", {}, 0));
  AddJobs(1, 2, "a", {2});
  Update(View("c", 4, 8));
  v1::WorkerView gpu = View("g", 2, 1);
  gpu.set_device("cuda");
  Update(gpu);
  EXPECT_THAT(Assign(), ElementsAre("g: 1/1", "g: 2/1"));
}

TEST_F(QueueAssignTest, LowerPrioritiesAreServedByThoseThatCannotServeHigherOnes) {
  QueuedSweep high = Requiring(2, "cuda", {}, 0);
  high.policy.set_priority(9);
  SetSweep(high);
  AddJobs(1, 2, "a", {2});
  AddJobs(3, 4, "a", {1});
  Update(View("c", 1, 8));
  EXPECT_THAT(Assign(), ElementsAre("c: 3/1 4/1")) << "and nobody rides who may not";
}

TEST_F(QueueAssignTest, ChangedRequirementsHoldFromThenOn) {
  AddJobs(1, 1, "a");
  SetSweep(Requiring(1, "cuda", {}, 0));
  Update(View("c", 1, 8));
  EXPECT_THAT(Assign(), IsEmpty());
  SetSweep(Sweep(1));
  EXPECT_THAT(Assign(), ElementsAre("c: 1/1"));
}

// -- limits ------------------------------------------------------------------------

TEST_F(QueueAssignTest, AWorkersLeasesAreLimited) {
  AddJobs(1, 200'000, "a");
  Update(View("w", 1024, 4096));
  int64_t leased = 0;
  for (const Queue::NewGang& gang : queue_->Assign(now_)) {
    leased += static_cast<int64_t>(gang.leases.size());
  }
  EXPECT_EQ(leased, Queue::kLeasesPerWorkerMax);
}

// Three seconds' work; were it quadratic anywhere, it would outlast any test's time.
TEST_F(QueueAssignTest, AMillionJobs) {
  constexpr int64_t kJobs = 1'000'000;
  constexpr int64_t kSweeps = 3000;
  for (int64_t number = 2; number <= kSweeps; ++number) {
    SetSweep(Sweep(number, 0, absl::StrCat("user-", number % 50)));
  }
  for (int64_t id = 1; id <= kJobs; ++id) {
    Add(Job(id, absl::StrCat("shape-", id % 1000), {id <= kJobs / 2 ? 1 : 1 + id % kSweeps}));
  }
  for (int i = 0; i < 100; ++i) Update(View(absl::StrCat("w", i), 8, 16));
  int64_t leased = 0;
  while (leased < kJobs / 20) {
    for (const Queue::NewGang& gang : queue_->Assign(now_)) {
      leased += static_cast<int64_t>(gang.leases.size());
      for (const Queue::NewLease& lease : gang.leases) queue_->Finish(lease.job_id);
    }
    queue_->Preempt();
    queue_->Expire(now_ += 1000);
  }
  EXPECT_GE(leased, kJobs / 20);
}

}  // namespace
}  // namespace modlab
