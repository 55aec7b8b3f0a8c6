#include "worker/hang_watch.h"

#include <memory>

#include "worker/session_fixture.h"

namespace modlab {
namespace {

using std::chrono::seconds;

class StillTrainer : public Trainer {
 public:
  absl::Status Run(GangObserver*) override { return absl::OkStatus(); }
  void RequestCheckpoints() override {}
  void Drop(int) override {}
  const GangProgress& progress() const override { return counters; }

  GangProgress counters;
};

class HangWatchTest : public SessionTest {
 protected:
  HangWatchTest() {
    session_.Apply(Listing(1, {1, 2}));
    gang_ = session_.TryNextGang();
    gang_->SetComputing(true);
    gang_->Attach(&trainer_, {0, 1});
  }
  ~HangWatchTest() override { gang_->Detach(); }

  bool LookAt(int second) {
    return watch_.Look(gang_, session_, HangWatch::TimePoint() + seconds(second));
  }

  StillTrainer trainer_;
  std::shared_ptr<Gang> gang_;
  HangWatch watch_{seconds(10)};
};

TEST_F(HangWatchTest, ASlotThatStandsStillOnceNobodyWantsItsJobsHangs) {
  EXPECT_FALSE(LookAt(0));
  EXPECT_FALSE(LookAt(1000)) << "that its jobs get on is for the coordinator to judge";
  session_.Apply(Listing(1, {2}));
  EXPECT_FALSE(LookAt(2000)) << "one is wanted still";
  session_.Apply(ListingNothing());
  EXPECT_FALSE(LookAt(2001));
  EXPECT_FALSE(LookAt(2010));
  EXPECT_TRUE(LookAt(2011));
}

TEST_F(HangWatchTest, OneThatGetsOnOrEndsDoesNot) {
  session_.Apply(ListingNothing());
  EXPECT_FALSE(LookAt(0));
  ++trainer_.counters.pulse;
  EXPECT_FALSE(LookAt(11));
  EXPECT_FALSE(LookAt(20));
  EXPECT_FALSE(watch_.Look(nullptr, session_, HangWatch::TimePoint() + seconds(21)));
  EXPECT_FALSE(LookAt(22));
  EXPECT_TRUE(LookAt(32));
}

// Else it would hold its lease for ever behind one that hangs.
TEST_F(HangWatchTest, WhoWaitsForItsTurnHasThePulseOfThoseBeforeIt) {
  gang_->Detach();
  gang_->Attach(&trainer_, {0});
  const uint64_t pulse = gang_->progress(1).pulse;
  EXPECT_GT(pulse, 0u);
  EXPECT_EQ(gang_->progress(0).pulse, pulse);
  ++trainer_.counters.pulse;
  EXPECT_NE(gang_->progress(1).pulse, pulse);
  gang_->Drop(1);
  EXPECT_EQ(gang_->progress(1).pulse, 0u) << "the keeper may have it";
}

}  // namespace
}  // namespace modlab
