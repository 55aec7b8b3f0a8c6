// Jobs that had better run elsewhere.

#include <memory>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/queue/avoided.h"
#include "server/queue/queue_fixture.h"

namespace modlab {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class QueueElsewhereTest : public QueueFixture {
 protected:
  QueueElsewhereTest() {
    Queue::Options options = Options();
    options.retries = {4, 4, 4, 4};
    queue_ = std::make_unique<Queue>(options);
    SetSweep(Sweep(1));
  }

  static QueuedSweep ForBig(int64_t number) {
    QueuedSweep sweep = Sweep(number);
    sweep.policy.mutable_requirements()->add_labels("big");
    return sweep;
  }

  // What ForBig() asks for.
  static v1::WorkerView Big(v1::WorkerView view) {
    view.add_labels("big");
    return view;
  }

  static UnfinishedJob Avoiding(const std::string& avoided, UnfinishedJob job) {
    job.avoided = avoided;
    return job;
  }

  // The queue as the store has it after a failed attempt.
  void Restart(const Queue::Verdict& verdict) {
    UnfinishedJob job = Job(verdict.job_id, "a");
    job.attempt = verdict.attempt;
    job.failures = verdict.failures;
    job.avoided = verdict.avoided;
    queue_ = NewQueue();
    SetSweep(Sweep(1));
    Add(job);
  }
};

// -- after a failure ------------------------------------------------------------------

TEST_F(QueueElsewhereTest, ARetryGoesToTheIdleWorkerThatDidNotFailIt) {
  // The one that is served first would be given it again and again.
  for (v1::FailureCause cause : {v1::OUT_OF_MEMORY, v1::WORKER_ERROR, v1::WORKER_LOST}) {
    AddJobs(1, 1, "a");
    Update(At("p", View("a", 1, 8)));
    EXPECT_THAT(Assign(), ElementsAre("a: 1/1"));
    Update(At("p", View("b", 1, 8)));
    Fail(1, cause);
    now_ += kBackoffUs;
    Update(At("p", View("a", 1, 8)));
    EXPECT_THAT(Assign(), ElementsAre("b: 1/2")) << v1::FailureCause_Name(cause);
    queue_->RemoveJob(1);
    queue_->Disconnect("b");
  }
}

TEST_F(QueueElsewhereTest, ARetryTriesOneAfterTheOther) {
  AddJobs(1, 1, "a");
  Update(At("p", View("a", 1, 8)));
  Update(At("p", View("b", 1, 8)));
  Update(At("q", View("c", 1, 8)));
  Update(At("q", View("d", 1, 8)));
  for (const char* gang : {"a: 1/1", "c: 1/2", "b: 1/3", "d: 1/4"}) {
    EXPECT_THAT(Assign(), ElementsAre(gang));
    Fail(1, v1::OUT_OF_MEMORY);
    now_ += 3 * kBackoffUs;
    for (const char* id : {"a", "b"}) Update(At("p", View(id, 1, 8)));
    for (const char* id : {"c", "d"}) Update(At("q", View(id, 1, 8)));
  }
  EXPECT_THAT(Assign(), ElementsAre("a: 1/5")) << "none is left that did not fail it";
}

TEST_F(QueueElsewhereTest, AWorkerThatWasStartedAgainUnderItsNameIsTheSame) {
  AddJobs(1, 1, "a");
  v1::WorkerView view = At("p", View("a", 1, 8));
  Update(view);
  Assign();
  now_ += kLeaseUs;
  EXPECT_THAT(Lines(queue_->Expire(now_)), ElementsAre("1 requeued 1"));
  now_ += kBackoffUs;
  view.set_worker_id("again");
  Update(view);
  Update(At("p", View("b", 1, 8)));
  EXPECT_THAT(Assign(), ElementsAre("b: 1/2"));
}

TEST_F(QueueElsewhereTest, ARetryWaitsForABusyWorkerOnlyWhereItWouldFailAgain) {
  AddJobs(1, 1, "a");
  const v1::WorkerView small = At("p", View("a", 1, 8));
  const v1::WorkerView big = At("q", View("b", 1, 8));
  Update(small);
  EXPECT_THAT(Assign(), ElementsAre("a: 1/1"));
  AddJobs(2, 2, "b");
  Update(big);
  EXPECT_THAT(Assign(), ElementsAre("b: 2/1"));
  Fail(1, v1::WORKER_LOST);
  now_ += kBackoffUs;
  Update(small);
  Update(Obedient(big));
  EXPECT_THAT(Assign(), ElementsAre("a: 1/2"));
  Fail(1, v1::OUT_OF_MEMORY);
  now_ += 3 * kBackoffUs;
  Update(small);
  Update(Obedient(big));
  EXPECT_THAT(Assign(), IsEmpty());
  queue_->Finish(2);
  Update(big);
  EXPECT_THAT(Assign(), ElementsAre("b: 1/3"));
}

TEST_F(QueueElsewhereTest, AnIdleWorkerTakesWhatItsBettersDidNotTakeAfterAll) {
  AddJobs(1, 1, "a");
  Update(At("p", View("a", 1, 8)));
  Assign();
  Fail(1, v1::WORKER_ERROR);
  now_ += kBackoffUs;
  SetSweep(ForBig(2));
  QueuedSweep urgent = ForBig(2);
  urgent.policy.set_priority(5);
  SetSweep(urgent);
  AddJobs(2, 2, "b", {2});
  Update(At("p", View("a", 1, 8)));
  Update(Big(At("q", View("b", 1, 8))));
  EXPECT_THAT(Assign(), ElementsAre("b: 2/1", "a: 1/2"));
}

TEST_F(QueueElsewhereTest, ItIsRememberedAcrossARestart) {
  AddJobs(1, 1, "a");
  Update(At("p", View("a", 1, 8)));
  Assign();
  Restart(queue_->Fail(1, v1::WORKER_ERROR, "it broke", now_));
  now_ += kBackoffUs;
  Update(At("p", View("a", 1, 8)));
  Update(At("q", View("b", 1, 8)));
  EXPECT_THAT(Assign(), ElementsAre("b: 1/2"));
}

TEST_F(QueueElsewhereTest, ANewerCheckpointForgetsIt) {
  AddJobs(1, 1, "a");
  Update(At("p", View("a", 1, 8)));
  Assign();
  Fail(1, v1::OUT_OF_MEMORY);
  now_ += kBackoffUs;
  Update(At("p", View("a", 1, 8)));
  Update(At("q", View("b", 1, 8)));
  EXPECT_THAT(Assign(), ElementsAre("b: 1/2"));
  queue_->KeepCheckpoint(1, Checkpoint(5));
  const Queue::Verdict verdict = queue_->Release(1);
  EXPECT_THAT(Assign(), ElementsAre("a: 1/3"));
  // The store has it still, but no failures.
  Restart(verdict);
  Update(At("p", View("a", 1, 8)));
  Update(At("q", View("b", 1, 8)));
  EXPECT_THAT(Assign(), ElementsAre("a: 1/3"));
}

// -- where it was asked for --------------------------------------------------------------

TEST_F(QueueElsewhereTest, APlaceIsAvoidedWhileAnotherCanTakeTheJob) {
  UnfinishedJob job = Job(1, "a");
  job.avoided = "p";
  Add(job);
  AddJobs(2, 2, "a");
  Update(At("p", View("v", 2, 8)));
  v1::WorkerView draining = At("q", View("w", 1, 8));
  draining.set_draining(true);
  Update(draining);
  EXPECT_THAT(Assign(), ElementsAre("v: 1/1", "v: 2/1")) << "the other takes nothing";
  Update(Obedient(At("p", View("v", 4, 8))));
  Update(At("q", View("w", 1, 8)));
  job.id = 3;
  job.config = Job(3, "").config;
  Add(job);
  AddJobs(4, 4, "b");
  EXPECT_THAT(Assign(), ElementsAre("v: 4/1", "w: 3/1"));
  // Also where the other is busy.
  Update(Obedient(At("q", View("w", 1, 8))));
  job.id = 5;
  job.config = Job(5, "").config;
  Add(job);
  EXPECT_THAT(Assign(), IsEmpty());
  queue_->Disconnect("w");
  EXPECT_THAT(Assign(), ElementsAre("v: 5/1"));
}

TEST_F(QueueElsewhereTest, AnotherPlaceMustMeetTheRequirements) {
  SetSweep(ForBig(2));
  Add(Avoiding("p", Job(1, "a", {2})));
  Update(Big(At("p", View("v", 1, 8))));
  Update(At("q", View("w", 1, 8)));
  EXPECT_THAT(Assign(), ElementsAre("v: 1/1"));
}

TEST_F(QueueElsewhereTest, RidersAvoidThePlaceWhereTheyCan) {
  SetSweep(ForBig(2));
  for (int64_t id : {1, 2}) Add(Avoiding("p", Job(id, "a", {3 - id})));
  Update(Big(At("p", View("v", 1, 8))));
  Update(At("q", View("w", 1, 8)));
  EXPECT_THAT(Assign(), ElementsAre("v: 1/1", "w: 2/1"));
}

TEST_F(QueueElsewhereTest, AnotherWorkerOfThePlaceIsNoOtherPlace) {
  Add(Avoiding("p", Job(1, "a")));
  Update(At("p", View("v", 1, 8)));
  Update(At("p", View("w", 1, 8)));
  EXPECT_THAT(Assign(), ElementsAre("v: 1/1"));
}

TEST_F(QueueElsewhereTest, AnotherWorkerOfThePlaceIsBetterThanTheSame) {
  Add(Avoiding(AddAvoided("", "p", "name-v", WhyAvoided::kAsked), Job(1, "a")));
  Update(At("p", View("v", 1, 8)));
  Update(At("p", View("w", 1, 8)));
  EXPECT_THAT(Assign(), ElementsAre("w: 1/1"));
}

}  // namespace
}  // namespace modlab
