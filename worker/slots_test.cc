#include "worker/slots.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "spdlog/spdlog.h"
#include "worker/session_fixture.h"

namespace modlab {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Counts what it is asked for.
class CountingTrainer : public Trainer {
 public:
  absl::Status Run(GangObserver*) override { return absl::OkStatus(); }
  void RequestCheckpoints() override { ++requests; }
  void Drop(int) override {}
  const GangProgress& progress() const override { return progress_; }

  std::atomic<int> requests{0};

 private:
  GangProgress progress_;
};

class SlotsTest : public SessionTest {
 protected:
  // The log is made by whoever uses it first; ThreadSanitizer cannot see into it.
  static void SetUpTestSuite() { spdlog::default_logger(); }

  // Starts two gangs, each trained until it is asked for `requests` checkpoints, or
  // for 10 seconds. Returns how often each was asked.
  std::vector<int> RequestsOf(milliseconds interval, int requests, milliseconds at_least) {
    v1::CoordinatorView view;
    List(&view, 1, {1});
    List(&view, 2, {2});
    session_.Apply(view);
    std::atomic<int> counts[2] = {{0}, {0}};
    std::atomic<int> trained{0};
    {
      Slots slots(
          2, &session_,
          [&](const std::shared_ptr<Gang>& gang) {
            CountingTrainer trainer;
            gang->Attach(&trainer, {0});
            const auto start = steady_clock::now();
            while (steady_clock::now() < start + at_least ||
                   (trainer.requests < requests &&
                    steady_clock::now() < start + std::chrono::seconds(10))) {
              std::this_thread::sleep_for(milliseconds(1));
            }
            gang->Detach();
            counts[gang->leases()[0].job_id() - 1] = trainer.requests.load();
            ++trained;
          },
          interval, [] { ADD_FAILURE() << "none hangs"; });
      EXPECT_FALSE(slots.WaitUntilEnded(steady_clock::now()));
      while (trained < 2) std::this_thread::sleep_for(milliseconds(1));
      session_.Abandon();
      EXPECT_TRUE(slots.WaitUntilEnded(steady_clock::now() + std::chrono::seconds(10)));
    }
    return {counts[0], counts[1]};
  }
};

TEST_F(SlotsTest, EveryGangIsAskedForCheckpointsAgainAndAgain) {
  for (const int count : RequestsOf(milliseconds(10), 3, milliseconds(0))) EXPECT_GE(count, 3);
}

TEST_F(SlotsTest, NobodyIsAskedWhereTheIntervalIsZero) {
  for (const int count : RequestsOf(milliseconds(0), 0, milliseconds(50))) EXPECT_EQ(count, 0);
}

TEST_F(SlotsTest, GangsAreTrainedOneAfterTheOther) {
  std::atomic<int> trained{0};
  {
    Slots slots(
        1, &session_, [&](const std::shared_ptr<Gang>&) { ++trained; }, milliseconds(0),
        [] { ADD_FAILURE() << "none hangs"; });
    session_.Apply(Listing(1, {1}));
    while (trained < 1) std::this_thread::sleep_for(milliseconds(1));
    session_.Apply(Listing(2, {2}));
    while (trained < 2) std::this_thread::sleep_for(milliseconds(1));
    session_.Abandon();
  }
  EXPECT_EQ(trained, 2);
}

TEST_F(SlotsTest, ASlotThatHangsIsToldOfOnce) {
  std::atomic<int> hangs{0};
  std::atomic<bool> goes_on{false};
  {
    Slots slots(
        2, &session_,
        [&](const std::shared_ptr<Gang>&) {
          while (!goes_on) std::this_thread::sleep_for(milliseconds(1));
        },
        milliseconds(0), [&] { ++hangs; }, milliseconds(50));
    session_.Apply(Listing(1, {1}));
    while (!session_.NextView().held_size() || session_.NextView().slots_idle() == 2) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    std::this_thread::sleep_for(milliseconds(200));
    EXPECT_EQ(hangs, 0) << "its job is wanted";
    session_.Apply(ListingNothing());
    while (hangs == 0) std::this_thread::sleep_for(milliseconds(1));
    goes_on = true;
    session_.Abandon();
  }
  EXPECT_EQ(hangs, 1);
}

}  // namespace
}  // namespace modlab
