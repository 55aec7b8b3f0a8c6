// Leases are handed back: the coordinator asks for it, or the worker drains.

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <set>
#include <vector>

#include "worker/session_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using SessionReleaseTest = SessionTest;

v1::Report Released() {
  v1::Report report;
  report.mutable_released();
  return report;
}

// As Listing(), with these to be released.
v1::CoordinatorView Releasing(int64_t gang_id, const std::vector<int64_t>& jobs,
                              const std::set<int64_t>& released) {
  v1::CoordinatorView view = Listing(gang_id, jobs);
  for (v1::Lease& lease : *view.mutable_gangs(0)->mutable_leases()) {
    lease.set_release(released.count(lease.job_id()) != 0);
  }
  return view;
}

bool IsReleased(Session* session) {
  return session->WaitUntilReleased(std::chrono::steady_clock::now());
}

TEST_F(SessionReleaseTest, AGangWithASlotIsToldAndStaysHeldUntilItHasReported) {
  session_.Apply(Listing(7, {1, 2}));
  const auto gang = session_.NextGang();
  session_.Apply(Releasing(7, {1, 2}, {1}));
  EXPECT_TRUE(gang->releasing(0));
  EXPECT_FALSE(gang->releasing(1));
  EXPECT_FALSE(gang->dropped(0));
  EXPECT_TRUE(session_.Wants(*gang, 0));
  EXPECT_THAT(HeldJobs(session_.NextView()), ElementsAre(1, 2));

  v1::Report checkpoint;
  checkpoint.mutable_checkpoint()->set_iteration(30);
  EXPECT_TRUE(session_.Add(*gang, 0, checkpoint));
  EXPECT_TRUE(session_.Add(*gang, 0, Released()));
  EXPECT_FALSE(session_.Wants(*gang, 0));
  EXPECT_FALSE(session_.Add(*gang, 0, Point())) << "it was the last report";
  const v1::WorkerView view = session_.NextView();
  EXPECT_THAT(HeldJobs(view), ElementsAre(1, 2)) << "until it is acknowledged";
  ASSERT_EQ(view.reports_size(), 2);
  EXPECT_EQ(view.reports(0).checkpoint().iteration(), 30);
  EXPECT_EQ(view.reports(1).released().reason(), "the coordinator asked for it");
  session_.Apply(Listing(7, {2}, 2));
  EXPECT_THAT(HeldJobs(session_.NextView()), ElementsAre(2));
}

TEST_F(SessionReleaseTest, AGangWithoutASlotIsHandedBackAtOnce) {
  session_.Apply(Listing(7, {1, 2}));
  session_.NextView();
  session_.Apply(Releasing(7, {1, 2}, {1, 2}));
  EXPECT_TRUE(session_.has_news());
  const v1::WorkerView view = session_.NextView();
  ASSERT_EQ(view.reports_size(), 2);
  EXPECT_TRUE(view.reports(0).has_released());
  EXPECT_TRUE(view.reports(1).has_released());
  EXPECT_EQ(view.slots_idle(), 2);
  // Asked again by a view that was under way.
  session_.Apply(Releasing(7, {1, 2}, {1, 2}));
  EXPECT_THAT(session_.NextView().reports(), IsEmpty());
  // What the gang would have been given to is free for another.
  session_.Apply(Listing(8, {3}));
  EXPECT_EQ(session_.NextGang()->leases()[0].job_id(), 3);
}

TEST_F(SessionReleaseTest, TheRestOfAWaitingGangIsStillStarted) {
  session_.Apply(Releasing(7, {1, 2}, {2}));
  const auto gang = session_.NextGang();
  EXPECT_FALSE(gang->dropped(0));
  EXPECT_TRUE(gang->dropped(1));
  const v1::WorkerView view = session_.NextView();
  ASSERT_EQ(view.reports_size(), 1);
  EXPECT_EQ(view.reports(0).job_id(), 2);
}

TEST_F(SessionReleaseTest, DrainReleasesEverythingAndStartsNothing) {
  v1::CoordinatorView view = Listing(7, {1});
  List(&view, 8, {2});
  session_.Apply(view);
  const auto gang = session_.NextGang();
  session_.Drain();  // job 2 waits
  EXPECT_EQ(session_.NextGang(), nullptr);
  EXPECT_TRUE(session_.draining());
  EXPECT_TRUE(gang->releasing(0));
  EXPECT_FALSE(gang->dropped(0));
  EXPECT_FALSE(IsReleased(&session_));
  v1::WorkerView told = session_.NextView();
  EXPECT_TRUE(told.draining());
  EXPECT_EQ(told.slots_idle(), 0);
  ASSERT_EQ(told.reports_size(), 1);
  EXPECT_EQ(told.reports(0).job_id(), 2);
  EXPECT_EQ(told.reports(0).released().reason(), "the worker drains");

  // What it has not begun by now it never begins, and does not claim to hold. What it
  // holds it still says, under whatever gang a restarted coordinator gives it.
  view = Listing(3, {1, 4});
  session_.Apply(view);
  told = session_.NextView();
  EXPECT_THAT(HeldJobs(told), ElementsAre(1));
  EXPECT_EQ(told.held(0).gang_id(), 3);
  EXPECT_TRUE(session_.Add(*gang, 0, Released()));
  EXPECT_TRUE(IsReleased(&session_));
}

TEST_F(SessionReleaseTest, TheCoordinatorMayAskToDrain) {
  session_.Apply(Listing(7, {1}));
  const auto gang = session_.NextGang();
  session_.NextView();
  EXPECT_FALSE(session_.draining());
  v1::CoordinatorView view = Listing(7, {1});
  view.set_drain(true);
  const int before = news_;
  session_.Apply(view);
  EXPECT_GT(news_, before);
  EXPECT_TRUE(session_.draining());
  EXPECT_TRUE(gang->releasing(0));
  EXPECT_TRUE(session_.NextView().draining());
  EXPECT_EQ(session_.NextGang(), nullptr);
}

TEST_F(SessionReleaseTest, WaitsUntilAllIsReleased) {
  EXPECT_TRUE(IsReleased(&session_));
  session_.Apply(Listing(7, {1, 2}));
  const auto gang = session_.NextGang();
  session_.Drain();
  session_.Add(*gang, 0, Released());
  EXPECT_FALSE(IsReleased(&session_));
  std::future<bool> released = std::async(std::launch::async, [this] {
    return session_.WaitUntilReleased(std::chrono::steady_clock::now() + std::chrono::seconds(10));
  });
  session_.Add(*gang, 1, Finished());  // as good as released
  EXPECT_TRUE(released.get());
}

TEST_F(SessionReleaseTest, WhatIsNoLongerListedNeedNotBeReleased) {
  session_.Apply(Listing(7, {1}));
  const auto gang = session_.NextGang();
  session_.Drain();
  EXPECT_FALSE(IsReleased(&session_));
  session_.Apply(ListingNothing());
  EXPECT_TRUE(IsReleased(&session_));
}

}  // namespace
}  // namespace modlab
