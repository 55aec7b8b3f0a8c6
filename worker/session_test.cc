#include "worker/session.h"

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "worker/session_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST_F(SessionTest, FirstViewSaysWhoItIsAndThatAllSlotsAreIdle) {
  EXPECT_TRUE(session_.has_news());
  const v1::WorkerView view = session_.NextView();
  EXPECT_EQ(view.worker_id(), Identity().worker_id());
  EXPECT_EQ(view.name(), "host:1");
  EXPECT_EQ(view.slots(), 2);
  EXPECT_EQ(view.slots_idle(), 2);
  EXPECT_FALSE(view.draining());
  EXPECT_THAT(view.held(), IsEmpty());
  EXPECT_FALSE(session_.has_news());
}

TEST_F(SessionTest, StartsWhatIsListedOnceHoweverOftenItIsListed) {
  session_.Apply(Listing(7, {1, 2}));
  session_.Apply(Listing(7, {1, 2}));
  EXPECT_EQ(session_.NextView().slots_idle(), 1);
  const auto gang = session_.NextGang();
  ASSERT_NE(gang, nullptr);
  EXPECT_EQ(gang->size(), 2);
  session_.Apply(Listing(7, {1, 2}));
  const v1::WorkerView view = session_.NextView();
  EXPECT_EQ(view.slots_idle(), 1);
  EXPECT_THAT(HeldJobs(view), UnorderedElementsAre(1, 2));
  EXPECT_EQ(view.held(0).attempt(), 1);
  EXPECT_EQ(view.held(0).gang_id(), 7);
  // Nothing changed by what was already so.
  session_.Apply(Listing(7, {1, 2}));
  EXPECT_FALSE(session_.has_news());
}

TEST_F(SessionTest, ALeaseListedTwiceInOneViewIsStartedOnce) {
  v1::CoordinatorView view;
  List(&view, 7, {1, 1});
  List(&view, 8, {1, 2});
  session_.Apply(view);
  EXPECT_EQ(session_.NextGang()->size(), 1);
  const auto second = session_.NextGang();
  ASSERT_EQ(second->size(), 1);
  EXPECT_EQ(second->leases()[0].job_id(), 2);
}

TEST_F(SessionTest, HeldLeasesUnderANewGangIdGoOnAndOnlyTheRestIsStarted) {
  session_.Apply(Listing(7, {1}));
  const auto gang = session_.NextGang();
  session_.Apply(Listing(1, {1, 2}));
  EXPECT_FALSE(gang->dropped(0));
  const auto added = session_.NextGang();
  ASSERT_EQ(added->size(), 1);
  EXPECT_EQ(added->leases()[0].job_id(), 2);
  const v1::WorkerView view = session_.NextView();
  ASSERT_EQ(view.held_size(), 2);
  EXPECT_EQ(view.held(0).gang_id(), 1);
  EXPECT_EQ(view.slots_idle(), 0);
}

TEST_F(SessionTest, MoreGangsThanSlotsLeaveNoSlotIdle) {
  v1::CoordinatorView view;
  List(&view, 1, {1});
  List(&view, 2, {2});
  List(&view, 3, {3});
  session_.Apply(view);
  EXPECT_EQ(session_.NextView().slots_idle(), 0);
  session_.NextGang();
  session_.NextGang();
  EXPECT_EQ(session_.NextView().slots_idle(), 0);
  session_.GangEnded();
  session_.NextGang();
  session_.GangEnded();
  session_.GangEnded();
  EXPECT_TRUE(session_.has_news());
  EXPECT_EQ(session_.NextView().slots_idle(), 2);
}

TEST_F(SessionTest, DropsWhatIsNoLongerListedWithoutAReport) {
  session_.Apply(Listing(7, {1, 2}));
  const auto gang = session_.NextGang();
  session_.NextView();
  session_.Apply(Listing(7, {2}));
  EXPECT_TRUE(gang->dropped(0));
  EXPECT_FALSE(gang->dropped(1));
  EXPECT_TRUE(session_.has_news());
  EXPECT_FALSE(session_.Add(*gang, 0, Point()));
  EXPECT_FALSE(session_.Add(*gang, 0, Finished()));
  EXPECT_TRUE(session_.Add(*gang, 1, Point()));
  const v1::WorkerView view = session_.NextView();
  EXPECT_THAT(HeldJobs(view), ElementsAre(2));
  ASSERT_EQ(view.reports_size(), 1);
  EXPECT_EQ(view.reports(0).job_id(), 2);
}

TEST_F(SessionTest, AGangDroppedBeforeItHadASlotIsNeverStarted) {
  session_.Apply(Listing(7, {1}));
  session_.Apply(ListingNothing());
  EXPECT_EQ(session_.NextView().slots_idle(), 2);
  session_.Apply(Listing(8, {2}));
  EXPECT_EQ(session_.NextGang()->leases()[0].job_id(), 2);
}

TEST_F(SessionTest, AnotherAttemptOfAHeldJobReplacesIt) {
  session_.Apply(Listing(7, {1}));
  const auto first = session_.NextGang();
  session_.Apply(Listing(8, {1}, 0, 2));
  EXPECT_TRUE(first->dropped(0));
  const auto second = session_.NextGang();
  EXPECT_EQ(second->leases()[0].attempt(), 2);
  EXPECT_FALSE(session_.Add(*first, 0, Finished()));
  EXPECT_TRUE(session_.Add(*second, 0, Finished()));
  EXPECT_EQ(session_.NextView().reports(0).attempt(), 2);
}

TEST_F(SessionTest, HoldsALeaseUntilItsLastReportIsAcknowledged) {
  session_.Apply(Listing(7, {1}));
  const auto gang = session_.NextGang();
  EXPECT_TRUE(session_.Add(*gang, 0, Point()));
  EXPECT_TRUE(session_.Add(*gang, 0, Finished()));
  session_.GangEnded();
  v1::WorkerView view = session_.NextView();
  EXPECT_THAT(HeldJobs(view), ElementsAre(1));
  EXPECT_THAT(Numbers(view), ElementsAre(1, 2));
  EXPECT_EQ(view.reports(1).job_id(), 1);
  EXPECT_EQ(view.reports(1).attempt(), 1);

  session_.Apply(Listing(7, {1}, 1));
  EXPECT_THAT(HeldJobs(session_.NextView()), ElementsAre(1));
  session_.Apply(ListingNothing(2));
  EXPECT_TRUE(session_.has_news());
  EXPECT_THAT(HeldJobs(session_.NextView()), IsEmpty());
  EXPECT_FALSE(session_.has_unacknowledged());
}

TEST_F(SessionTest, AFinishedLeaseThatIsStillListedIsNotStartedAgain) {
  session_.Apply(Listing(7, {1}));
  const auto gang = session_.NextGang();
  session_.Add(*gang, 0, Finished());
  session_.GangEnded();
  session_.Apply(Listing(7, {1}));  // not acknowledged
  EXPECT_EQ(session_.NextView().slots_idle(), 2);
  session_.Apply(Listing(7, {1}, 1));  // acknowledged, but listed by a view under way
  const v1::WorkerView view = session_.NextView();
  EXPECT_EQ(view.slots_idle(), 2);
  EXPECT_THAT(HeldJobs(view), IsEmpty());
  session_.Apply(Listing(8, {1}, 1, 2));  // a retry is another attempt
  EXPECT_EQ(session_.NextView().slots_idle(), 1);
}

TEST_F(SessionTest, NothingFollowsALastReport) {
  session_.Apply(Listing(7, {1}));
  const auto gang = session_.NextGang();
  EXPECT_TRUE(session_.Add(*gang, 0, Finished()));
  EXPECT_FALSE(session_.Add(*gang, 0, Point()));
  EXPECT_FALSE(session_.Add(*gang, 0, Finished()));
}

TEST_F(SessionTest, SendsEachReportOnceAStreamUntilAcknowledged) {
  session_.Apply(Listing(7, {1}));
  const auto gang = session_.NextGang();
  for (int i = 0; i < 3; ++i) session_.Add(*gang, 0, Point(i));
  EXPECT_TRUE(session_.has_news());
  EXPECT_THAT(Numbers(session_.NextView()), ElementsAre(1, 2, 3));
  EXPECT_FALSE(session_.has_news());
  EXPECT_THAT(Numbers(session_.NextView()), IsEmpty());
  session_.Apply(Listing(7, {1}, 1));
  session_.StreamOpened();
  EXPECT_THAT(Numbers(session_.NextView()), ElementsAre(2, 3));
  session_.Apply(Listing(7, {1}, 3));
  session_.StreamOpened();
  EXPECT_THAT(Numbers(session_.NextView()), IsEmpty());
}

TEST_F(SessionTest, ReportsOfADroppedLeaseAreStillSentSoThatNumbersHaveNoGap) {
  session_.Apply(Listing(7, {1, 2}));
  const auto gang = session_.NextGang();
  session_.Add(*gang, 0, Point());
  session_.Add(*gang, 1, Point());
  session_.Apply(Listing(7, {2}));
  EXPECT_THAT(Numbers(session_.NextView()), ElementsAre(1, 2));
}

TEST_F(SessionTest, NewsIsTold) {
  const int before = news_;
  session_.Apply(Listing(7, {1}));
  EXPECT_GT(news_, before);
  const auto gang = session_.NextGang();
  const int started = news_;
  session_.Add(*gang, 0, Point());
  EXPECT_GT(news_, started);
  session_.NextView();
  const int sent = news_;
  session_.Apply(Listing(7, {1}, 1));
  EXPECT_EQ(news_, sent) << "a point's acknowledgement changes nothing that is said";
}

TEST_F(SessionTest, AbandonDropsEverythingButReports) {
  session_.Apply(Listing(7, {1}));
  const auto gang = session_.NextGang();
  session_.Add(*gang, 0, Point());
  std::future<std::shared_ptr<Gang>> waiting =
      std::async(std::launch::async, [this] { return session_.NextGang(); });
  session_.Abandon();
  EXPECT_EQ(waiting.get(), nullptr);
  EXPECT_TRUE(gang->dropped(0));
  EXPECT_TRUE(session_.has_news());
  const v1::WorkerView view = session_.NextView();
  EXPECT_TRUE(view.draining());
  EXPECT_THAT(HeldJobs(view), IsEmpty());
  EXPECT_EQ(view.slots_idle(), 0);
  EXPECT_THAT(Numbers(view), ElementsAre(1));
  // The coordinator has not heard of it yet.
  session_.Apply(Listing(7, {1, 2}));
  EXPECT_THAT(HeldJobs(session_.NextView()), IsEmpty());
  EXPECT_EQ(session_.NextGang(), nullptr);
  EXPECT_TRUE(session_.has_unacknowledged());
  session_.Apply(ListingNothing(1));
  EXPECT_FALSE(session_.has_unacknowledged());
}

class SmallSessionTest : public SessionTest {
 protected:
  SmallSessionTest() : SessionTest(Limits()) {}
  static ReportLimits Limits() {
    ReportLimits limits;
    limits.reports_max = 2;
    limits.view_bytes_max = 1;
    return limits;
  }

  // Adds a report from another thread, as a trainer does.
  std::future<bool> AddElsewhere(const Gang& gang, int member) {
    return std::async(std::launch::async,
                      [this, &gang, member] { return session_.Add(gang, member, Point()); });
  }
  static bool IsWaiting(const std::future<bool>& added) {
    return added.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout;
  }
};

TEST_F(SmallSessionTest, ReportsThatDoNotFitFollowInTheNextView) {
  session_.Apply(Listing(7, {1}));
  const auto gang = session_.NextGang();
  session_.Add(*gang, 0, Point(1));
  session_.Add(*gang, 0, Point(2));
  EXPECT_THAT(Numbers(session_.NextView()), ElementsAre(1));
  EXPECT_TRUE(session_.has_news());
  EXPECT_THAT(Numbers(session_.NextView()), ElementsAre(2));
  EXPECT_FALSE(session_.has_news());
}

TEST_F(SmallSessionTest, TrainersWaitWhileTooMuchIsUnacknowledged) {
  session_.Apply(Listing(7, {1}));
  const auto gang = session_.NextGang();
  session_.Add(*gang, 0, Point(1));
  session_.Add(*gang, 0, Point(2));
  std::future<bool> third = AddElsewhere(*gang, 0);
  EXPECT_TRUE(IsWaiting(third));
  session_.NextView();
  session_.NextView();
  EXPECT_TRUE(IsWaiting(third)) << "sent is not acknowledged";
  session_.Apply(Listing(7, {1}, 1));
  EXPECT_TRUE(third.get());
  EXPECT_THAT(Numbers(session_.NextView()), ElementsAre(3));
}

TEST_F(SmallSessionTest, ATrainerThatWaitsIsFreedWhenItsMemberIsDropped) {
  session_.Apply(Listing(7, {1}));
  const auto gang = session_.NextGang();
  session_.Add(*gang, 0, Point(1));
  session_.Add(*gang, 0, Point(2));
  std::future<bool> third = AddElsewhere(*gang, 0);
  EXPECT_TRUE(IsWaiting(third));
  session_.Apply(ListingNothing());
  EXPECT_FALSE(third.get());
}

TEST_F(SmallSessionTest, ATrainerThatWaitsIsFreedByAbandon) {
  session_.Apply(Listing(7, {1}));
  const auto gang = session_.NextGang();
  session_.Add(*gang, 0, Point(1));
  session_.Add(*gang, 0, Point(2));
  std::future<bool> third = AddElsewhere(*gang, 0);
  session_.Abandon();
  EXPECT_FALSE(third.get());
}

}  // namespace
}  // namespace modlab
