// Jobs whose workers answer, but get nowhere.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/queue/queue_fixture.h"

namespace modlab {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class QueueStallTest : public QueueFixture {
 protected:
  static constexpr int64_t kStallUs = 60'000'000;

  QueueStallTest() {
    Queue::Options options = Options();
    options.stall_us = kStallUs;
    queue_ = std::make_unique<Queue>(options);
    SetSweep(Sweep(1));
    AddJobs(1, 1, "a");
    Update(view_);
    EXPECT_THAT(Assign(), ElementsAre("w: 1/1"));
  }

  // A view after `pause_us`; what expired then.
  std::vector<Queue::Verdict> Beat(uint64_t pulse, int64_t pause_us = kLeaseUs / 4) {
    now_ += pause_us;
    v1::WorkerView view = Obedient(view_);
    for (v1::HeldLease& held : *view.mutable_held()) held.set_pulse(pulse);
    Update(view);
    return queue_->Expire(now_);
  }
  double Speed() const { return queue_->IterationsPerSecond(1); }

  v1::WorkerView view_ = At("p", View("w", 1, 8));
};

TEST_F(QueueStallTest, AJobThatGetsNowhereIsTakenFromItsWorkerAndGoesElsewhere) {
  EXPECT_THAT(Beat(7), IsEmpty());
  const int64_t since = now_;
  std::vector<Queue::Verdict> ended;
  while (ended.empty() && now_ < since + 2 * kStallUs) ended = Beat(7);
  EXPECT_EQ(now_, since + kStallUs);
  ASSERT_THAT(Lines(ended), ElementsAre("1 requeued 1"));
  EXPECT_TRUE(ended[0].stalled);
  EXPECT_THAT(Desired("w"), IsEmpty()) << "its worker is told";
  now_ += kBackoffUs;
  view_.set_slots_idle(1);  // had it one more
  Update(view_);
  Update(At("q", View("x", 1, 8)));
  EXPECT_THAT(Assign(), ElementsAre("x: 1/2"));
}

TEST_F(QueueStallTest, OneThatGetsOnKeepsItsLeaseHoweverLongAStepTakes) {
  for (uint64_t pulse = 1; pulse < 5; ++pulse) {
    for (int64_t us = 0; us < kStallUs; us += kLeaseUs / 4) ASSERT_THAT(Beat(pulse), IsEmpty());
  }
}

TEST_F(QueueStallTest, WhatWaitsOrDoesNotSayIsNotJudged) {
  for (int64_t us = 0; us < 3 * kStallUs; us += kLeaseUs / 4) ASSERT_THAT(Beat(0), IsEmpty());
}

TEST_F(QueueStallTest, TimeInWhichNothingWasHeardIsNoStandstill) {
  // The coordinator stood still, and hears late what was sent before.
  for (int i = 0; i < 3; ++i) {
    Beat(7, 0);
    now_ += 100 * kStallUs;
    Update(Obedient(view_));
  }
  EXPECT_THAT(Beat(7, 0), IsEmpty());
}

TEST_F(QueueStallTest, WithoutALimitItKeepsItsLease) {
  queue_ = NewQueue();
  Queue::Options options = Options();
  options.stall_us = 0;
  queue_ = std::make_unique<Queue>(options);
  SetSweep(Sweep(1));
  AddJobs(1, 1, "a");
  Update(view_);
  Assign();
  for (int64_t us = 0; us < 3 * kStallUs; us += kLeaseUs / 4) ASSERT_THAT(Beat(7), IsEmpty());
}

TEST_F(QueueStallTest, AStaleSpeedIsNotShown) {
  Beat(7);
  EXPECT_EQ(Speed(), 10.0);
  for (int64_t us = 0; us <= kLeaseUs; us += kLeaseUs / 4) Beat(7);
  EXPECT_EQ(Speed(), 0.0);
  Beat(8);
  EXPECT_EQ(Speed(), 10.0);
}

TEST_F(QueueStallTest, OnlyItsGangIsBlamed) {
  AddJobs(2, 2, "b");
  view_.set_slots(2);
  Update(Obedient(view_));
  EXPECT_THAT(Assign(), ElementsAre("w: 2/1"));
  const auto beat = [this](uint64_t pulse) {
    now_ += kLeaseUs / 4;
    v1::WorkerView view = Obedient(view_);
    for (v1::HeldLease& held : *view.mutable_held()) held.set_pulse(held.job_id() == 1 ? 7 : pulse);
    Update(view);
    return queue_->Expire(now_);
  };
  std::vector<Queue::Verdict> ended;
  for (uint64_t pulse = 1; ended.empty() && pulse < 100; ++pulse) ended = beat(pulse);
  EXPECT_THAT(Lines(ended), ElementsAre("1 requeued 1"));
  EXPECT_TRUE(queue_->LeaseIsCurrent(2, 1, "w"));
  EXPECT_EQ(queue_->ListWorkers()[0].failures(), 1);
}

}  // namespace
}  // namespace modlab
