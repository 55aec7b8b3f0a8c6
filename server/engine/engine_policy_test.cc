// What users set: policies, extensions, cancelling in part, drained workers.

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/engine_fixture.h"

namespace modlab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class EnginePolicyTest : public EngineFixture {
 protected:
  absl::StatusOr<PlacedJobs> Extend(const std::string& sweep, const std::string& field,
                                    std::vector<std::string> values) {
    v1::ExtendSweepRequest request;
    v1::Axis* axis = request.add_axes();
    axis->set_field(field);
    axis->mutable_values()->Assign(values.begin(), values.end());
    absl::StatusOr<ExtensionPlan> plan = PlanExtension(*store_->GetSweep(sweep), request);
    if (!plan.ok()) return plan.status();
    return engine_->ExtendSweep(*plan);
  }

  absl::Status SetPaused(const std::string& sweep, bool paused) {
    v1::UpdateSweepRequest request;
    request.set_sweep(sweep);
    request.set_paused(paused);
    return engine_->UpdateSweep(request);
  }
};

TEST_F(EnginePolicyTest, PriorityComesFirstAndSurvivesARestart) {
  Create(Request("r1", {"0"}));
  v1::CreateSweepRequest urgent = Request("r2", {"1"});
  urgent.mutable_policy()->set_priority(5);
  urgent.set_user("ada");
  Create(urgent);
  EXPECT_EQ(store_->GetSweep("s-2")->policy().priority(), 5);
  EXPECT_EQ(store_->GetSweep("s-2")->user(), "ada");
  Restart();
  FakeWorker worker = Worker('a', 1, 1);
  EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("2/1"));
}

TEST_F(EnginePolicyTest, APausedSweepWaitsAndHandsBack) {
  v1::CreateSweepRequest paused = Request("r1", {"0"});
  paused.mutable_policy()->set_paused(true);
  Create(paused);
  FakeWorker worker = Worker('a');
  EXPECT_THAT(Leases(Synchronise(&worker)), IsEmpty());
  EXPECT_EQ(SetPaused("s", false), absl::OkStatus());
  EXPECT_THAT(Leases(worker.channel->view()), ElementsAre("1/1")) << "told at once";
  Obey(&worker);
  Synchronise(&worker);
  EXPECT_EQ(SetPaused("s-1", true), absl::OkStatus());
  EXPECT_TRUE(LeaseOf(1, worker.channel->view()).release());
  AddReport(&worker, 1, 1)->mutable_released()->set_reason("asked to");
  EXPECT_THAT(Leases(Synchronise(&worker)), IsEmpty());
  EXPECT_EQ(Get(1).state(), v1::QUEUED);
  EXPECT_EQ(store_->ReadEvents(1)->back().reason(), "sweep s-1 was paused");
}

TEST_F(EnginePolicyTest, AGangMakesRoomForAnUrgentSweep) {
  Create(Request("r1", {"0"}));
  FakeWorker worker = Worker('a', 1, 1);
  Synchronise(&worker);
  Obey(&worker);
  Synchronise(&worker);
  v1::CreateSweepRequest urgent = Request("r2", {"1"});
  urgent.mutable_policy()->set_priority(1);
  urgent.mutable_policy()->set_preempt(true);
  Create(urgent);
  EXPECT_TRUE(LeaseOf(1, worker.channel->view()).release()) << "told at once";
  AddReport(&worker, 1, 1)->mutable_released();
  worker.view.clear_held();
  worker.view.set_slots_idle(1);
  EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("2/1"));
  EXPECT_THAT(store_->ReadEvents(1)->back().reason(), HasSubstr("higher priority"));
}

TEST_F(EnginePolicyTest, AnUpdateChangesWhatIsSet) {
  v1::CreateSweepRequest create = Request("r1", {"0"});
  create.mutable_policy()->set_priority(3);
  create.mutable_policy()->mutable_requirements()->add_labels("a100");
  Create(create);
  v1::UpdateSweepRequest update;
  update.set_sweep("s-1");
  update.set_max_running(7);
  update.mutable_requirements()->set_device("cpu");
  EXPECT_EQ(engine_->UpdateSweep(update), absl::OkStatus());
  const v1::SweepPolicy policy = store_->GetSweep("s-1")->policy();
  EXPECT_EQ(policy.priority(), 3);
  EXPECT_EQ(policy.max_running(), 7);
  EXPECT_EQ(policy.requirements().device(), "cpu");
  EXPECT_THAT(policy.requirements().labels(), IsEmpty());

  update.set_priority(1001);
  const absl::Status status = engine_->UpdateSweep(update);
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(status.message()), HasSubstr("1001"));
  EXPECT_EQ(store_->GetSweep("s-1")->policy().priority(), 3);
  ASSERT_TRUE(engine_->CancelSweep("s-1").ok());
  EXPECT_THAT(SetPaused("s-1", true), IsStatus(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(SetPaused("t", true), IsStatus(absl::StatusCode::kNotFound));
}

TEST_F(EnginePolicyTest, BadPoliciesAndUsersAreRefused) {
  v1::CreateSweepRequest request = Request("r1", {"0"});
  request.mutable_policy()->set_max_running(-1);
  EXPECT_THAT(PlanSweep(request).status(), IsStatus(absl::StatusCode::kInvalidArgument));
  request = Request("r1", {"0"});
  request.mutable_policy()->mutable_requirements()->set_device("tpu");
  EXPECT_THAT(PlanSweep(request).status(), IsStatus(absl::StatusCode::kInvalidArgument));
  request = Request("r1", {"0"});
  request.set_user(std::string(64, 'x'));
  EXPECT_THAT(PlanSweep(request).status(), IsStatus(absl::StatusCode::kInvalidArgument));
  request = Request("r1", {"0"});
  request.set_avoid_earlier_workers(true);
  EXPECT_THAT(PlanSweep(request).status(), IsStatus(absl::StatusCode::kInvalidArgument));
}

TEST_F(EnginePolicyTest, ARequirementKeepsJobsFromOtherWorkers) {
  v1::CreateSweepRequest request = Request("r1", {"0"});
  request.mutable_policy()->mutable_requirements()->add_labels("rack=7");
  Create(request);
  FakeWorker other = Worker('a');
  EXPECT_THAT(Leases(Synchronise(&other)), IsEmpty());
  FakeWorker right = Worker('b');
  right.view.add_labels("rack=7");
  EXPECT_THAT(Leases(Synchronise(&right)), ElementsAre("1/1"));
}

TEST_F(EnginePolicyTest, EventsSayWhoAskedForAJobAgain) {
  Create(Request("r1", {"0"}));
  const auto reason = [this] { return store_->ReadEvents(1)->back().reason(); };
  v1::CancelJobsRequest cancel;
  cancel.set_sweep("s-1");
  *cancel.add_filters() = Filter("model_seed", {"0"});
  ASSERT_TRUE(engine_->CancelJobs(cancel).ok());
  v1::RetryJobsRequest retry;
  retry.set_sweep("s");
  retry.set_user("ada");
  ASSERT_EQ(*engine_->RetryJobs(retry), 1);
  EXPECT_EQ(reason(), "retry of sweep s-1 by ada");
  ASSERT_TRUE(engine_->CancelJobs(cancel).ok());
  retry.clear_user();
  ASSERT_EQ(*engine_->RetryJobs(retry), 1);
  EXPECT_EQ(reason(), "retry of sweep s-1");
  ASSERT_TRUE(engine_->CancelJobs(cancel).ok());
  Create(Request("r2", {"0"}));
  EXPECT_EQ(reason(), "sweep s-2 asks for it again");
  retry.set_user(std::string(64, 'x'));
  EXPECT_THAT(engine_->RetryJobs(retry).status(), IsStatus(absl::StatusCode::kInvalidArgument));
}

TEST_F(EnginePolicyTest, AnExtensionAddsWhatIsNew) {
  Create(Request("r1", {"0", "1"}));
  v1::CreateSweepRequest other = Request("r2", {"2"});
  Create(other);
  FakeWorker worker = Worker('a', 1, 1);
  Synchronise(&worker);
  Obey(&worker);
  AddReport(&worker, 1, 1)->mutable_failed()->set_cause(v1::DIVERGED);
  Synchronise(&worker);
  ASSERT_EQ(Get(1).state(), v1::FAILED);

  absl::StatusOr<PlacedJobs> placed = Extend("s-1", "model_seed", {"1", "2", "3"});
  ASSERT_EQ(placed.status(), absl::OkStatus());
  EXPECT_EQ(placed->created, 1);
  EXPECT_EQ(placed->shared, 1);
  EXPECT_EQ(placed->requeued, 0) << "the failed job was in the sweep before";
  EXPECT_EQ(Get(1).state(), v1::FAILED);
  const v1::Sweep sweep = *store_->GetSweep("s-1");
  EXPECT_EQ(sweep.counts().queued() + sweep.counts().running() + sweep.counts().failed(), 4);
  EXPECT_THAT(sweep.spec().grids(0).axes(0).values(), ElementsAre("0", "1", "2", "3"));

  placed = Extend("s-1", "model_seed", {"1", "2", "3"});
  EXPECT_EQ(placed->created + placed->shared + placed->requeued, 0) << "nothing more";
  EXPECT_THAT(Extend("s-1", "model_sed", {"1"}).status(),
              IsStatus(absl::StatusCode::kInvalidArgument));
}

TEST_F(EnginePolicyTest, AnExtensionOfAFinishedSweepRunsAfterARestart) {
  Create(Request("r1", {"0"}));
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  Obey(&worker);
  AddFinish(&worker, 1, 1);
  Synchronise(&worker);
  Restart();
  ASSERT_TRUE(Extend("s-1", "rules", {"2", "4"}).ok());
  FakeWorker next = Worker('b');
  EXPECT_THAT(Leases(Synchronise(&next)), ElementsAre("2/1"));
}

TEST_F(EnginePolicyTest, AStaleExtensionIsRefused) {
  Create(Request("r1", {"0"}));
  v1::ExtendSweepRequest request;
  v1::Axis* axis = request.add_axes();
  axis->set_field("model_seed");
  axis->add_values("1");
  const absl::StatusOr<ExtensionPlan> plan = PlanExtension(*store_->GetSweep("s-1"), request);
  ASSERT_TRUE(plan.ok());
  ASSERT_TRUE(Extend("s-1", "model_seed", {"2"}).ok());
  EXPECT_THAT(engine_->ExtendSweep(*plan).status(), IsStatus(absl::StatusCode::kAborted));
  ASSERT_TRUE(engine_->CancelSweep("s-1").ok());
  EXPECT_THAT(Extend("s-1", "model_seed", {"3"}).status(),
              IsStatus(absl::StatusCode::kFailedPrecondition));
}

TEST_F(EnginePolicyTest, JobsAreCancelledByFilter) {
  Create(Request("r1", {"0", "1", "2"}));
  Create(Request("r2", {"2"}));
  FakeWorker worker = Worker('a');
  EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("1/1", "2/1", "3/1"));
  Obey(&worker);
  v1::CancelJobsRequest request;
  request.set_sweep("s-1");
  EXPECT_THAT(engine_->CancelJobs(request).status(), IsStatus(absl::StatusCode::kInvalidArgument));
  *request.add_filters() = Filter("model_seed", {"1", "2"});
  absl::StatusOr<v1::CancelJobsResponse> cancelled = engine_->CancelJobs(request);
  ASSERT_EQ(cancelled.status(), absl::OkStatus());
  EXPECT_EQ(cancelled->jobs_cancelled(), 1);
  EXPECT_EQ(cancelled->jobs_shared(), 1);
  EXPECT_EQ(Get(2).state(), v1::CANCELLED);
  EXPECT_EQ(Get(3).state(), v1::RUNNING);
  EXPECT_THAT(Leases(worker.channel->view()), ElementsAre("1/1", "3/1")) << "told at once";
  EXPECT_EQ(engine_->CancelJobs(request)->jobs_cancelled(), 0);

  ASSERT_TRUE(engine_->CancelSweep("s-1").ok());
  cancelled = engine_->CancelJobs(request);
  ASSERT_EQ(cancelled.status(), absl::OkStatus());
  EXPECT_EQ(cancelled->jobs_cancelled(), 0);
  EXPECT_EQ(cancelled->jobs_shared(), 1);
  *request.add_filters() = Filter("colour", {"red"});
  EXPECT_THAT(engine_->CancelJobs(request).status(), IsStatus(absl::StatusCode::kInvalidArgument));
  request.clear_sweep();
  EXPECT_THAT(engine_->CancelJobs(request).status(), IsStatus(absl::StatusCode::kInvalidArgument));
}

// The other sweep was done before the restart, so the queue did not know it.
TEST_F(EnginePolicyTest, ARetriedJobFollowsSweepsThatWereDone) {
  Create(Request("r1", {"0"}));
  v1::CreateSweepRequest urgent = Request("r2", {"0"});
  urgent.mutable_policy()->set_paused(true);
  Create(urgent);
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  Obey(&worker);
  AddReport(&worker, 1, 1)->mutable_failed()->set_cause(v1::DIVERGED);
  Synchronise(&worker);
  Restart();
  v1::RetryJobsRequest retry;
  retry.set_sweep("s-2");
  EXPECT_EQ(*engine_->RetryJobs(retry), 1);
  FakeWorker next = Worker('b');
  EXPECT_THAT(Leases(Synchronise(&next)), ElementsAre("1/2")) << "as s-1 is not paused";
}

TEST_F(EnginePolicyTest, ADrainedWorkerHandsBack) {
  Create(Request("r1", {"0"}));
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  Obey(&worker);
  Synchronise(&worker);
  EXPECT_TRUE(engine_->DrainWorker("worker-a")->draining());
  EXPECT_TRUE(worker.channel->view().drain()) << "told at once";
  EXPECT_TRUE(LeaseOf(1, worker.channel->view()).release());
  EXPECT_TRUE(engine_->DrainWorker(worker.view.worker_id()).ok());
  EXPECT_THAT(engine_->DrainWorker("worker-b").status(), IsStatus(absl::StatusCode::kNotFound));
  EXPECT_THAT(engine_->ReleaseWorker("worker-b").status(), IsStatus(absl::StatusCode::kNotFound));
  EXPECT_EQ(engine_->ReleaseWorker("worker-a")->name(), "worker-a");
}

// The worker was cut off when it was asked, and the coordinator was killed.
TEST_F(EnginePolicyTest, AWorkerDrainsThatHearsOfItFromTheNextCoordinator) {
  Create(Request("r1", {"0"}));
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  Obey(&worker);
  Synchronise(&worker);
  ASSERT_TRUE(engine_->DrainWorker("worker-a").ok());
  Restart();
  FakeWorker other = Worker('b');
  EXPECT_FALSE(Synchronise(&other).drain());
  worker.channel = std::make_shared<FakeChannel>();
  worker.views = 0;
  const v1::CoordinatorView view = Synchronise(&worker);
  EXPECT_TRUE(view.drain());
  EXPECT_TRUE(engine_->ListWorkers()->front().draining());
}

TEST_F(EnginePolicyTest, StatusAndPruning) {
  Create(Request("r1", {"0", "1"}));
  FakeWorker worker = Worker('a', 1, 1);
  Synchronise(&worker);
  Obey(&worker);
  AddPoint(&worker, 1, 1, 50);
  AddPoint(&worker, 1, 1, 100);
  AddFinish(&worker, 1, 1);
  Synchronise(&worker);
  now_us_ += 1'000'000;
  absl::StatusOr<EngineStatus> status = engine_->GetStatus();
  ASSERT_EQ(status.status(), absl::OkStatus());
  EXPECT_EQ(status->view.waiting() + status->view.running(), 1);
  EXPECT_EQ(status->view.sweeps_size(), 1);
  EXPECT_EQ(status->view.workers_size(), 1);
  EXPECT_EQ(status->view.jobs_per_second(), 0.1);
  EXPECT_EQ(status->view.points_per_second(), 0.2);
  EXPECT_EQ(status->view.failures_per_second(), 0.0);
  EXPECT_EQ(status->view.trouble(), "");
  EXPECT_EQ(status->since_start.points, 2);

  v1::PruneRequest prune;
  EXPECT_THAT(engine_->Prune(prune).status(), IsStatus(absl::StatusCode::kInvalidArgument));
  prune.set_sweep("s-1");
  EXPECT_THAT(engine_->Prune(prune).status(), IsStatus(absl::StatusCode::kFailedPrecondition));
  ASSERT_TRUE(engine_->CancelSweep("s-1").ok());
  prune.set_older_than_seconds(-1);
  EXPECT_THAT(engine_->Prune(prune).status(), IsStatus(absl::StatusCode::kInvalidArgument));
  prune.set_older_than_seconds(60);
  EXPECT_THAT(engine_->Prune(prune)->sweeps(), IsEmpty());
  now_us_ += 61'000'000;
  EXPECT_THAT(engine_->Prune(prune)->sweeps(), ElementsAre("s-1"));
  EXPECT_EQ(store_->ListSweeps(0, "")->sweeps_size(), 0);
}

TEST_F(EnginePolicyTest, ManyJobsAreCancelledAndRetriedInSteps) {
  engine_.reset();
  StartEngine(/*jobs_a_step=*/2);
  Create(Request("r1", {"0", "1", "2", "3", "4", "5", "6"}));
  Create(Request("r2", {"6", "7"}));
  FakeWorker worker = Worker('a', 1, 3);
  EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("1/1", "2/1", "3/1"));
  Obey(&worker);
  Synchronise(&worker);
  v1::CancelJobsRequest some;
  some.set_sweep("s-1");
  *some.add_filters() = Filter("model_seed", {"1", "3", "4", "5", "6"});
  absl::StatusOr<v1::CancelJobsResponse> cancelled = engine_->CancelJobs(some);
  ASSERT_EQ(cancelled.status(), absl::OkStatus());
  EXPECT_EQ(cancelled->jobs_cancelled(), 4);
  EXPECT_EQ(cancelled->jobs_shared(), 1);
  v1::RetryJobsRequest retry;
  retry.set_sweep("s-1");
  EXPECT_EQ(*engine_->RetryJobs(retry), 4);
  EXPECT_EQ(*engine_->CancelSweep("s-1"), 6);
  for (int64_t job = 1; job <= 6; ++job) {
    EXPECT_EQ(Get(job).state(), v1::CANCELLED);
    EXPECT_EQ(store_->ReadEvents(job)->back().reason(), "sweep s-1 was cancelled");
  }
  EXPECT_EQ(Get(7).state(), v1::QUEUED);
  EXPECT_THAT(Leases(worker.channel->view()), IsEmpty());
  EXPECT_EQ(engine_->GetStatus()->view.waiting(), 2);
}

// There is nothing to stop, and its users may still want more of it.
TEST_F(EnginePolicyTest, CancellingAFinishedSweepChangesNothing) {
  Create(Request("r1", {"0"}));
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  Obey(&worker);
  AddFinish(&worker, 1, 1);
  Synchronise(&worker);
  EXPECT_EQ(*engine_->CancelSweep("s-1"), 0);
  EXPECT_EQ(store_->GetSweep("s-1")->cancelled_us(), 0);
  v1::UpdateSweepRequest pause;
  pause.set_sweep("s-1");
  pause.set_paused(true);
  EXPECT_EQ(engine_->UpdateSweep(pause), absl::OkStatus());
  EXPECT_THAT(engine_->CancelSweep("none").status(), IsStatus(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace modlab
