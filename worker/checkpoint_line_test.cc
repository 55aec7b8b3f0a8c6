#include "worker/checkpoint_line.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "worker/session_fixture.h"

namespace modlab {
namespace {

class CheckpointLineTest : public SessionTest {
 protected:
  void SetUp() override {
    session_.Apply(Listing(7, {1, 2}));
    gang_ = session_.NextGang();
  }

  std::shared_ptr<Gang> gang_;
  CheckpointLine line_;
};

TEST_F(CheckpointLineTest, TheLongestWaitingComesFirstWithItsNewestFile) {
  line_.Put(gang_, 0, 10, "old");
  line_.Put(gang_, 1, 10, "other");
  line_.Put(gang_, 0, 20, "newer");
  line_.Release(gang_, 0);

  const CheckpointLine::Work first = line_.Take();
  EXPECT_EQ(first.member, 0);
  EXPECT_EQ(first.iteration, 20);
  EXPECT_EQ(first.file, "newer");
  EXPECT_TRUE(first.release);
  const CheckpointLine::Work second = line_.Take();
  EXPECT_EQ(second.member, 1);
  EXPECT_EQ(second.file, "other");
  EXPECT_FALSE(second.release);
  EXPECT_TRUE(line_.empty());
}

TEST_F(CheckpointLineTest, AFileInHandCountsUntilItIsDone) {
  line_.Put(gang_, 0, 10, "12345");
  const CheckpointLine::Work work = line_.Take();
  EXPECT_EQ(line_.bytes(), 5);
  line_.Put(gang_, 0, 20, "123");
  EXPECT_EQ(line_.bytes(), 8);
  EXPECT_EQ(line_.BytesBeside(*gang_, 0), 5);  // what waits would be replaced
  EXPECT_EQ(line_.BytesBeside(*gang_, 1), 8);
  line_.Done(work);
  EXPECT_EQ(line_.bytes(), 3);
}

TEST_F(CheckpointLineTest, ANewerFileIsNoticedAReleaseIsNone) {
  line_.Put(gang_, 0, 10, "old");
  const CheckpointLine::Work work = line_.Take();
  EXPECT_FALSE(line_.HasNewer(work));
  line_.Release(gang_, 0);
  line_.Put(gang_, 1, 20, "another's");
  EXPECT_FALSE(line_.HasNewer(work));
  line_.Put(gang_, 0, 20, "newer");
  EXPECT_TRUE(line_.HasNewer(work));
}

TEST_F(CheckpointLineTest, WhatIsStoredIsReportedAndKnownToTheGang) {
  line_.Put(gang_, 1, 30, "file");
  const CheckpointLine::Work work = line_.Take();
  ReportStored(work, "abc", &session_);
  ReportReleased(work, &session_);

  EXPECT_EQ(gang_->checkpoint(1).iteration(), 30);
  const v1::WorkerView view = session_.NextView();
  ASSERT_EQ(view.reports_size(), 2);
  EXPECT_EQ(view.reports(0).job_id(), 2);
  EXPECT_EQ(view.reports(0).checkpoint().sha256(), "abc");
  EXPECT_EQ(view.reports(0).checkpoint().size_bytes(), 4);
  EXPECT_TRUE(view.reports(1).has_released());
}

}  // namespace
}  // namespace modlab
