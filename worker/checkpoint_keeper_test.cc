#include "worker/checkpoint_keeper.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/session_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Where files go; it can be shut.
class Sink {
 public:
  ArtifactSink Function() {
    return [this](absl::string_view content, const std::function<bool()>& is_wanted) {
      return Keep(std::string(content), is_wanted);
    };
  }
  void Shut() {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_shut_ = true;
  }
  void Open() {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_shut_ = false;
    changed_.notify_all();
  }
  // Until so many files have come to its door.
  void WaitForCallers(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return callers_ >= count; });
  }
  std::vector<std::string> kept() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return kept_;
  }

 private:
  // Tries again and again while it is shut.
  absl::StatusOr<std::string> Keep(const std::string& content,
                                   const std::function<bool()>& is_wanted) {
    std::unique_lock<std::mutex> lock(mutex_);
    ++callers_;
    changed_.notify_all();
    while (true) {
      lock.unlock();
      const bool wanted = is_wanted();
      lock.lock();
      if (!wanted) return absl::CancelledError("not wanted");
      if (!is_shut_) break;
      changed_.wait_for(lock, std::chrono::milliseconds(1));
    }
    kept_.push_back(content);
    return "sha256 of " + content;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_shut_ = false;
  int callers_ = 0;
  std::vector<std::string> kept_;
};

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
  CheckpointKeeper keeper(&session_, sink_.Function(), /*bytes_max=*/8);
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
  CheckpointKeeper keeper(&session_, sink_.Function(), /*bytes_max=*/4);
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
  CheckpointKeeper keeper(&session_, sink_.Function(), /*bytes_max=*/4);
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
