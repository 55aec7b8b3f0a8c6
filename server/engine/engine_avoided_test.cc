// Jobs that shall not go where they were before.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/engine_fixture.h"

namespace modlab {
namespace {

class EngineAvoidedTest : public EngineFixture {
 protected:
  // Worker a, at node-1, has trained job 1 and idles; it has told so if `told`.
  void TrainAtNode1(bool told) {
    Create(Request("r1", {"0"}));
    FakeWorker first = Worker('a', 1, 1);
    first.view.set_place("node-1");
    Synchronise(&first);
    Obey(&first);
    AddFinish(&first, 1, 1);
    Synchronise(&first);
    first.view.clear_held();
    first.view.set_slots_idle(1);
    if (told) Synchronise(&first);
  }

  // Its config again, as job 2, with an idle worker b at `place`.
  CreatedSweep ForceElsewhere(const std::string& place) {
    FakeWorker other = Worker('b', 1, 1);
    other.view.set_place(place);
    Synchronise(&other);
    v1::CreateSweepRequest again = Request("r2", {"0"});
    again.set_force(true);
    again.set_avoid_earlier_workers(true);
    return Create(again);
  }
};

TEST_F(EngineAvoidedTest, ForcedJobsAvoidTheirEarlierPlace) {
  TrainAtNode1(/*told=*/false);
  EXPECT_EQ(ForceElsewhere("node-2").jobs.created, 1);
  EXPECT_EQ(Get(2).replicate(), 1);
  EXPECT_EQ(Get(2).worker(), "worker-b");
}

TEST_F(EngineAvoidedTest, ForcedJobsGoToAnotherWorkerOfTheSamePlace) {
  TrainAtNode1(/*told=*/true);
  ForceElsewhere("node-1");
  EXPECT_EQ(Get(2).worker(), "worker-b");
}

TEST_F(EngineAvoidedTest, ARetryIsKeptFromWhereItFailedAcrossARestart) {
  Create(Request("r1", {"0"}));
  FakeWorker first = Worker('a', 1, 1);
  Synchronise(&first);
  Obey(&first);
  AddReport(&first, 1, 1)->mutable_failed()->set_cause(v1::WORKER_ERROR);
  Synchronise(&first);
  ASSERT_EQ(Get(1).state(), v1::QUEUED);
  Restart();
  first = Worker('a', 1, 1);
  Synchronise(&first);
  FakeWorker other = Worker('b', 1, 1);
  Synchronise(&other);
  now_us_ += kBackoffUs;
  Tick();
  EXPECT_EQ(Get(1).worker(), "worker-b");
}

TEST_F(EngineAvoidedTest, JobsThatAreQueuedAgainAvoidItStill) {
  FakeWorker first = Worker('a', 1, 1);
  first.view.set_place("node-1");
  FakeWorker other = Worker('b', 1, 1);
  other.view.set_place("node-2");
  const auto diverge = [this](FakeWorker* worker, int64_t job, int32_t attempt) {
    Obey(worker);
    AddReport(worker, job, attempt)->mutable_failed()->set_cause(v1::DIVERGED);
    Synchronise(worker);
    ASSERT_EQ(Get(job).state(), v1::FAILED);
    worker->view.clear_held();
    worker->view.set_slots_idle(1);
    Synchronise(worker);
  };
  Create(Request("r1", {"0"}));
  Synchronise(&first);
  diverge(&first, 1, 1);
  Synchronise(&other);
  v1::CreateSweepRequest again = Request("r2", {"0"});
  again.set_force(true);
  again.set_avoid_earlier_workers(true);
  Create(again);
  diverge(&other, 2, 1);

  v1::RetryJobsRequest retry;
  retry.set_sweep("s-2");
  EXPECT_EQ(*engine_->RetryJobs(retry), 1);
  EXPECT_EQ(Get(2).worker(), "worker-b");
  diverge(&other, 2, 2);

  EXPECT_EQ(Create(Request("r3", {"0"})).jobs.requeued, 1);
  EXPECT_EQ(Get(2).attempt(), 3);
  EXPECT_EQ(Get(2).worker(), "worker-b");
}

}  // namespace
}  // namespace modlab
