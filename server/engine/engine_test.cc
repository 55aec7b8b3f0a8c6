#include "server/engine/engine.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/engine_fixture.h"

namespace modlab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

using EngineTest = EngineFixture;

TEST_F(EngineTest, AJobsLifeFromSubmissionToResult) {
  const CreatedSweep created = Create(Request("r1", {"0", "1", "2"}));
  EXPECT_EQ(created.sweep_id, "s-1");
  EXPECT_EQ(created.jobs.created, 3);
  FakeWorker worker = Worker('a');
  EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("1/1", "2/1", "3/1"));
  EXPECT_EQ(Get(1).state(), v1::RUNNING);
  EXPECT_EQ(Get(1).worker(), "worker-a");

  Obey(&worker);
  AddPoint(&worker, 1, 1, 50);
  AddFinish(&worker, 1, 1);
  AddPoint(&worker, 2, 1, 50);
  const v1::CoordinatorView answer = Synchronise(&worker);
  EXPECT_EQ(answer.reports_acknowledged(), 3u);
  EXPECT_EQ(answer.lease_duration_ms(), 10'000);
  EXPECT_GT(answer.heartbeat_interval_ms(), 0);
  EXPECT_THAT(Leases(answer), ElementsAre("2/1", "3/1"));
  EXPECT_EQ(Get(1).state(), v1::SUCCEEDED);
  EXPECT_EQ(Get(1).result().metrics(0).value(), 0.25);
  EXPECT_EQ(Points(1), 1u);
  EXPECT_EQ(Points(2), 1u);
  EXPECT_THAT(*engine_->IterationsPerSecond(), ElementsAre(Pair(created.sweep_id, 10.0)));
}

TEST_F(EngineTest, SubmissionTellsIdleWorkersAtOnce) {
  FakeWorker worker = Worker('a');
  EXPECT_THAT(Leases(Synchronise(&worker)), IsEmpty());
  const int sent = worker.channel->sent();
  Create(Request("r1", {"0"}));
  // The view was sent before the submission was answered.
  EXPECT_EQ(worker.channel->sent(), sent + 1);
  EXPECT_THAT(Leases(worker.channel->view()), ElementsAre("1/1"));
}

TEST_F(EngineTest, TheSameRequestMakesOneSweep) {
  Create(Request("r1", {"0", "1"}));
  const CreatedSweep again = Create(Request("r1", {"0", "1"}));
  EXPECT_TRUE(again.known);
  EXPECT_EQ(again.sweep_id, "s-1");
  EXPECT_EQ(store_->ListSweeps(0, "")->sweeps_size(), 1);
}

TEST_F(EngineTest, KnownConfigsAreSharedRequeuedOrForced) {
  Create(Request("r1", {"0", "1"}));
  FakeWorker worker = Worker('a', 1, 1);
  Synchronise(&worker);
  Obey(&worker);
  AddReport(&worker, 1, 1)->mutable_failed()->set_cause(v1::DIVERGED);
  Synchronise(&worker);
  EXPECT_EQ(Get(1).state(), v1::FAILED);

  CreatedSweep shared = Create(Request("r2", {"0", "1", "2"}));
  EXPECT_EQ(shared.sweep_id, "s-2");
  EXPECT_EQ(shared.jobs.created, 1);
  EXPECT_EQ(shared.jobs.shared, 1);
  EXPECT_EQ(shared.jobs.requeued, 1);
  EXPECT_EQ(Get(1).state(), v1::QUEUED);

  v1::CreateSweepRequest force = Request("r3", {"1"});
  force.set_force(true);
  EXPECT_EQ(Create(force).jobs.created, 1);
  EXPECT_EQ(Get(4).replicate(), 1);
  EXPECT_EQ(Get(4).job_key(), Get(2).job_key());

  // A job that is queued again keeps counting its attempts.
  worker.view.clear_held();
  worker.view.clear_reports();
  worker.view.set_slots_idle(1);
  EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("1/2"));
}

TEST_F(EngineTest, CancelledJobsLeaveTheirWorkersAtOnce) {
  Create(Request("r1", {"0", "1"}));
  Create(Request("r2", {"1", "2"}));
  FakeWorker worker = Worker('a');
  EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("1/1", "2/1", "3/1"));
  EXPECT_EQ(*engine_->CancelSweep("s-1"), 1);
  EXPECT_THAT(Leases(worker.channel->view()), ElementsAre("2/1", "3/1"));
  EXPECT_EQ(Get(1).state(), v1::CANCELLED);
  EXPECT_EQ(Get(2).state(), v1::RUNNING);
  EXPECT_EQ(*engine_->CancelSweep("s-1"), 0);
  EXPECT_EQ(engine_->CancelSweep("t-1").status().code(), absl::StatusCode::kNotFound);

  // What it still says of the job is acknowledged and ignored.
  AddFinish(&worker, 1, 1);
  EXPECT_EQ(Synchronise(&worker).reports_acknowledged(), 1u);
  EXPECT_EQ(Get(1).state(), v1::CANCELLED);
}

TEST_F(EngineTest, RetryQueuesWhatFailedAgain) {
  Create(Request("r1", {"0", "1"}));
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  Obey(&worker);
  AddReport(&worker, 1, 1)->mutable_failed()->set_cause(v1::OUT_OF_MEMORY);
  Synchronise(&worker);
  v1::RetryJobsRequest request;
  EXPECT_EQ(engine_->RetryJobs(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.set_sweep("s");
  EXPECT_EQ(*engine_->RetryJobs(request), 1);
  EXPECT_EQ(*engine_->RetryJobs(request), 0);
  EXPECT_EQ(Get(1).state(), v1::QUEUED);
  EXPECT_EQ(*engine_->CancelSweep("s-1"), 2);
  EXPECT_EQ(engine_->RetryJobs(request).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(EngineTest, LostWorkersJobsAreTriedElsewhereUpToTheLimit) {
  Create(Request("r1", {"0"}));
  for (int attempt = 1; attempt <= 3; ++attempt) {
    FakeWorker worker = Worker(static_cast<char>('0' + attempt));
    EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre(absl::StrCat("1/", attempt)));
    now_us_ += kLeaseUs;
    Tick();
    EXPECT_TRUE(worker.channel->closed()) << "it was silent for too long";
    EXPECT_EQ(Get(1).failure().cause(), v1::WORKER_LOST);
    EXPECT_EQ(Get(1).state(), attempt < 3 ? v1::QUEUED : v1::FAILED);
    EXPECT_EQ(Get(1).failure().quarantined(), attempt == 3);
    EXPECT_EQ(Get(1).not_before_us(), attempt < 3 ? now_us_ + kBackoffUs * attempt : 0);
    now_us_ += kBackoffUs * attempt;
  }
  EXPECT_THAT(Events(1), ElementsAre("submitted", "leased 1 worker-1", "attempt_failed 1 worker-1",
                                     "leased 2 worker-2", "attempt_failed 2 worker-2",
                                     "leased 3 worker-3", "job_failed 3 worker-3"));
}

TEST_F(EngineTest, HeartbeatsKeepLeasesAndCostNoCommit) {
  Create(Request("r1", {"0"}));
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  Obey(&worker);
  const int commits = faulty_.commits();
  for (int i = 0; i < 10; ++i) {
    now_us_ += kLeaseUs / 2;
    Synchronise(&worker);
  }
  EXPECT_EQ(Get(1).state(), v1::RUNNING);
  EXPECT_EQ(faulty_.commits(), commits);
}

TEST_F(EngineTest, StaleAndDoubleReportsChangeNothing) {
  Create(Request("r1", {"0"}));
  FakeWorker lost = Worker('a');
  Synchronise(&lost);
  Obey(&lost);
  now_us_ += kLeaseUs;
  Tick();
  now_us_ += kBackoffUs;
  FakeWorker worker = Worker('b');
  EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("1/2"));

  // The first worker comes back with attempt 1.
  lost.channel = std::make_shared<FakeChannel>();
  lost.views = 0;
  AddPoint(&lost, 1, 1, 50);
  AddFinish(&lost, 1, 1, 99.0);
  v1::CoordinatorView answer = Synchronise(&lost);
  EXPECT_EQ(answer.reports_acknowledged(), 2u);
  EXPECT_THAT(Leases(answer), IsEmpty());
  EXPECT_EQ(Get(1).state(), v1::RUNNING);
  EXPECT_EQ(Points(1), 0u);

  Obey(&worker);
  AddPoint(&worker, 1, 2, 50);
  AddFinish(&worker, 1, 2);
  Synchronise(&worker);
  EXPECT_EQ(Synchronise(&worker).reports_acknowledged(), 2u);
  EXPECT_EQ(Get(1).state(), v1::SUCCEEDED);
  EXPECT_EQ(Get(1).result().metrics(0).value(), 0.25);
  EXPECT_EQ(Points(1), 1u);
}

TEST_F(EngineTest, ALostReportEndsTheStreamSoThatItIsSentAgain) {
  Create(Request("r1", {"0"}));
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  Obey(&worker);
  AddPoint(&worker, 1, 1, 0);
  EXPECT_EQ(Synchronise(&worker).reports_acknowledged(), 1u);
  worker.view.clear_reports();
  ++worker.reports;
  AddPoint(&worker, 1, 1, 100);
  Synchronise(&worker);
  EXPECT_THAT(worker.channel->why(), IsStatus(absl::StatusCode::kUnavailable));
  EXPECT_EQ(Points(1), 1u);
}

TEST_F(EngineTest, SenselessReportsAreDroppedAndAcknowledged) {
  Create(Request("r1", {"0", "1", "2", "3"}));
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  Obey(&worker);
  AddPoint(&worker, 1, 1, 101);  // the job has 100 iterations
  AddPoint(&worker, 1, 1, -1);
  v1::CurvePoint* crowded = AddReport(&worker, 1, 1)->mutable_point();
  for (int i = 0; i < 65; ++i) crowded->add_values()->set_metric(v1::EVAL_LOSS);
  v1::ActivationMatrix* matrix = AddReport(&worker, 1, 1)->mutable_point()->mutable_activation();
  matrix->set_rules(2);
  matrix->set_modules(2);
  matrix->add_values(1.0f);
  AddReport(&worker, 1, 1);  // says nothing
  AddReport(&worker, 77, 1)->mutable_point();
  AddReport(&worker, 2, 1)->mutable_finished()->set_checkpoint_sha256("../../etc/passwd");
  v1::BestCheckpoint* best = AddReport(&worker, 3, 1)->mutable_finished()->mutable_best();
  best->set_iteration(1);
  best->set_checkpoint_sha256("../../etc/passwd");
  AddReport(&worker, 4, 1)->mutable_finished()->mutable_best()->set_iteration(101);
  EXPECT_EQ(Synchronise(&worker).reports_acknowledged(), 9u);
  EXPECT_EQ(Points(1), 0u);
  EXPECT_EQ(Get(1).state(), v1::RUNNING);
  EXPECT_EQ(Get(2).failure().cause(), v1::WORKER_ERROR);
  EXPECT_THAT(Get(2).failure().message(), HasSubstr("checkpoint_sha256"));
  EXPECT_THAT(Get(3).failure().message(), HasSubstr("checkpoint_sha256"));
  EXPECT_THAT(Get(4).failure().message(), HasSubstr("best iteration"));
}

TEST_F(EngineTest, ANewerStreamEndsTheOlder) {
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  std::shared_ptr<FakeChannel> older =
      std::exchange(worker.channel, std::make_shared<FakeChannel>());
  worker.views = 0;
  Synchronise(&worker);
  EXPECT_THAT(older->why(), IsStatus(absl::StatusCode::kAborted));
  // Its end does not touch the newer.
  engine_->Disconnect(worker.view.worker_id(), older);
  Create(Request("r1", {"0"}));
  EXPECT_THAT(Leases(worker.channel->view()), ElementsAre("1/1"));
}

TEST_F(EngineTest, NothingIsGivenToAWorkerWithoutAStream) {
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  engine_->Disconnect(worker.view.worker_id(), worker.channel);
  Create(Request("r1", {"0"}));
  EXPECT_EQ(Get(1).state(), v1::QUEUED);
}

TEST_F(EngineTest, ARestartKeepsWhatRuns) {
  Create(Request("r1", {"0", "1", "2"}));
  FakeWorker worker = Worker('a', 1, 2);
  EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("1/1", "2/1"));
  Obey(&worker);
  AddPoint(&worker, 1, 1, 50);
  Synchronise(&worker);
  Restart();
  EXPECT_EQ(Points(1), 1u);
  worker.channel = std::make_shared<FakeChannel>();
  worker.views = 0;
  AddFinish(&worker, 1, 1);
  v1::CoordinatorView answer = Synchronise(&worker);
  EXPECT_EQ(answer.reports_acknowledged(), 2u);
  EXPECT_THAT(Leases(answer), ElementsAre("2/1"));
  EXPECT_EQ(answer.gangs(0).id(), worker.view.held(0).gang_id());
  EXPECT_EQ(Points(1), 1u);
  EXPECT_EQ(Get(1).state(), v1::SUCCEEDED);
  // A lease that nobody claims is lost in the end.
  Restart();
  now_us_ += kLeaseUs;
  Tick();
  EXPECT_EQ(Get(2).state(), v1::QUEUED);
  EXPECT_EQ(Get(2).failure().cause(), v1::WORKER_LOST);
}

}  // namespace
}  // namespace modlab
