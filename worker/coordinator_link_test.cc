#include "worker/coordinator_link.h"

#include <chrono>
#include <memory>
#include <thread>

#include "worker/coordinator_link_fixture.h"

namespace modlab {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

TEST_F(CoordinatorLinkTest, TakesInWhatTheCoordinatorWantsAndTellsWhatItHolds) {
  v1::CoordinatorView view;
  v1::Gang* desired = view.add_gangs();
  desired->add_leases()->set_job_id(5);
  coordinator_.Desire(view);
  StartServer();
  link_->Start();
  const auto gang = session_->NextGang();
  EXPECT_EQ(gang->leases()[0].job_id(), 5);
  EXPECT_TRUE(Eventually([&] {
    const auto views = coordinator_.views();
    return !views.empty() && views.back().held_size() == 1 && views.back().held(0).job_id() == 5;
  }));
}

TEST_F(CoordinatorLinkTest, SendsAReportAtOnceAndOnce) {
  StartServer();
  link_->Start();
  const auto gang = StartOneJob();
  const Clock::time_point before = Clock::now();
  AddPoint(*gang);
  ASSERT_TRUE(Eventually([&] { return !session_->has_unacknowledged(); }));
  // The heartbeat interval is a minute.
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(5));
  AddPoint(*gang);
  ASSERT_TRUE(Eventually([&] { return coordinator_.times_received(2) == 1; }));
  EXPECT_EQ(coordinator_.times_received(1), 1);
}

TEST_F(CoordinatorLinkTest, ManyReportsTravelInFewViews) {
  StartServer();
  link_->Start();
  const auto gang = StartOneJob();
  for (int i = 0; i < 5000; ++i) AddPoint(*gang);
  ASSERT_TRUE(Eventually([&] { return !session_->has_unacknowledged(); }));
  EXPECT_EQ(coordinator_.times_received(5000), 1);
  EXPECT_LT(coordinator_.views().size(), 1000u);
}

TEST_F(CoordinatorLinkTest, SendsAViewEveryHeartbeatInterval) {
  coordinator_.heartbeat_interval_ms = 30;
  StartServer();
  link_->Start();
  ASSERT_TRUE(Eventually([&] { return coordinator_.views().size() >= 5; }));
  EXPECT_EQ(coordinator_.streams, 1);
}

TEST_F(CoordinatorLinkTest, WaitsForACoordinatorThatComesLater) {
  link_->Start();
  const auto gang = StartOneJob();
  AddPoint(*gang);
  std::this_thread::sleep_for(milliseconds(300));
  StartServer();
  EXPECT_TRUE(Eventually([&] { return !session_->has_unacknowledged(); }));
}

TEST_F(CoordinatorLinkTest, SendsReportsAgainAfterARestartUntilTheyAreAcknowledged) {
  coordinator_.acknowledges = false;
  StartServer();
  link_->Start();
  const auto gang = StartOneJob();
  AddPoint(*gang);
  AddPoint(*gang);
  ASSERT_TRUE(Eventually([&] { return coordinator_.times_received(2) == 1; }));
  StopServer();
  AddPoint(*gang);
  StartServer();
  ASSERT_TRUE(Eventually([&] { return coordinator_.times_received(3) == 1; }));
  EXPECT_EQ(coordinator_.times_received(1), 2);
  EXPECT_EQ(coordinator_.times_received(2), 2);
  EXPECT_TRUE(session_->has_unacknowledged());

  coordinator_.acknowledges = true;
  AddPoint(*gang);
  ASSERT_TRUE(Eventually([&] { return !session_->has_unacknowledged(); }));
  const int times = coordinator_.times_received(1);
  StopServer();
  AddPoint(*gang);
  StartServer();
  ASSERT_TRUE(Eventually([&] { return coordinator_.times_received(5) == 1; }));
  EXPECT_EQ(coordinator_.times_received(1), times);
  EXPECT_FALSE(gang->dropped(0));
}

TEST_F(CoordinatorLinkTest, OpensANewStreamWhenNothingIsHeard) {
  coordinator_.heartbeat_interval_ms = 30;
  coordinator_.lease_duration_ms = 150;
  StartServer();
  link_->Start();
  ASSERT_TRUE(Eventually([&] { return coordinator_.views().size() >= 3; }));
  EXPECT_EQ(coordinator_.streams, 1);
  coordinator_.answers = false;
  ASSERT_TRUE(Eventually([&] { return coordinator_.streams >= 3; }));
  coordinator_.answers = true;
  const auto gang = StartOneJob();
  AddPoint(*gang);
  EXPECT_TRUE(Eventually([&] { return !session_->has_unacknowledged(); }));
}

TEST_F(CoordinatorLinkTest, StopSaysThatItDrainsAndWaitsForTheLastAcknowledgement) {
  StartServer();
  link_->Start();
  const auto gang = StartOneJob();
  ASSERT_TRUE(Eventually([&] { return !coordinator_.views().empty(); }));
  AddPoint(*gang);
  session_->Abandon();
  link_->Stop(std::chrono::seconds(10));
  EXPECT_FALSE(session_->has_unacknowledged());
  EXPECT_EQ(coordinator_.half_closed, 1);
  const v1::WorkerView last = coordinator_.views().back();
  EXPECT_TRUE(last.draining());
  EXPECT_EQ(last.held_size(), 0);
}

TEST_F(CoordinatorLinkTest, StopDoesNotWaitForACoordinatorThatIsAwayWithNothingToTellIt) {
  link_->Start();
  session_->Abandon();
  const Clock::time_point before = Clock::now();
  link_->Stop(std::chrono::seconds(60));
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(10));
}

TEST_F(CoordinatorLinkTest, StopTellsTheLastToACoordinatorThatComesBackInTime) {
  link_->Start();
  const auto gang = StartOneJob();
  AddPoint(*gang);
  session_->Abandon();
  std::thread late([this] {
    std::this_thread::sleep_for(milliseconds(300));
    StartServer();
  });
  link_->Stop(std::chrono::seconds(30));
  late.join();
  EXPECT_FALSE(session_->has_unacknowledged());
}

TEST_F(CoordinatorLinkTest, StopWaitsNoLongerThanItsGraceForACoordinatorThatIsAway) {
  link_->Start();
  const auto gang = StartOneJob();
  AddPoint(*gang);
  const Clock::time_point before = Clock::now();
  link_->Stop(milliseconds(100));
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(10));
  EXPECT_TRUE(session_->has_unacknowledged());
}

TEST_F(CoordinatorLinkTest, StopInterruptsTheWaitForTheNextStream) {
  const milliseconds long_wait(60'000);
  link_ = std::make_unique<CoordinatorLink>(channel_, address_, session_.get(),
                                            Backoff(long_wait, long_wait));
  link_->Start();
  const auto gang = StartOneJob();
  AddPoint(*gang);
  // Nobody is there: the first stream ends at once.
  std::this_thread::sleep_for(milliseconds(300));
  const Clock::time_point before = Clock::now();
  link_->Stop(milliseconds(100));
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(10));
  EXPECT_TRUE(session_->has_unacknowledged());
}

TEST_F(CoordinatorLinkTest, StopWaitsNoLongerThanItsGrace) {
  coordinator_.acknowledges = false;
  StartServer();
  link_->Start();
  const auto gang = StartOneJob();
  AddPoint(*gang);
  ASSERT_TRUE(Eventually([&] { return coordinator_.times_received(1) == 1; }));
  const Clock::time_point before = Clock::now();
  link_->Stop(milliseconds(100));
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(10));
  EXPECT_TRUE(session_->has_unacknowledged());
}

}  // namespace
}  // namespace modlab
