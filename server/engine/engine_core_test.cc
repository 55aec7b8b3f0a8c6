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

namespace modlab {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kMinute = 60 * kSecond;

class EngineCoreTest : public StoreFixture {
 protected:
  EngineCoreTest() : faulty_(writer()) { StartCore(); }

  void StartCore() {
    core_ = std::make_unique<EngineCore>(store_.get(), &faulty_, &files_, EngineCore::Options(),
                                         now_us_);
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
