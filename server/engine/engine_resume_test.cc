// Checkpoints and hand-back: what another worker goes on from.

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/engine_fixture.h"

namespace modlab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class EngineResumeTest : public EngineFixture {
 protected:
  // Jobs 1 and 2, held by a worker.
  FakeWorker Begin() {
    Create(Request("r1", {"0", "1"}));
    FakeWorker worker = Worker('a');
    EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("1/1", "2/1"));
    Obey(&worker);
    return worker;
  }

  // Worker a has jobs 1 to 4, and is about to tell that the first three failed: as many as
  // its place is let have.
  FakeWorker WorkerOfWhichThreeFail() {
    Create(Request("r1", {"0", "1", "2", "3"}));
    FakeWorker worker = Worker('a', 4, 1);
    Synchronise(&worker);
    Obey(&worker);
    for (int64_t job : {1, 2, 3}) {
      AddReport(&worker, job, 1)->mutable_failed()->set_cause(v1::WORKER_ERROR);
    }
    return worker;
  }

  // All that it held goes to others.
  void Lose() {
    now_us_ += kLeaseUs;
    Tick();
    now_us_ += kBackoffUs;
  }
};

TEST_F(EngineResumeTest, TheNextLeaseGoesOnFromTheCheckpoint) {
  FakeWorker worker = Begin();
  AddPoint(&worker, 1, 1, 0);
  AddPoint(&worker, 1, 1, 50);
  AddCheckpoint(&worker, 1, 1, 60, Upload('c'));
  AddPoint(&worker, 1, 1, 100);
  EXPECT_EQ(Synchronise(&worker).reports_acknowledged(), 4u);
  EXPECT_EQ(Get(1).checkpoint().iteration(), 60);
  EXPECT_EQ(Points(1), 3u);
  Lose();

  FakeWorker next = Worker('b', 2);
  const v1::CoordinatorView view = Synchronise(&next);
  EXPECT_EQ(view.gangs_size(), 2) << "not at the same iteration, so no gang";
  EXPECT_EQ(LeaseOf(1, view).attempt(), 2);
  EXPECT_EQ(LeaseOf(1, view).checkpoint().iteration(), 60);
  EXPECT_EQ(LeaseOf(1, view).checkpoint().sha256(), Sha('c'));
  EXPECT_EQ(LeaseOf(1, view).checkpoint().size_bytes(), 10);
  EXPECT_FALSE(LeaseOf(2, view).has_checkpoint());
  EXPECT_EQ(Points(1), 2u) << "what comes after the checkpoint is measured again";
}

TEST_F(EngineResumeTest, ACheckpointThatCouldNotBeUsedIsReplaced) {
  FakeWorker worker = Begin();
  AddPoint(&worker, 1, 1, 0);
  AddPoint(&worker, 1, 1, 50);
  AddCheckpoint(&worker, 1, 1, 60, Upload('c'));
  Synchronise(&worker);
  Lose();
  EXPECT_EQ(Get(1).failures(), 1);
  worker = Worker('b', 2);
  Synchronise(&worker);
  Obey(&worker);
  for (v1::HeldLease& held : *worker.view.mutable_held()) held.set_iteration(3);
  Synchronise(&worker);
  AddPoint(&worker, 1, 2, 0);
  AddCheckpoint(&worker, 1, 2, 20, Upload('d'));
  Synchronise(&worker);
  EXPECT_EQ(Get(1).checkpoint().iteration(), 20);
  EXPECT_EQ(Get(1).checkpoint().sha256(), Sha('d'));
  EXPECT_EQ(Get(1).failures(), 1);
  EXPECT_EQ(Points(1), 2u) << "what is known stays";
  for (v1::HeldLease& held : *worker.view.mutable_held()) held.set_iteration(22);
  Synchronise(&worker);
  AddCheckpoint(&worker, 1, 2, 10, Upload('e'));
  Synchronise(&worker);
  EXPECT_EQ(Get(1).checkpoint().iteration(), 20);
  Restart();
  Lose();
  now_us_ += kBackoffUs;
  worker = Worker('f', 2);
  EXPECT_EQ(LeaseOf(1, Synchronise(&worker)).checkpoint().iteration(), 20);
  EXPECT_EQ(Points(1), 1u);
}

TEST_F(EngineResumeTest, ARestartedCoordinatorKnowsTheCheckpoint) {
  FakeWorker worker = Begin();
  AddCheckpoint(&worker, 1, 1, 60, Upload('c'));
  Synchronise(&worker);
  Restart();
  Lose();
  FakeWorker next = Worker('b', 2);
  EXPECT_EQ(LeaseOf(1, Synchronise(&next)).checkpoint().sha256(), Sha('c'));
}

TEST_F(EngineResumeTest, ACheckpointForgetsFailures) {
  FakeWorker worker = Begin();
  Lose();
  EXPECT_EQ(Get(1).failures(), 1);
  worker = Worker('b', 2);
  Synchronise(&worker);
  Obey(&worker);
  AddCheckpoint(&worker, 1, 2, 60, Upload('c'));
  Synchronise(&worker);
  EXPECT_EQ(Get(1).failures(), 0);
  EXPECT_EQ(Get(2).failures(), 1);
}

TEST_F(EngineResumeTest, OldDoubleAndSenselessCheckpointsAreDropped) {
  FakeWorker worker = Begin();
  const std::string first = Upload('c');
  const std::string second = Upload('d');
  AddCheckpoint(&worker, 1, 1, 60, first);
  AddCheckpoint(&worker, 1, 1, 60, second);
  AddCheckpoint(&worker, 1, 1, 59, second);
  AddCheckpoint(&worker, 1, 1, 0, second);
  AddCheckpoint(&worker, 1, 1, 101, second);
  AddCheckpoint(&worker, 1, 1, 90, "../../etc/passwd");
  AddCheckpoint(&worker, 1, 1, 91, second);
  worker.view.mutable_reports()->rbegin()->mutable_checkpoint()->set_size_bytes(0);
  EXPECT_EQ(Synchronise(&worker).reports_acknowledged(), 7u);
  EXPECT_EQ(Get(1).checkpoint().iteration(), 60);
  EXPECT_EQ(Get(1).checkpoint().sha256(), first);

  // All again, as after a lost stream.
  worker.channel = std::make_shared<FakeChannel>();
  worker.views = 0;
  EXPECT_EQ(Synchronise(&worker).reports_acknowledged(), 7u);
  EXPECT_EQ(Get(1).checkpoint().sha256(), first);
}

TEST_F(EngineResumeTest, ACheckpointThatIsNotAmongTheArtifactsIsDropped) {
  FakeWorker worker = Begin();
  AddCheckpoint(&worker, 1, 1, 60, Sha('c'));  // never uploaded
  files_.Add(Sha('d'));
  AddCheckpoint(&worker, 1, 1, 70, Sha('d'));  // a file without a row
  files_.Remove(Upload('e')).IgnoreError();
  AddCheckpoint(&worker, 1, 1, 80, Sha('e'));  // a row without a file
  EXPECT_EQ(Synchronise(&worker).reports_acknowledged(), 3u);
  EXPECT_FALSE(Get(1).has_checkpoint());
  EXPECT_EQ(Get(1).state(), v1::RUNNING);
  EXPECT_FALSE(LeaseOf(1, Synchronise(&worker)).has_checkpoint());
}

TEST_F(EngineResumeTest, AResultWithoutItsWeightsIsRefused) {
  FakeWorker worker = Begin();
  AddFinish(&worker, 1, 1);
  worker.view.mutable_reports()->rbegin()->mutable_finished()->set_checkpoint_sha256(Sha('c'));
  AddFinish(&worker, 2, 1);
  v1::JobResult* result = worker.view.mutable_reports()->rbegin()->mutable_finished();
  result->set_checkpoint_sha256(Upload('d'));
  result->mutable_best()->set_iteration(50);
  result->mutable_best()->set_checkpoint_sha256(Sha('e'));
  files_.Add(Sha('e'));  // a file without a row
  Synchronise(&worker);
  for (int64_t job : {1, 2}) {
    EXPECT_EQ(Get(job).state(), v1::QUEUED);
    EXPECT_EQ(Get(job).failure().cause(), v1::WORKER_ERROR);
  }
  EXPECT_THAT(Get(1).failure().message(), HasSubstr(Sha('c')));
  EXPECT_THAT(Get(2).failure().message(), HasSubstr(Sha('e')));
}

TEST_F(EngineResumeTest, AReleasedJobGoesOnElsewhereAtOnce) {
  FakeWorker worker = Begin();
  AddCheckpoint(&worker, 1, 1, 60, Upload('c'));
  AddReport(&worker, 1, 1)->mutable_released()->set_reason(std::string(300, 'x'));
  worker.view.set_draining(true);
  EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("2/1"));
  EXPECT_EQ(Get(1).state(), v1::QUEUED);
  EXPECT_EQ(Get(1).failures(), 0);
  EXPECT_THAT(Events(1), ElementsAre("submitted", "leased 1 worker-a", "released 1 worker-a"));
  EXPECT_EQ(store_->ReadEvents(1)->back().reason(), std::string(256, 'x'));

  FakeWorker next = Worker('b');
  const v1::CoordinatorView view = Synchronise(&next);
  EXPECT_THAT(Leases(view), ElementsAre("1/2"));
  EXPECT_EQ(LeaseOf(1, view).checkpoint().iteration(), 60);

  // Said again, it changes nothing.
  worker.channel = std::make_shared<FakeChannel>();
  worker.views = 0;
  Synchronise(&worker);
  EXPECT_EQ(Get(1).state(), v1::RUNNING);
  EXPECT_EQ(Get(1).attempt(), 2);
}

TEST_F(EngineResumeTest, AStaleAttemptNeitherKeepsNorReleases) {
  FakeWorker stale = Begin();
  Lose();
  FakeWorker worker = Worker('b');
  EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("1/2"));
  Obey(&worker);
  Synchronise(&worker);

  stale.channel = std::make_shared<FakeChannel>();
  stale.views = 0;
  stale.view.clear_held();
  AddCheckpoint(&stale, 1, 1, 60, Upload('c'));
  AddReport(&stale, 1, 1)->mutable_released();
  AddCheckpoint(&stale, 1, 2, 70, Upload('c'));  // the attempt of another worker
  AddReport(&stale, 1, 2)->mutable_released();
  EXPECT_EQ(Synchronise(&stale).reports_acknowledged(), 4u);
  EXPECT_FALSE(Get(1).has_checkpoint());
  EXPECT_EQ(Get(1).state(), v1::RUNNING);
  EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("1/2"));
}

TEST_F(EngineResumeTest, WhatCouldNotBeCommittedIsTakenTheNextTime) {
  FakeWorker worker = Begin();
  AddCheckpoint(&worker, 1, 1, 60, Upload('c'));
  AddReport(&worker, 2, 1)->mutable_released();
  faulty_.FailCommits(true);
  Synchronise(&worker);
  EXPECT_TRUE(worker.channel->closed());
  EXPECT_FALSE(Get(1).has_checkpoint());
  EXPECT_EQ(Get(2).state(), v1::RUNNING);
  EXPECT_THAT(engine_->RegisterArtifact(Sha('d'), 10),
              IsStatus(absl::StatusCode::kResourceExhausted));

  faulty_.FailCommits(false);
  worker.channel = std::make_shared<FakeChannel>();
  worker.views = 0;
  EXPECT_EQ(Synchronise(&worker).reports_acknowledged(), 2u);
  EXPECT_EQ(Get(1).checkpoint().iteration(), 60);
  EXPECT_EQ(LeaseOf(1, worker.channel->view()).attempt(), 1);
  EXPECT_THAT(Events(2), ElementsAre("submitted", "leased 1 worker-a", "released 1 worker-a"));
}

TEST_F(EngineResumeTest, AResultDropsTheCheckpoint) {
  FakeWorker worker = Begin();
  AddCheckpoint(&worker, 1, 1, 60, Upload('c'));
  AddFinish(&worker, 1, 1);
  worker.view.mutable_reports()->rbegin()->mutable_finished()->set_checkpoint_sha256(Upload('d'));
  Synchronise(&worker);
  EXPECT_EQ(Get(1).state(), v1::SUCCEEDED);
  EXPECT_FALSE(Get(1).has_checkpoint());
}

TEST_F(EngineResumeTest, AJobThatIsRetriedGoesOnFromItsCheckpoint) {
  FakeWorker worker = Begin();
  AddCheckpoint(&worker, 1, 1, 60, Upload('c'));
  AddReport(&worker, 1, 1)->mutable_failed()->set_cause(v1::OUT_OF_MEMORY);
  Synchronise(&worker);
  EXPECT_EQ(Get(1).state(), v1::FAILED);
  EXPECT_FALSE(Get(1).failure().quarantined()) << "it has no retries";
  v1::RetryJobsRequest retry;
  retry.set_sweep("s-1");
  EXPECT_EQ(*engine_->RetryJobs(retry), 1);
  FakeWorker next = Worker('b');
  EXPECT_EQ(LeaseOf(1, Synchronise(&next)).checkpoint().iteration(), 60);
  EXPECT_THAT(Events(1), ElementsAre("submitted", "leased 1 worker-a", "job_failed 1 worker-a",
                                     "retried", "leased 2 worker-b"));
}

TEST_F(EngineResumeTest, AJobThatGetsNowhereIsTriedAgainAndSaysWhy) {
  Create(Request("r1", {"0"}));
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  Obey(&worker);
  worker.view.mutable_held(0)->set_pulse(7);
  worker.view.mutable_held(0)->set_iteration(30);
  for (int i = 0; i < 70 && Get(1).state() == v1::RUNNING; ++i) {
    now_us_ += kLeaseUs - 1;
    Synchronise(&worker);
    Tick();
  }
  const v1::Job job = Get(1);
  EXPECT_EQ(job.state(), v1::QUEUED);
  EXPECT_EQ(job.failure().cause(), v1::WORKER_LOST);
  EXPECT_EQ(job.failure().iteration(), 30);
  EXPECT_THAT(job.failure().message(), HasSubstr("worker-a answers, but got nowhere"));
  EXPECT_THAT(Events(1),
              ElementsAre("submitted", "leased 1 worker-a", "attempt_failed 1 worker-a"));
  EXPECT_THAT(Leases(worker.channel->view()), IsEmpty());
}

TEST_F(EngineResumeTest, AJobThatWasNotHandedBackInTimeSaysSo) {
  Create(Request("r1", {"0", "1"}));
  FakeWorker worker = Worker('a', 2, 1);
  Synchronise(&worker);
  Obey(&worker);
  AddCheckpoint(&worker, 1, 1, 50, Upload('c'));
  worker.view.mutable_held(0)->set_iteration(80);
  worker.view.mutable_held()->DeleteSubrange(1, 1);  // it has not heard of the other yet
  Synchronise(&worker);
  const auto reason = [this](int64_t job) { return store_->ReadEvents(job)->back().reason(); };

  worker.view.set_draining(true);
  worker.view.clear_held();
  worker.view.set_slots_idle(0);
  Synchronise(&worker);
  EXPECT_EQ(reason(1),
            "worker worker-a drains and could not hand it back in time: it goes on from iteration "
            "50");
  EXPECT_EQ(store_->ReadEvents(1)->back().iteration(), 80);
  EXPECT_EQ(reason(2), "worker worker-a drains and does not begin it");

  FakeWorker other = Worker('b', 2, 1);
  Synchronise(&other);
  Restart();
  other = Worker('b', 2, 1);
  other.view.set_draining(true);
  Synchronise(&other);
  EXPECT_EQ(reason(1), "worker worker-b drains and does not have it");
}

TEST_F(EngineResumeTest, AQuarantineOutlivesTheCoordinatorUntilItIsEnded) {
  FakeWorker worker = WorkerOfWhichThreeFail();
  Synchronise(&worker);
  const auto until_us = [this] { return (*engine_->ListWorkers())[0].quarantined_until_us(); };
  const int64_t before = until_us();
  EXPECT_GT(before, now_us_);

  Restart();
  worker = Worker('a', 4, 1);
  Synchronise(&worker);
  EXPECT_EQ(until_us(), before);
  EXPECT_THAT(Leases(worker.channel->view()), IsEmpty());

  ASSERT_TRUE(engine_->ReleaseWorker("worker-a").ok());
  Restart();
  worker = Worker('a', 4, 1);
  Synchronise(&worker);
  EXPECT_EQ(until_us(), 0);
}

TEST_F(EngineResumeTest, AQuarantineThatCouldNotBeWrittenIsWrittenLater) {
  FakeWorker worker = WorkerOfWhichThreeFail();
  // The queue is filled again: what it knew of places stays, and is on disk in the end.
  faulty_.FailCommits(true);
  Synchronise(&worker);
  EXPECT_EQ(Get(1).state(), v1::RUNNING);
  faulty_.FailCommits(false);
  now_us_ += 2'000'000;
  Tick();
  Restart();
  worker = Worker('a', 4, 1);
  Synchronise(&worker);
  EXPECT_GT((*engine_->ListWorkers())[0].quarantined_until_us(), now_us_);
}

}  // namespace
}  // namespace modlab
