// The engine on a disk that fails.

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/engine.h"
#include "server/engine/engine_core.h"
#include "server/engine/engine_fixture.h"
#include "server/engine/sweep_steps.h"

namespace modlab {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using EngineFaultsTest = EngineFixture;

TEST_F(EngineFaultsTest, WhatCouldNotBeCommittedWasNotAcknowledged) {
  Create(Request("r1", {"0", "1", "2"}));
  FakeWorker worker = Worker('a', 1, 2);
  Synchronise(&worker);
  Obey(&worker);
  AddPoint(&worker, 1, 1, 50);
  AddFinish(&worker, 2, 1);
  faulty_.FailCommits(true);
  const int sent = worker.channel->sent();
  Synchronise(&worker);
  EXPECT_THAT(worker.channel->why(), IsStatus(absl::StatusCode::kUnavailable));
  EXPECT_EQ(worker.channel->view().reports_acknowledged(), 0u);
  EXPECT_EQ(worker.channel->sent(), sent) << "what is not on disk is not told";
  EXPECT_THAT(TryCreate(Request("r2", {"7"})).status(),
              IsStatus(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(engine_->CancelSweep("s-1").status(), IsStatus(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(store_->ListSweeps(0, "")->sweeps_size(), 1);
  EXPECT_EQ(Get(2).state(), v1::RUNNING);
  EXPECT_EQ(Points(1), 0u);
  EXPECT_EQ(engine_->ListWorkers()->size(), 1u) << "what writes nothing goes on";

  // There is room again: the worker sends everything anew.
  faulty_.FailCommits(false);
  now_us_ += 1'000'000;
  worker.channel = std::make_shared<FakeChannel>();
  worker.views = 0;
  v1::CoordinatorView answer = Synchronise(&worker);
  EXPECT_EQ(answer.reports_acknowledged(), 2u);
  EXPECT_THAT(Leases(answer), ElementsAre("1/1"));
  EXPECT_EQ(Get(2).state(), v1::SUCCEEDED);
  EXPECT_EQ(Points(1), 1u);
  EXPECT_EQ(Create(Request("r2", {"7"})).jobs.created, 1);
  EXPECT_EQ(*engine_->CancelSweep("s-1"), 2);
}

TEST_F(EngineFaultsTest, ACancellationThatWasUndoneDropsNothing) {
  Create(Request("r1", {"0", "1"}));
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  Obey(&worker);
  faulty_.FailCommits(true);
  EXPECT_THAT(engine_->CancelSweep("s-1").status(), IsStatus(absl::StatusCode::kResourceExhausted));
  faulty_.FailCommits(false);
  now_us_ += 1'000'000;
  Tick();
  Tick();
  EXPECT_THAT(Leases(worker.channel->view()), ElementsAre("1/1", "2/1"));
  EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("1/1", "2/1"));
}

TEST_F(EngineFaultsTest, AStepThatFailsHalfWayLeavesNothing) {
  Create(Request("r1", {"0"}));
  faulty_.FailInsertJobAfter(2);
  EXPECT_THAT(TryCreate(Request("r2", {"1", "2", "3", "4"})).status(),
              IsStatus(absl::StatusCode::kInternal));
  EXPECT_EQ(store_->ListSweeps(0, "")->sweeps_size(), 1);
  FakeWorker worker = Worker('a', 4, 1);
  EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("1/1")) << "the queue forgot them too";
  EXPECT_EQ(Create(Request("r2", {"1", "2", "3", "4"})).jobs.created, 4);
}

TEST_F(EngineFaultsTest, ALostTransactionTakesAllOfItsBatch) {
  Create(Request("r1", {"0"}));
  faulty_.LoseTransactionOnNextInsert();
  EXPECT_FALSE(TryCreate(Request("r2", {"1"})).ok());
  EXPECT_EQ(store_->ListSweeps(0, "")->sweeps_size(), 1);
  EXPECT_EQ(Create(Request("r2", {"1"})).jobs.created, 1);
}

TEST_F(EngineFaultsTest, AGangThatCouldNotBeWrittenIsGivenLater) {
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  faulty_.FailStartAttempt(true);
  Create(Request("r1", {"0"}));
  EXPECT_THAT(Leases(worker.channel->view()), IsEmpty());
  EXPECT_EQ(Get(1).state(), v1::QUEUED);
  faulty_.FailStartAttempt(false);
  now_us_ += 1'000'000;
  Tick();
  EXPECT_THAT(Leases(worker.channel->view()), ElementsAre("1/1"));
}

TEST_F(EngineFaultsTest, APolicyThatWasNotWrittenIsNotFollowed) {
  Create(Request("r1", {"0", "1"}));
  FakeWorker worker = Worker('a', 1, 2);
  Synchronise(&worker);
  Obey(&worker);
  Synchronise(&worker);
  v1::UpdateSweepRequest pause;
  pause.set_sweep("s-1");
  pause.set_paused(true);
  v1::CancelJobsRequest cancel;
  cancel.set_sweep("s-1");
  *cancel.add_filters() = Filter("model_seed", {"0"});
  v1::ExtendSweepRequest extend;
  extend.add_axes()->set_field("model_seed");
  extend.mutable_axes(0)->add_values("2");
  const absl::StatusOr<ExtensionPlan> extension = PlanExtension(*store_->GetSweep("s-1"), extend);
  ASSERT_EQ(extension.status(), absl::OkStatus());

  faulty_.FailCommits(true);
  const auto full = absl::StatusCode::kResourceExhausted;
  EXPECT_THAT(engine_->UpdateSweep(pause), IsStatus(full));
  EXPECT_THAT(engine_->CancelJobs(cancel).status(), IsStatus(full));
  EXPECT_THAT(engine_->ExtendSweep(*extension).status(), IsStatus(full));
  EXPECT_EQ(engine_->GetStatus()->view.trouble(), "the disk is full");
  faulty_.FailCommits(false);
  now_us_ += 1'000'000;
  EXPECT_THAT(Leases(Synchronise(&worker)), ElementsAre("1/1", "2/1"));
  EXPECT_FALSE(LeaseOf(1, worker.channel->view()).release());
  EXPECT_EQ(engine_->GetStatus()->view.waiting(), 0);

  EXPECT_EQ(engine_->ExtendSweep(*extension)->created, 1);
  EXPECT_EQ(engine_->CancelJobs(cancel)->jobs_cancelled(), 1);
  EXPECT_EQ(engine_->UpdateSweep(pause), absl::OkStatus());
  EXPECT_THAT(Leases(worker.channel->view()), ElementsAre("2/1"));
  EXPECT_TRUE(LeaseOf(2, worker.channel->view()).release());
  EXPECT_EQ(engine_->GetStatus()->view.trouble(), "");
  EXPECT_EQ(engine_->GetStatus()->view.waiting(), 1);
}

TEST_F(EngineFaultsTest, ADrainedWorkerStaysDrainedWhenTheQueueIsReadBack) {
  Create(Request("r1", {"0"}));
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  Obey(&worker);
  ASSERT_TRUE(engine_->DrainWorker("worker-a").ok());
  faulty_.FailCommits(true);
  EXPECT_FALSE(TryCreate(Request("r2", {"7"})).ok());
  faulty_.FailCommits(false);
  now_us_ += 1'000'000;
  const v1::CoordinatorView view = Synchronise(&worker);
  EXPECT_TRUE(view.drain());
  EXPECT_TRUE(LeaseOf(1, view).release());
}

// The core, with what comes together in one batch chosen by the test.
class CoreFaultsTest : public EngineFixture {
 protected:
  CoreFaultsTest() {
    engine_.reset();
    core_ = std::make_unique<EngineCore>(store_.get(), &faulty_, &files_, EngineCore::Options(),
                                         now_us_);
    EXPECT_EQ(core_->Load(now_us_), absl::OkStatus());
    const absl::StatusOr<SweepPlan> plan = PlanSweep(Request("r1", {"0"}));
    EXPECT_EQ(plan.status(), absl::OkStatus());
    Do({Step([&](Ledger* ledger, int64_t now_us) {
      return CreateSweep(*plan, ledger, now_us).status();
    })});
  }

  // Job 1, held by a worker.
  FakeWorker Begin() {
    FakeWorker worker = Worker('a');
    Do({View(worker)});
    EXPECT_THAT(Leases(worker.channel->view()), ElementsAre("1/1"));
    Obey(&worker);
    return worker;
  }

  void Do(std::vector<Command> commands) {
    core_->Run(std::move(commands), now_us_);
    core_->Settle(now_us_, now_us_);
  }

  Command View(const FakeWorker& worker) {
    return core_->TakeViewCommand(worker.view, worker.channel);
  }

  static Command Step(Ledger::Step step, absl::Status* answer = nullptr) {
    Command command;
    command.run = std::move(step);
    command.done = [answer](const absl::Status& status) {
      if (answer != nullptr) *answer = status;
    };
    return command;
  }

  std::unique_ptr<EngineCore> core_;
};

TEST_F(CoreFaultsTest, ReportsThatTwoStreamsBroughtAtOnceAreNotLost) {
  FakeWorker worker = Begin();
  AddPoint(&worker, 1, 1, 0);
  FakeWorker again = worker;
  again.channel = std::make_shared<FakeChannel>();
  faulty_.FailCommits(true);
  Do({View(worker), View(again)});
  faulty_.FailCommits(false);
  EXPECT_TRUE(again.channel->closed()) << "or it would go on with the next report";
  now_us_ += 2'000'000;
  again.view.clear_reports();
  AddPoint(&again, 1, 1, 50);
  Do({View(again)});
  EXPECT_EQ(again.channel->view().reports_acknowledged(), 0u);
  EXPECT_EQ(Points(1), 0u);

  worker.channel = std::make_shared<FakeChannel>();
  AddPoint(&worker, 1, 1, 50);
  Do({View(worker)});
  EXPECT_EQ(worker.channel->view().reports_acknowledged(), 2u);
  EXPECT_EQ(Points(1), 2u);
}

TEST_F(CoreFaultsTest, AnUnknownReportIsTakenOnlyAsTheFirstOfItsStream) {
  FakeWorker worker = Begin();
  worker.reports = 5;  // as acknowledged in an earlier life of the coordinator
  AddPoint(&worker, 1, 1, 0);
  Do({View(worker)});
  EXPECT_EQ(worker.channel->view().reports_acknowledged(), 6u);
  worker.reports = 7;
  AddPoint(&worker, 1, 1, 50);
  Do({View(worker)});
  EXPECT_THAT(worker.channel->why(), IsStatus(absl::StatusCode::kUnavailable));
  EXPECT_EQ(Points(1), 1u);
}

TEST_F(CoreFaultsTest, AUsersMistakeCostsNoWorkerItsStream) {
  FakeWorker worker = Begin();
  AddPoint(&worker, 1, 1, 0);
  Do({View(worker)});
  worker.view.clear_reports();
  AddPoint(&worker, 1, 1, 50);
  absl::Status answer;
  Do({View(worker), Step(
                        [](Ledger* ledger, int64_t) {
                          v1::UpdateSweepRequest request;
                          request.set_sweep("nosuch");
                          return UpdateSweep(request, ledger);
                        },
                        &answer)});
  EXPECT_THAT(answer, IsStatus(absl::StatusCode::kNotFound));
  EXPECT_EQ(worker.channel->view().reports_acknowledged(), 2u);
  worker.view.clear_reports();
  AddPoint(&worker, 1, 1, 100);
  Do({View(worker)});
  EXPECT_FALSE(worker.channel->closed()) << worker.channel->why();
  EXPECT_EQ(worker.channel->view().reports_acknowledged(), 3u);
  EXPECT_EQ(Points(1), 3u);
}

TEST_F(CoreFaultsTest, WhatIsLostWithAnotherStepsTransactionIsNotTheCallersFault) {
  const absl::StatusOr<SweepPlan> plan = PlanSweep(Request("r2", {"1"}));
  ASSERT_TRUE(plan.ok());
  for (const absl::StatusCode code :
       {absl::StatusCode::kInternal, absl::StatusCode::kResourceExhausted}) {
    v1::UpdateSweepRequest update;
    update.set_sweep("s-1");
    update.set_priority(7);
    absl::Status updated;
    absl::Status created;
    faulty_.LoseTransactionOnNextInsert(code);
    Do({Step([&](Ledger* ledger, int64_t) { return UpdateSweep(update, ledger); }, &updated),
        Step([&](Ledger* ledger,
                 int64_t now_us) { return CreateSweep(*plan, ledger, now_us).status(); },
             &created)});
    EXPECT_THAT(updated, IsStatus(code));
    EXPECT_THAT(created, IsStatus(code));
    EXPECT_EQ(store_->GetSweep("s-1")->policy().priority(), 0);
  }
}

TEST_F(CoreFaultsTest, NothingIsToldOfAQueueThatIsAheadOfTheDisk) {
  FakeWorker worker = Worker('a');
  faulty_.FailCommits(true);
  faulty_.FailLoads(true);
  Do({View(worker)});
  for (int turn = 0; turn < 10; ++turn) {
    now_us_ += 250'000;
    Do({});
    absl::Status answer;
    Do({Step([](Ledger*, int64_t) { return absl::OkStatus(); }, &answer)});
    EXPECT_THAT(answer, IsStatus(absl::StatusCode::kInternal));
  }
  EXPECT_EQ(worker.channel->sent(), 0);
  EXPECT_EQ(Get(1).state(), v1::QUEUED);
  EXPECT_EQ(core_->GetStatus(now_us_).view.trouble(), "the disk cannot be read");

  faulty_.FailCommits(false);
  faulty_.FailLoads(false);
  now_us_ += 1'000'000;
  Do({});
  EXPECT_THAT(Leases(worker.channel->view()), ElementsAre("1/1"));
  EXPECT_EQ(Get(1).state(), v1::RUNNING);
}

// What the batch wrote is on disk, but the queue is not what is there.
TEST_F(CoreFaultsTest, NothingIsToldAfterAStepThatCouldNotBeUndoneInTheQueue) {
  FakeWorker worker = Begin();
  Do({View(worker)});
  const int sent = worker.channel->sent();
  faulty_.FailLoads(true);
  absl::Status cancelled;
  Do({View(worker), Step(
                        [](Ledger* ledger, int64_t now_us) {
                          EXPECT_TRUE(CancelSweep("s-1", kJobsAStep, ledger, now_us).ok());
                          return absl::AbortedError("changed its mind");
                        },
                        &cancelled)});
  EXPECT_THAT(cancelled, IsStatus(absl::StatusCode::kAborted));
  EXPECT_EQ(worker.channel->sent(), sent);
  faulty_.FailLoads(false);
  now_us_ += 1'000'000;
  Do({View(worker)});
  EXPECT_EQ(worker.channel->sent(), sent + 1);
  EXPECT_THAT(Leases(worker.channel->view()), ElementsAre("1/1"));
}

// What would free a full disk must not fail for want of room.
TEST_F(EngineFaultsTest, AFullDiskIsPrunedWithWhatIsKeptForThat) {
  constexpr int kJobs = 3;
  Create(Request("r1", {"0", "1", "2"}));
  FakeWorker worker = Worker('a', 1, kJobs);
  Synchronise(&worker);
  Obey(&worker);
  for (int job = 1; job <= kJobs; ++job) {
    AddFinish(&worker, job, 1);
    const char digit = static_cast<char>('0' + job);
    worker.view.mutable_reports()->rbegin()->mutable_finished()->set_checkpoint_sha256(
        Upload(digit));
  }
  Synchronise(&worker);
  for (int minute = 0; minute < 20; ++minute) {
    now_us_ += 60'000'000;
    Tick();
  }
  faulty_.FailCommits(true);
  v1::PruneRequest request;
  request.set_sweep("s-1");
  EXPECT_THAT(engine_->Prune(request).status(), IsStatus(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(store_->GetSweep("s-1")->counts().succeeded(), kJobs);
  request.set_dry_run(true);
  const absl::StatusOr<v1::PruneResponse> would = engine_->Prune(request);
  ASSERT_EQ(would.status(), absl::OkStatus()) << "looking needs no room";
  EXPECT_EQ(would->artifacts(), kJobs);

  files_.OnUseReserve([this] { faulty_.FailCommits(false); });
  request.set_dry_run(false);
  const absl::StatusOr<v1::PruneResponse> pruned = engine_->Prune(request);
  ASSERT_EQ(pruned.status(), absl::OkStatus());
  EXPECT_EQ(pruned->ShortDebugString(), would->ShortDebugString());
  EXPECT_EQ(store_->ListSweeps(0, "")->sweeps_size(), 0);
  now_us_ += 1'000'000;
  Tick();
  Tick();  // the first one's end removes the files
  for (const char digit : {'1', '2', '3'}) EXPECT_FALSE(files_.Contains(Sha(digit))) << digit;
}

TEST_F(EngineFaultsTest, StopAnswersAllAndRefusesTheRest) {
  FakeWorker worker = Worker('a');
  Synchronise(&worker);
  engine_->Stop();
  EXPECT_THAT(worker.channel->why(), IsStatus(absl::StatusCode::kUnavailable));
  EXPECT_THAT(engine_->ListWorkers().status(), IsStatus(absl::StatusCode::kUnavailable));
  EXPECT_THAT(engine_->Synchronise(worker.view, worker.channel),
              IsStatus(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace modlab
