// Jobs that fail, and places where they do.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/queue/queue_fixture.h"

namespace modlab {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class QueueFailuresTest : public QueueFixture {
 protected:
  // Lets worker "w" of place "p" fail `count` gangs of one new job each.
  void FailGangs(int count) {
    for (int i = 0; i < count; ++i) {
      AddJobs(next_job_, next_job_, "a");
      Update(At("p", View("w", 1, 8)));
      ASSERT_THAT(queue_->Assign(now_), SizeIs(1)) << "gang " << i;
      Fail(next_job_, v1::WORKER_ERROR);
      queue_->RemoveJob(next_job_++);
    }
    Update(At("p", View("w", 1, 8)));
  }

  v1::Worker Worker(const std::string& id) const {
    for (const v1::Worker& worker : queue_->ListWorkers()) {
      if (worker.id() == id) return worker;
    }
    ADD_FAILURE() << "no worker " << id;
    return {};
  }

  int64_t next_job_ = 1000;
};

// -- retries -----------------------------------------------------------------------

TEST_F(QueueFailuresTest, RetriesAreLimitedByTheNewestCause) {
  AddJobs(1, 2, "a");
  Update(View("w", 10, 1));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1", "w: 2/1"));
  int place = 0;
  const auto again = [this, &place] {
    now_ += 3 * kBackoffUs;
    Update(Obedient(At(absl::StrCat("p", ++place), View("w", 10, 1))));
    return Assign();
  };
  EXPECT_EQ(Fail(1, v1::WORKER_ERROR), "1 requeued 1");
  EXPECT_THAT(again(), ElementsAre("w: 1/2"));
  EXPECT_EQ(Fail(1, v1::WORKER_LOST), "1 requeued 2");
  EXPECT_THAT(again(), ElementsAre("w: 1/3"));
  EXPECT_EQ(Fail(1, v1::WORKER_LOST), "1 requeued 3");
  EXPECT_THAT(again(), ElementsAre("w: 1/4"));
  EXPECT_EQ(Fail(1, v1::WORKER_ERROR), "1 quarantined 4");
  EXPECT_FALSE(queue_->Contains(1));
  EXPECT_TRUE(queue_->Contains(2));
}

TEST_F(QueueFailuresTest, WhatIsNotRetriedIsNotQuarantined) {
  for (v1::FailureCause cause : {v1::DIVERGED, v1::OUT_OF_MEMORY}) {
    AddJobs(1, 1, "a");
    Update(View("w", 1, 1));
    Assign();
    EXPECT_EQ(Fail(1, cause), "1 failed 1");
    EXPECT_FALSE(queue_->Contains(1));
  }
}

TEST_F(QueueFailuresTest, EachCauseHasItsRetries) {
  Queue::Options options = Options();
  options.retries = {0, 0, 1, 1};
  for (v1::FailureCause cause : {v1::DIVERGED, v1::OUT_OF_MEMORY}) {
    queue_ = std::make_unique<Queue>(options);
    SetSweep(Sweep(1));
    AddJobs(1, 1, "a");
    Update(View("w", 1, 1));
    Assign();
    EXPECT_EQ(Fail(1, cause), "1 requeued 1");
    now_ += kBackoffUs;
    Update(View("w", 1, 1));
    EXPECT_THAT(Assign(), ElementsAre("w: 1/2"));
    EXPECT_EQ(Fail(1, cause), "1 quarantined 2");
  }
  for (v1::FailureCause cause : {v1::WORKER_ERROR, v1::WORKER_LOST}) {
    queue_ = std::make_unique<Queue>(options);
    SetSweep(Sweep(1));
    AddJobs(1, 1, "a");
    Update(View("w", 1, 1));
    Assign();
    EXPECT_EQ(Fail(1, cause), "1 failed 1");
  }
}

TEST_F(QueueFailuresTest, ThePauseDoublesUpToItsMost) {
  for (const auto& [failures, pause] :
       std::vector<std::pair<int, int64_t>>{{0, 1}, {1, 2}, {2, 3}, {3, 3}}) {
    UnfinishedJob job = Job(1, "a");
    job.failures = failures;
    Add(job);
    const v1::WorkerView view = At(absl::StrCat("p", failures), View("w", 1, 1));
    Update(view);
    EXPECT_THAT(Assign(), ElementsAre("w: 1/1"));
    const Queue::Verdict verdict = queue_->Fail(1, v1::WORKER_LOST, "it is gone", now_);
    EXPECT_TRUE(verdict.requeued);
    EXPECT_EQ(verdict.attempt, 1);
    EXPECT_EQ(verdict.worker_name, "name-w");
    EXPECT_EQ(verdict.not_before_us, now_ + pause * kBackoffUs);
    now_ = verdict.not_before_us - 1;
    Update(view);
    EXPECT_THAT(Assign(), IsEmpty());
    EXPECT_EQ(queue_->totals().delayed, 1);
    ++now_;
    EXPECT_THAT(Assign(), ElementsAre("w: 1/2"));
    EXPECT_EQ(queue_->totals().delayed, 0);
    queue_->RemoveJob(1);
  }
}

TEST_F(QueueFailuresTest, APauseOutlivesTheQueue) {
  UnfinishedJob job = Job(1, "a");
  job.failures = 1;
  job.not_before_us = now_ + 50;
  Add(job);
  Update(View("w", 1, 1));
  EXPECT_THAT(Assign(), IsEmpty());
  now_ += 50;
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1"));
}

TEST_F(QueueFailuresTest, ANewerCheckpointForgetsFailures) {
  UnfinishedJob job = Job(1, "a");
  job.failures = 2;
  job.checkpoint = Checkpoint(100);
  Add(job);
  Update(View("w", 1, 8));
  Assign();
  EXPECT_FALSE(queue_->WantsCheckpoint(1, 100));
  EXPECT_FALSE(queue_->WantsCheckpoint(1, 99)) << "it is there already, as far as is known";
  EXPECT_TRUE(queue_->WantsCheckpoint(1, 101));
  queue_->KeepCheckpoint(1, Checkpoint(101));
  EXPECT_EQ(Fail(1, v1::WORKER_ERROR), "1 requeued 1");
}

TEST_F(QueueFailuresTest, AnAttemptThatBeganAnewReplacesTheCheckpointAndForgetsNoFailures) {
  UnfinishedJob job = Job(1, "a");
  job.failures = 1;
  job.checkpoint = Checkpoint(100);
  Add(job);
  Update(View("w", 1, 8));
  Assign();
  v1::WorkerView view = Obedient(View("w", 1, 8));
  view.mutable_held(0)->set_iteration(30);
  Update(view);
  EXPECT_FALSE(queue_->WantsCheckpoint(1, 100));
  EXPECT_TRUE(queue_->WantsCheckpoint(1, 25));
  queue_->KeepCheckpoint(1, Checkpoint(25));
  EXPECT_EQ(queue_->CheckpointIteration(1), 25);
  EXPECT_FALSE(queue_->WantsCheckpoint(1, 20)) << "sent again";
  EXPECT_EQ(Fail(1, v1::WORKER_ERROR), "1 requeued 2");
}

TEST_F(QueueFailuresTest, AJobThatIsHandedBackKeepsItsFailuresAndWaitsForNothing) {
  UnfinishedJob job = Job(1, "a");
  job.failures = 2;
  Add(job);
  Update(View("w", 1, 8));
  Assign();
  const Queue::Verdict verdict = queue_->Release(1);
  EXPECT_EQ(Line(verdict), "1 requeued 2");
  EXPECT_EQ(verdict.not_before_us, 0);
  Update(View("w", 1, 8));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/2"));
}

TEST_F(QueueFailuresTest, AnAttemptStandsWhereItsCheckpointDoesUntilItReports) {
  UnfinishedJob job = Job(1, "a");
  job.checkpoint = Checkpoint(70);
  Add(job);
  Update(View("w", 1, 8));
  Assign();
  EXPECT_EQ(queue_->Release(1).iteration, 70);
  Update(View("w", 1, 8));
  Assign();
  v1::WorkerView view = Obedient(View("w", 1, 8));
  view.mutable_held(0)->set_iteration(90);
  Update(view);
  EXPECT_EQ(queue_->Release(1).iteration, 90);
}

// -- suspicion ---------------------------------------------------------------------

TEST_F(QueueFailuresTest, SuspectsAreLeasedInSmallGangsOfTheirLike) {
  int64_t id = 0;
  for (int failures : {0, 1, 2, 3, 4, 5}) {
    for (int i = 0; i < 9; ++i) {
      UnfinishedJob job = Job(++id, "a");
      job.failures = failures;
      Add(job);
    }
  }
  Update(View("w", 1, 64));
  std::vector<size_t> sizes;
  while (queue_->totals().waiting > 0) {
    for (const Queue::NewGang& gang : queue_->Assign(now_)) {
      sizes.push_back(gang.leases.size());
      for (const Queue::NewLease& lease : gang.leases) queue_->Finish(lease.job_id);
    }
    Update(View("w", 1, 64));
  }
  std::vector<size_t> expected = {9, 8, 1};
  expected.resize(3 + 4 * 9, 1);
  EXPECT_EQ(sizes, expected);
}

TEST_F(QueueFailuresTest, OnlyTheCulpritFailsInTheEnd) {
  AddJobs(1, 64, "a");
  std::vector<std::string> ended;
  for (int round = 0; round < 200 && queue_->totals().waiting > 0; ++round) {
    const std::string id = absl::StrCat("w", round);
    Update(View(id, 1, 64));
    for (const Queue::NewGang& gang : queue_->Assign(now_)) {
      bool fatal = false;
      for (const Queue::NewLease& lease : gang.leases) fatal = fatal || lease.job_id == 17;
      for (const Queue::NewLease& lease : gang.leases) {
        if (!fatal) {
          queue_->Finish(lease.job_id);
        } else if (const std::string line = Fail(lease.job_id, v1::WORKER_LOST);
                   line.find("requeued") == std::string::npos) {
          ended.push_back(line);
        }
      }
    }
    queue_->Disconnect(id);
    now_ += 3 * kBackoffUs;
  }
  EXPECT_THAT(ended, ElementsAre("17 quarantined 5"));
}

// -- places ------------------------------------------------------------------------

TEST_F(QueueFailuresTest, APlaceWhoseGangsFailIsGivenNothingForAWhile) {
  FailGangs(2);
  EXPECT_EQ(Worker("w").failures(), 2);
  EXPECT_EQ(Worker("w").quarantined_until_us(), 0);
  FailGangs(1);
  EXPECT_EQ(Worker("w").failures(), 3);
  EXPECT_EQ(Worker("w").quarantined_until_us(), now_ + kQuarantineUs);
  EXPECT_EQ(Worker("w").quarantine_reason(), "it broke");
  AddJobs(1, 4, "a");
  now_ += kQuarantineUs - 1;
  EXPECT_THAT(Assign(), IsEmpty());
  // Another process there, but not one elsewhere, is held to it.
  Update(At("p", View("v", 2, 8)));
  EXPECT_THAT(Assign(), IsEmpty());
  Update(At("q", View("x", 1, 1)));
  EXPECT_THAT(Assign(), ElementsAre("x: 1/1"));
  ++now_;
  EXPECT_THAT(Assign(), ElementsAre("v: 2/1")) << "one gang of one job";
  Update(Obedient(At("p", View("v", 2, 8))));
  EXPECT_THAT(Assign(), IsEmpty());
  queue_->Finish(2);
  EXPECT_EQ(Worker("w").failures(), 0);
  EXPECT_EQ(Worker("w").quarantined_until_us(), 0);
  EXPECT_EQ(Worker("w").quarantine_reason(), "");
  EXPECT_THAT(Assign(), ElementsAre("v: 3/1", "w: 4/1"));
}

TEST_F(QueueFailuresTest, FurtherFailuresDoubleTheTimeUpToItsMost) {
  FailGangs(3);
  for (int64_t times : {1, 2, 3, 3}) {
    EXPECT_EQ(Worker("w").quarantined_until_us(), now_ + times * kQuarantineUs);
    now_ += times * kQuarantineUs;
    FailGangs(1);
  }
}

TEST_F(QueueFailuresTest, ACheckpointEndsAQuarantineAndARowOfFailures) {
  FailGangs(2);
  AddJobs(1, 1, "a");
  Assign();
  queue_->KeepCheckpoint(1, Checkpoint(5));
  Update(Obedient(At("p", View("w", 2, 8))));
  EXPECT_EQ(Worker("w").failures(), 0);
}

TEST_F(QueueFailuresTest, AGangCountsOnceAndWhatIsTheJobsFaultDoesNot) {
  AddJobs(1, 8, "a");
  Update(At("p", View("w", 1, 8)));
  Assign();
  for (int64_t id : {1, 2, 3, 4}) Fail(id, v1::WORKER_ERROR);
  EXPECT_EQ(Worker("w").failures(), 1);
  for (int64_t id : {5, 6, 7, 8}) queue_->RemoveJob(id);
  for (v1::FailureCause cause : {v1::DIVERGED, v1::OUT_OF_MEMORY}) {
    AddJobs(11, 11, "a");
    Update(At("p", View("w", 1, 8)));
    EXPECT_THAT(Assign(), ElementsAre("w: 11/1"));
    Fail(11, cause);
  }
  AddJobs(12, 12, "a");
  Update(At("p", View("w", 1, 8)));
  EXPECT_THAT(Assign(), ElementsAre("w: 12/1"));
  queue_->Release(12);
  EXPECT_EQ(Worker("w").failures(), 1);
}

TEST_F(QueueFailuresTest, AWorkerThatIsHeardOfAgainCanBeLostAgain) {
  AddJobs(1, 2, "a");
  const v1::WorkerView view = At("p", View("w", 2, 1));
  Update(view);
  EXPECT_THAT(Assign(), SizeIs(2));
  Fail(1, v1::WORKER_LOST);
  Update(Obedient(view));
  Fail(2, v1::WORKER_LOST);
  EXPECT_EQ(Worker("w").failures(), 2);
}

TEST_F(QueueFailuresTest, ARebuiltQueueCountsALostWorkerOnce) {
  AddJobs(1, 2, "a");
  Update(At("p", View("w", 2, 1)));
  EXPECT_THAT(Assign(), SizeIs(2));
  Fail(1, v1::WORKER_LOST);
  const std::unique_ptr<Queue> old = std::move(queue_);
  queue_ = NewQueue();
  SetSweep(Sweep(1));
  for (int64_t id : {1, 2}) Add(Running(Job(id, "a"), 1, "w"));
  queue_->AdoptWorkers(*old);
  Fail(1, v1::WORKER_LOST);
  Fail(2, v1::WORKER_LOST);
  EXPECT_EQ(Worker("w").failures(), 1);
}

TEST_F(QueueFailuresTest, ALostWorkerCountsOnce) {
  AddJobs(1, 8, "a");
  const v1::WorkerView view = At("p", View("w", 8, 1));
  Update(view);
  EXPECT_THAT(Assign(), SizeIs(8));
  now_ += kLeaseUs;
  EXPECT_THAT(queue_->Expire(now_), SizeIs(8));
  // It is forgotten, but not where it was.
  EXPECT_THAT(queue_->ListWorkers(), IsEmpty());
  Update(At("p", View("again", 8, 1)));
  EXPECT_EQ(Worker("again").failures(), 1);
  EXPECT_EQ(Worker("again").quarantine_reason(), "name-w stopped answering");
}

TEST_F(QueueFailuresTest, WhatWasGivenBeforeAQuarantineDoesNotLengthenIt) {
  AddJobs(1, 5, "a");
  Update(At("p", View("w", 5, 1)));
  EXPECT_THAT(Assign(), SizeIs(5));
  for (int64_t id : {1, 2, 3}) Fail(id, v1::WORKER_ERROR);
  const int64_t until_us = Worker("w").quarantined_until_us();
  EXPECT_EQ(until_us, now_ + kQuarantineUs);
  now_ += 5;
  Fail(4, v1::WORKER_ERROR);
  EXPECT_EQ(Worker("w").quarantined_until_us(), until_us);
  queue_->Finish(5);
  EXPECT_EQ(Worker("w").quarantined_until_us(), 0);
}

TEST_F(QueueFailuresTest, APlaceIsNamedByItsWorkerUnlessGiven) {
  AddJobs(1, 1, "a");
  Update(View("w", 1, 1));
  EXPECT_EQ(queue_->Assign(now_).at(0).worker_place, "name-w");
  EXPECT_EQ(Worker("w").place(), "name-w");
}

TEST_F(QueueFailuresTest, AQuarantinedPlaceIsNoReasonToAvoidAnother) {
  FailGangs(3);
  UnfinishedJob job = Job(1, "a");
  job.avoided = "q";
  Add(job);
  Update(At("q", View("x", 1, 1)));
  EXPECT_THAT(Assign(), ElementsAre("x: 1/1"));
}

TEST_F(QueueFailuresTest, AReleasedPlaceIsAsNew) {
  FailGangs(3);
  AddJobs(1, 4, "a");
  EXPECT_THAT(Assign(), IsEmpty());
  const absl::StatusOr<v1::Worker> worker = queue_->ReleaseWorker("name-w");
  ASSERT_TRUE(worker.ok());
  EXPECT_EQ(worker->quarantined_until_us(), 0);
  EXPECT_EQ(worker->failures(), 0);
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1 2/1 3/1 4/1"));
  EXPECT_EQ(queue_->ReleaseWorker("nobody").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(QueueFailuresTest, ARebuiltQueueKeepsQuarantines) {
  FailGangs(3);
  const std::unique_ptr<Queue> old = std::move(queue_);
  queue_ = NewQueue();
  SetSweep(Sweep(1));
  AddJobs(1, 2, "a");
  queue_->AdoptWorkers(*old);
  EXPECT_THAT(Assign(), IsEmpty());
  EXPECT_EQ(Worker("w").failures(), 3);
  now_ += kQuarantineUs;
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1"));
}

TEST_F(QueueFailuresTest, AQuarantineIsRestored) {
  FailGangs(3);
  std::vector<Quarantine> quarantines = queue_->ListQuarantines();
  ASSERT_THAT(quarantines, SizeIs(1));
  EXPECT_EQ(quarantines[0].place, "p");
  EXPECT_EQ(quarantines[0].until_us, now_ + kQuarantineUs);
  queue_ = NewQueue();
  SetSweep(Sweep(1));
  queue_->RestoreQuarantine(quarantines[0], now_);
  AddJobs(1, 2, "a");
  Update(At("p", View("w", 1, 8)));
  EXPECT_THAT(Assign(), IsEmpty());
  EXPECT_EQ(Worker("w").failures(), 3);
  EXPECT_EQ(Worker("w").quarantine_reason(), "it broke");
  // Its time goes on, and the next is longer.
  now_ += kQuarantineUs;
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1"));
  Fail(1, v1::WORKER_ERROR);
  EXPECT_EQ(Worker("w").quarantined_until_us(), now_ + 2 * kQuarantineUs);
  quarantines = queue_->ListQuarantines();
  // After that time it is on trial at once.
  queue_ = NewQueue();
  SetSweep(Sweep(1));
  AddJobs(1, 2, "a");
  queue_->RestoreQuarantine(quarantines[0], now_ + 2 * kQuarantineUs);
  Update(At("p", View("w", 1, 8)));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1"));
  queue_->Finish(1);
  EXPECT_THAT(queue_->ListQuarantines(), IsEmpty());
}

}  // namespace
}  // namespace modlab
