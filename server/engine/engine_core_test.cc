// The core at its own pace: garbage, trouble and rates, with every time chosen.

#include "server/engine/engine_core.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/engine_fixture.h"
#include "server/engine/store_steps.h"
#include "server/engine/sweep_steps.h"

namespace modlab {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kMinute = 60 * kSecond;

class EngineCoreTest : public StoreFixture {
 protected:
  EngineCoreTest() : faulty_(writer()) { StartCore(); }

  void StartCore(const EngineCore::Options& options = {}) {
    core_ = std::make_unique<EngineCore>(store_.get(), &faulty_, &files_, options, now_us_);
    EXPECT_EQ(core_->Load(now_us_), absl::OkStatus());
  }

  absl::Status Run(Ledger::Step step) {
    absl::Status answer = absl::UnknownError("not answered");
    Command command;
    command.run = std::move(step);
    command.done = [&](const absl::Status& status) { answer = status; };
    std::vector<Command> commands;
    commands.push_back(std::move(command));
    core_->Run(std::move(commands), now_us_);
    core_->Settle(now_us_, now_us_);
    return answer;
  }

  absl::Status Register(const std::string& sha256) {
    files_.Add(sha256);
    return Run([&](Ledger* ledger, int64_t now_us) {
      return RegisterArtifact(sha256, 10, ledger, now_us);
    });
  }

  // Settles every second.
  void Pass(int64_t duration_us) {
    for (const int64_t end_us = now_us_ + duration_us; now_us_ < end_us;) {
      now_us_ += kSecond;
      core_->Settle(now_us_, now_us_);
    }
  }

  int64_t now_us_ = 1'700'000'000 * kSecond;
  const std::string sha_ = std::string(64, 'a');
  FaultyWriter faulty_;
  FakeFiles files_;
  std::unique_ptr<EngineCore> core_;
};

TEST_F(EngineCoreTest, UnusedArtifactsGoOnceTheyAreOld) {
  Pass(20 * kMinute);
  ASSERT_EQ(Register(sha_), absl::OkStatus());
  Pass(9 * kMinute);
  EXPECT_TRUE(files_.Contains(sha_));
  EXPECT_EQ(*writer()->ArtifactBytes(), 10);
  ASSERT_EQ(Register(sha_), absl::OkStatus()) << "uploaded again: young again";
  Pass(9 * kMinute);
  EXPECT_TRUE(files_.Contains(sha_));
  Pass(3 * kMinute);
  EXPECT_FALSE(files_.Contains(sha_));
  EXPECT_EQ(*writer()->ArtifactBytes(), 0);
}

TEST_F(EngineCoreTest, WhatAJobRefersToStays) {
  Begin();
  const std::string sweep = AddSweep("s");
  const int64_t checkpointed = AddJob(sweep, Config({{"model_seed", "1"}}));
  const int64_t finished = AddJob(sweep, Config({{"model_seed", "2"}}));
  Start(checkpointed);
  Start(finished);
  const std::vector<std::string> names = {std::string(64, 'b'), std::string(64, 'c'),
                                          std::string(64, 'd')};
  for (const std::string& name : names) {
    ASSERT_EQ(writer()->RegisterArtifact(name, 10, now_us_), absl::OkStatus());
    files_.Add(name);
  }
  v1::TrainingCheckpoint checkpoint;
  checkpoint.set_iteration(60);
  checkpoint.set_sha256(names[0]);
  checkpoint.set_size_bytes(10);
  ASSERT_EQ(writer()->KeepCheckpoint(checkpointed, checkpoint, now_us_), absl::OkStatus());
  v1::JobResult result;
  result.set_checkpoint_sha256(names[1]);
  result.mutable_best()->set_checkpoint_sha256(names[2]);
  ASSERT_EQ(writer()->FinishJob(finished, result, now_us_), absl::OkStatus());
  Commit();
  StartCore();
  Pass(60 * kMinute);
  for (const std::string& name : names) EXPECT_TRUE(files_.Contains(name)) << name;
  EXPECT_EQ(*writer()->ArtifactBytes(), 30);
}

TEST_F(EngineCoreTest, AReplacedCheckpointGoesSoon) {
  Pass(20 * kMinute);
  Begin();
  const int64_t job = AddJob(AddSweep("s"), Config({}));
  Start(job);
  Commit();
  StartCore();
  Pass(20 * kMinute);
  const auto keep = [&](int64_t iteration, const std::string& sha256) {
    ASSERT_EQ(Register(sha256), absl::OkStatus());
    EXPECT_EQ(Run([&](Ledger* ledger, int64_t now_us) {
                v1::TrainingCheckpoint checkpoint;
                checkpoint.set_iteration(iteration);
                checkpoint.set_sha256(sha256);
                checkpoint.set_size_bytes(10);
                return (*ledger->Write())->KeepCheckpoint(job, checkpoint, now_us);
              }),
              absl::OkStatus());
  };
  const std::string next(64, 'b');
  keep(10, sha_);
  keep(20, next);
  Pass(kMinute - kSecond);
  EXPECT_TRUE(files_.Contains(sha_));
  Pass(kMinute + 2 * kSecond);
  EXPECT_FALSE(files_.Contains(sha_));
  EXPECT_TRUE(files_.Contains(next));
}

TEST_F(EngineCoreTest, AReportMayHaveWaitedSinceBeforeTheStart) {
  ASSERT_EQ(Register(sha_), absl::OkStatus());
  now_us_ += 60 * kMinute;  // nobody could report
  StartCore();
  Pass(9 * kMinute);
  EXPECT_TRUE(files_.Contains(sha_));
  Pass(3 * kMinute);
  EXPECT_FALSE(files_.Contains(sha_));
}

TEST_F(EngineCoreTest, AReportMayHaveWaitedForAStandstillToEnd) {
  Pass(20 * kMinute);
  ASSERT_EQ(Register(sha_), absl::OkStatus());
  now_us_ += 60 * kMinute;
  Pass(9 * kMinute);
  EXPECT_TRUE(files_.Contains(sha_));
  Pass(3 * kMinute);
  EXPECT_FALSE(files_.Contains(sha_));
}

TEST_F(EngineCoreTest, AReportMayHaveWaitedForADiskWithRoom) {
  Pass(20 * kMinute);
  const std::string old(64, 'b');
  ASSERT_EQ(Register(old), absl::OkStatus());
  Pass(11 * kMinute - 2 * kSecond);
  ASSERT_EQ(Register(sha_), absl::OkStatus());
  faulty_.FailCommits(true);
  const std::string other(64, 'c');
  for (int minute = 0; minute < 60; ++minute) {
    EXPECT_THAT(Register(other), IsStatus(absl::StatusCode::kResourceExhausted));
    EXPECT_EQ(core_->GetStatus(now_us_).view.trouble(), "the disk is full");
    Pass(kMinute);
  }
  EXPECT_FALSE(files_.Contains(old)) << "its file makes room";
  EXPECT_TRUE(files_.Contains(sha_)) << "its report cannot have been taken";
  faulty_.FailCommits(false);
  Pass(9 * kMinute);
  EXPECT_TRUE(files_.Contains(sha_));
  EXPECT_EQ(core_->GetStatus(now_us_).view.trouble(), "");
  Pass(3 * kMinute);
  EXPECT_FALSE(files_.Contains(sha_));
  EXPECT_EQ(*writer()->ArtifactBytes(), 0);
}

TEST_F(EngineCoreTest, APruningThatWasUndoneTakesNoFiles) {
  Begin();
  const int64_t job = AddJob(AddSweep("s"), Config({}));
  Start(job);
  ASSERT_EQ(writer()->RegisterArtifact(sha_, 10, now_us_), absl::OkStatus());
  files_.Add(sha_);
  v1::JobResult result;
  result.set_checkpoint_sha256(sha_);
  ASSERT_EQ(writer()->FinishJob(job, result, now_us_), absl::OkStatus());
  Commit();
  v1::PruneRequest request;
  request.set_sweep("s");
  const auto prune = [&](Ledger* ledger, int64_t now_us) {
    return Prune(request, ledger, now_us).status();
  };
  Pass(20 * kMinute);
  // Whenever garbage is looked for, there is a pruning that cannot be committed.
  faulty_.FailCommits(true);
  for (int second = 0; second < 120; ++second) {
    now_us_ += kSecond;
    EXPECT_THAT(Run(prune), IsStatus(absl::StatusCode::kResourceExhausted));
  }
  faulty_.FailCommits(false);
  EXPECT_TRUE(files_.Contains(sha_));
  EXPECT_EQ(store_->ListSweeps(0, "")->sweeps_size(), 1);
  now_us_ += kSecond;
  EXPECT_EQ(Run(prune), absl::OkStatus());
  Pass(12 * kMinute);
  EXPECT_FALSE(files_.Contains(sha_));
}

TEST_F(EngineCoreTest, AFileThatWentBeforeItsRowIsForgottenLater) {
  ASSERT_EQ(Register(sha_), absl::OkStatus());
  ASSERT_EQ(files_.Remove(sha_), absl::OkStatus());  // and then the process was killed
  Pass(12 * kMinute);
  EXPECT_EQ(*writer()->ArtifactBytes(), 0);
}

// -- a sweep of many jobs is cancelled ----------------------------------------------

// Sweep s-1 has jobs 1 to 9, two of which a step cancels; t-1 asks for job 9, too.
class EngineCoreCancelTest : public EngineCoreTest {
 protected:
  EngineCoreCancelTest() {
    Begin();
    const std::string sweep = AddSweep("s");
    for (int seed = 0; seed < 9; ++seed) {
      AddJob(sweep, Config({{"model_seed", std::to_string(seed).c_str()}}));
    }
    EXPECT_TRUE(*writer()->LinkJob(Number(AddSweep("t")), 9));
    Commit();
    Restart();
  }

  // As after kill -9 and a new start.
  void Restart() {
    core_.reset();
    Reopen();
    faulty_.set_inner(writer());
    EngineCore::Options options;
    options.jobs_a_step = 2;
    StartCore(options);
  }

  absl::Status Cancel() {
    return Run([this](Ledger* ledger, int64_t now_us) {
      const absl::StatusOr<int64_t> jobs = CancelSweep("s-1", /*jobs_max=*/2, ledger, now_us);
      cancelled_ = jobs.value_or(-1);
      return jobs.status();
    });
  }

  std::vector<int64_t> Queued() {
    std::vector<int64_t> queued;
    for (int64_t job = 1; job <= 9; ++job) {
      if (Get(job).state() == v1::QUEUED) queued.push_back(job);
    }
    return queued;
  }

  int64_t cancelled_ = 0;
};

TEST_F(EngineCoreCancelTest, WhatACrashInterruptsGoesOn) {
  ASSERT_EQ(Cancel(), absl::OkStatus());
  EXPECT_EQ(cancelled_, 8);
  EXPECT_THAT(Queued(), ElementsAre(5, 6, 7, 8, 9));
  Restart();
  EXPECT_THAT(Queued(), ElementsAre(5, 6, 7, 8, 9));
  EXPECT_GT(store_->GetSweep("s")->cancelled_us(), 0);
  core_->Settle(now_us_, now_us_);
  EXPECT_THAT(Queued(), ElementsAre(7, 8, 9));
  Restart();
  Pass(3 * kSecond);
  EXPECT_THAT(Queued(), ElementsAre(9)) << "another sweep asks for it";
  for (int64_t job = 1; job <= 8; ++job) {
    EXPECT_EQ(Get(job).state(), v1::CANCELLED);
    EXPECT_EQ(store_->ReadEvents(job)->back().reason(), "sweep s-1 was cancelled");
  }
}

TEST_F(EngineCoreCancelTest, TheSameCallAgainGoesOnWithIt) {
  ASSERT_EQ(Cancel(), absl::OkStatus());
  Restart();
  ASSERT_EQ(Cancel(), absl::OkStatus());
  EXPECT_EQ(cancelled_, 0) << "by this call";
  EXPECT_THAT(Queued(), ElementsAre(9));
}

TEST_F(EngineCoreCancelTest, WhatIsLeftIsLeasedToNobody) {
  ASSERT_EQ(Cancel(), absl::OkStatus());
  v1::WorkerView view;
  view.set_worker_id(std::string(32, 'a'));
  view.set_name("worker-a");
  view.set_device("cpu");
  view.set_slots(1);
  view.set_slots_idle(1);
  view.set_gang_size_max(16);
  const auto channel = std::make_shared<FakeChannel>();
  std::vector<Command> commands;
  commands.push_back(core_->TakeViewCommand(view, channel));
  core_->Run(std::move(commands), now_us_);
  core_->Settle(now_us_, now_us_);
  ASSERT_EQ(channel->view().gangs_size(), 1);
  ASSERT_EQ(channel->view().gangs(0).leases_size(), 1);
  EXPECT_EQ(channel->view().gangs(0).leases(0).job_id(), 9);
  EXPECT_THAT(Queued(), ElementsAre(7, 8));
}

TEST_F(EngineCoreCancelTest, WhatIsAskedForAgainMeanwhileIsKept) {
  ASSERT_EQ(Cancel(), absl::OkStatus());
  ASSERT_EQ(Run([](Ledger* ledger, int64_t) {
              Store::Writer* const writer = *ledger->Write();
              ledger->queue().LinkJob(8, 2);
              return writer->LinkJob(2, 8).status();
            }),
            absl::OkStatus());
  Pass(3 * kSecond);
  EXPECT_THAT(Queued(), ElementsAre(8, 9));
}

TEST_F(EngineCoreCancelTest, AFullDiskHoldsItUpOnly) {
  faulty_.FailCommits(true);
  EXPECT_THAT(Cancel(), IsStatus(absl::StatusCode::kResourceExhausted));
  faulty_.FailCommits(false);
  Pass(3 * kSecond);
  EXPECT_EQ(store_->GetSweep("s")->cancelled_us(), 0) << "it was refused";
  EXPECT_EQ(Queued().size(), 9u);
  ASSERT_EQ(Cancel(), absl::OkStatus());
  faulty_.FailCommits(true);
  Pass(3 * kSecond);
  EXPECT_EQ(Queued().size(), 5u);
  faulty_.FailCommits(false);
  Pass(5 * kSecond);
  EXPECT_THAT(Queued(), ElementsAre(9));
}

// -- looking ---------------------------------------------------------------------

TEST_F(EngineCoreTest, RatesAreOfTheLastTenSeconds) {
  const auto count = [this](int64_t points) {
    return Run([points](Ledger* ledger, int64_t now_us) {
      ledger->tally().points += points;
      return RegisterArtifact(std::string(64, 'f'), 1, ledger, now_us);
    });
  };
  const auto rate = [this] { return core_->GetStatus(now_us_).view.points_per_second(); };
  ASSERT_EQ(count(50), absl::OkStatus());
  EXPECT_EQ(rate(), 0.0) << "this second is not over";
  now_us_ += kSecond;
  EXPECT_EQ(rate(), 5.0);
  ASSERT_EQ(count(20), absl::OkStatus());
  now_us_ += 9 * kSecond;
  EXPECT_EQ(rate(), 7.0);
  now_us_ += kSecond;
  EXPECT_EQ(rate(), 2.0);
  now_us_ += kMinute;
  EXPECT_EQ(rate(), 0.0);
  faulty_.FailCommits(true);
  EXPECT_FALSE(count(1000).ok());
  faulty_.FailCommits(false);
  now_us_ += kSecond;
  EXPECT_EQ(rate(), 0.0) << "what was undone does not count";
  EXPECT_EQ(core_->GetStatus(now_us_).since_start.points, 70);
}

}  // namespace
}  // namespace modlab
