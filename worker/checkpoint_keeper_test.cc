#include "worker/checkpoint_keeper.h"

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/sync/mutex.h"
#include "worker/session_fixture.h"

namespace modlab {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

// Where files go; it can be shut.
class Sink {
 public:
  ArtifactSink Function() {
    return [this](absl::string_view content, const TryAgain& try_again) {
      return Keep(std::string(content), try_again);
    };
  }
  void Shut(const absl::Status& error = absl::UnavailableError("away")) {
    const MutexLock lock(&mutex_);
    error_ = error;
  }
  void Open() {
    const MutexLock lock(&mutex_);
    error_ = absl::OkStatus();
  }
  // Until so many files have come to its door.
  void WaitForCallers(int count) {
    const MutexLock lock(&mutex_);
    while (callers_ < count) changed_.Wait(&mutex_);
  }
  std::vector<std::string> kept() {
    const MutexLock lock(&mutex_);
    return kept_;
  }
  // So often somebody stood before a shut door.
  int errors() {
    const MutexLock lock(&mutex_);
    return errors_;
  }

 private:
  // Tries again and again while it is shut.
  absl::StatusOr<std::string> Keep(const std::string& content, const TryAgain& try_again) {
    {
      const MutexLock lock(&mutex_);
      ++callers_;
      changed_.NotifyAll();
    }
    while (true) {
      const absl::Status error = Try(content);
      if (error.ok()) return "sha256 of " + content;
      if (!try_again(error)) return error;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  absl::Status Try(const std::string& content) {
    const MutexLock lock(&mutex_);
    if (error_.ok()) kept_.push_back(content);
    errors_ += error_.ok() ? 0 : 1;
    return error_;
  }

  Mutex mutex_;
  Condition changed_;
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  int callers_ ABSL_GUARDED_BY(mutex_) = 0;
  int errors_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::string> kept_ ABSL_GUARDED_BY(mutex_);
};

CheckpointKeeper::Limits WaitingMax(int64_t bytes) {
  CheckpointKeeper::Limits limits;
  limits.waiting_bytes_max = bytes;
  return limits;
}

CheckpointKeeper::Limits Patience(int64_t milliseconds) {
  CheckpointKeeper::Limits limits;
  limits.release_patience = std::chrono::milliseconds(milliseconds);
  return limits;
}

const absl::Status kFull = absl::ResourceExhaustedError("no space left on the device");

class CheckpointKeeperTest : public SessionTest {
 protected:
  std::shared_ptr<Gang> Start(const std::vector<int64_t>& jobs) {
    session_.Apply(Listing(7, jobs));
    return session_.NextGang();
  }

  // "1:30" for a checkpoint of job 1 at iteration 30, "1:released".
  std::vector<std::string> Reported() {
    std::vector<std::string> reported;
    const v1::WorkerView view = session_.NextView();
    for (const v1::Report& report : view.reports()) {
      reported.push_back(std::to_string(report.job_id()) + ":" +
                         (report.has_checkpoint() ? std::to_string(report.checkpoint().iteration())
                          : report.has_released() ? "released"
                                                  : "?"));
    }
    return reported;
  }
  bool WaitUntilReleased() {
    return session_.WaitUntilReleased(std::chrono::steady_clock::now() + std::chrono::seconds(10));
  }

  Sink sink_;
};

TEST_F(CheckpointKeeperTest, OnlyTheNewestOfEachLeaseIsStoredAndReleaseComesLast) {
  const auto gang = Start({1, 2});
  CheckpointKeeper keeper(&session_, sink_.Function());
  sink_.Shut();
  keeper.Keep(gang, 0, 10, "a10");
  sink_.WaitForCallers(1);  // a10 is on its way, and tries again
  keeper.Keep(gang, 1, 10, "b10");
  keeper.Keep(gang, 0, 20, "a20");
  keeper.Keep(gang, 1, 20, "b20");
  keeper.Keep(gang, 0, 30, "a30");
  keeper.Release(gang, 0);
  keeper.Release(gang, 1);
  sink_.WaitForCallers(2);  // a10 was given up for a30
  sink_.Open();
  ASSERT_TRUE(WaitUntilReleased());
  EXPECT_THAT(sink_.kept(), ElementsAre("b20", "a30"));
  EXPECT_THAT(Reported(), ElementsAre("2:20", "2:released", "1:30", "1:released"));
  EXPECT_EQ(gang->checkpoint(0).iteration(), 30);
  EXPECT_EQ(gang->checkpoint(0).sha256(), "sha256 of a30");
  EXPECT_EQ(gang->checkpoint(0).size_bytes(), 3);
}

TEST_F(CheckpointKeeperTest, ALeaseIsReleasedWithoutACheckpointToo) {
  const auto gang = Start({1});
  CheckpointKeeper keeper(&session_, sink_.Function());
  keeper.Release(gang, 0);
  ASSERT_TRUE(WaitUntilReleased());
  EXPECT_THAT(Reported(), ElementsAre("1:released"));
}

TEST_F(CheckpointKeeperTest, WhatIsNoLongerWantedIsNotSent) {
  const auto gang = Start({1, 2});
  CheckpointKeeper keeper(&session_, sink_.Function());
  sink_.Shut();
  keeper.Keep(gang, 0, 10, "a10");
  sink_.WaitForCallers(1);
  session_.Apply(Listing(7, {2}));  // dropped while on its way
  keeper.Keep(gang, 1, 10, "b10");
  sink_.WaitForCallers(2);
  sink_.Open();
  keeper.Release(gang, 1);
  ASSERT_TRUE(WaitUntilReleased());
  EXPECT_THAT(sink_.kept(), ElementsAre("b10"));
  EXPECT_THAT(Reported(), ElementsAre("2:10", "2:released"));
}

TEST_F(CheckpointKeeperTest, WithoutRoomTrainingGoesOnWithoutACheckpoint) {
  const auto gang = Start({1, 2});
  CheckpointKeeper keeper(&session_, sink_.Function(), WaitingMax(8));
  sink_.Shut();
  keeper.Keep(gang, 0, 10, "aaaaaaaaaaaa");  // larger than all room, but alone
  sink_.WaitForCallers(1);
  keeper.Keep(gang, 1, 10, "bb");
  sink_.Open();
  keeper.Release(gang, 0);
  keeper.Release(gang, 1);
  ASSERT_TRUE(WaitUntilReleased());
  EXPECT_THAT(sink_.kept(), ElementsAre("aaaaaaaaaaaa"));
  EXPECT_THAT(Reported(), ElementsAre("1:10", "1:released", "2:released"));
}

TEST_F(CheckpointKeeperTest, WhatIsHandedBackWaitsForRoom) {
  const auto gang = Start({1, 2});
  CheckpointKeeper keeper(&session_, sink_.Function(), WaitingMax(4));
  sink_.Shut();
  keeper.Keep(gang, 0, 10, "aaaa");
  sink_.WaitForCallers(1);
  gang->Release(1);
  std::future<void> kept = std::async(std::launch::async, [&] {
    keeper.Keep(gang, 1, 10, "bbbb");
    keeper.Release(gang, 1);
  });
  EXPECT_EQ(kept.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  keeper.Release(gang, 0);
  sink_.Open();
  kept.get();
  ASSERT_TRUE(WaitUntilReleased());
  EXPECT_THAT(Reported(), ElementsAre("1:10", "1:released", "2:10", "2:released"));
}

TEST_F(CheckpointKeeperTest, NobodyWaitsForRoomForALeaseThatIsGone) {
  const auto gang = Start({1, 2});
  CheckpointKeeper keeper(&session_, sink_.Function(), WaitingMax(4));
  sink_.Shut();
  keeper.Keep(gang, 0, 10, "aaaa");
  sink_.WaitForCallers(1);
  gang->Release(1);
  std::future<void> kept =
      std::async(std::launch::async, [&] { keeper.Keep(gang, 1, 10, "bbbb"); });
  session_.Apply(Listing(7, {1}));
  kept.get();
  EXPECT_THAT(sink_.kept(), IsEmpty());
}

TEST_F(CheckpointKeeperTest, WhatTheCoordinatorHasNoRoomForStopsNobodyElse) {
  const auto gang = Start({1, 2});
  CheckpointKeeper keeper(&session_, sink_.Function());
  sink_.Shut(kFull);
  keeper.Keep(gang, 0, 10, "a10");
  keeper.Keep(gang, 1, 10, "b10");
  sink_.WaitForCallers(2);
  sink_.Open();
  keeper.Keep(gang, 0, 20, "a20");
  keeper.Release(gang, 0);
  keeper.Release(gang, 1);
  ASSERT_TRUE(WaitUntilReleased());
  EXPECT_THAT(sink_.kept(), Not(Contains("a10")));
  EXPECT_THAT(sink_.kept(), Contains("a20"));
  EXPECT_LE(sink_.errors(), 4);
}

TEST_F(CheckpointKeeperTest, LeasesAreReleasedFromACoordinatorThatHasNoRoom) {
  const auto gang = Start({1, 2});
  v1::TrainingCheckpoint older;
  older.set_iteration(10);
  gang->SetCheckpoint(0, older);
  CheckpointKeeper keeper(&session_, sink_.Function(), Patience(50));
  sink_.Shut(kFull);
  for (const int member : {0, 1}) {
    gang->Release(member);
    keeper.Keep(gang, member, 20, "file");
    keeper.Release(gang, member);
  }
  ASSERT_TRUE(WaitUntilReleased());
  EXPECT_THAT(Reported(), ElementsAre("1:released", "2:released"));
  EXPECT_EQ(gang->checkpoint(0).iteration(), 10);
  EXPECT_GT(sink_.errors(), 3) << "it was not waited for";
}

TEST_F(CheckpointKeeperTest, WhatIsReleasedWaitsForRoomForAWhile) {
  const auto gang = Start({1});
  CheckpointKeeper keeper(&session_, sink_.Function(), Patience(600'000));
  sink_.Shut(kFull);
  gang->Release(0);
  keeper.Keep(gang, 0, 10, "a10");
  keeper.Release(gang, 0);
  while (sink_.errors() < 5) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  sink_.Open();
  ASSERT_TRUE(WaitUntilReleased());
  EXPECT_THAT(Reported(), ElementsAre("1:10", "1:released"));
}

// Nothing that it would be told of could be heard.
TEST_F(CheckpointKeeperTest, WhatIsReleasedWaitsForACoordinatorThatIsAway) {
  const auto gang = Start({1});
  CheckpointKeeper keeper(&session_, sink_.Function(), Patience(0));
  sink_.Shut();
  gang->Release(0);
  keeper.Keep(gang, 0, 10, "a10");
  keeper.Release(gang, 0);
  while (sink_.errors() < 5) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  sink_.Open();
  ASSERT_TRUE(WaitUntilReleased());
  EXPECT_THAT(Reported(), ElementsAre("1:10", "1:released"));
}

TEST_F(CheckpointKeeperTest, TrainingGoesOnWithoutCheckpointsThatAreTooLarge) {
  const auto gang = Start({1, 2});
  CheckpointKeeper::Limits limits;
  limits.file_bytes_max = 4;
  CheckpointKeeper keeper(&session_, sink_.Function(), limits);
  keeper.Keep(gang, 0, 10, "aaaaa");
  keeper.Keep(gang, 1, 10, "bbbb");
  gang->Release(0);
  keeper.Keep(gang, 0, 20, "aaaaa");
  keeper.Release(gang, 0);
  keeper.Release(gang, 1);
  ASSERT_TRUE(WaitUntilReleased());
  EXPECT_THAT(sink_.kept(), ElementsAre("bbbb"));
}

TEST_F(CheckpointKeeperTest, StopGivesUpWhatIsOnItsWay) {
  const auto gang = Start({1});
  CheckpointKeeper keeper(&session_, sink_.Function());
  sink_.Shut();
  keeper.Keep(gang, 0, 10, "a10");
  sink_.WaitForCallers(1);
  EXPECT_TRUE(keeper.Stop(std::chrono::seconds(10)));
  EXPECT_THAT(sink_.kept(), IsEmpty());
  keeper.Keep(gang, 0, 20, "a20");  // nobody minds any more
}

}  // namespace
}  // namespace modlab
