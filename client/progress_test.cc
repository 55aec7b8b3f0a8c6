#include "client/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>

#include "absl/time/time.h"
#include "client/text.h"

namespace modlab {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::Sweep MakeSweep(int queued, int running, int succeeded, int64_t iterations_done) {
  v1::Sweep sweep;
  sweep.set_id("test-1");
  sweep.mutable_counts()->set_queued(queued);
  sweep.mutable_counts()->set_running(running);
  sweep.mutable_counts()->set_succeeded(succeeded);
  sweep.set_iterations_done(iterations_done);
  sweep.set_iterations_total(10000);
  return sweep;
}

absl::Time At(int seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

TEST(ProgressTest, TellsJobsRateAndTheTimeLeft) {
  Progress progress;
  progress.Update(MakeSweep(6, 2, 2, 1000), At(0));
  EXPECT_EQ(progress.Line(), "test-1  2/10 jobs  2 running  10%");
  progress.Update(MakeSweep(6, 2, 2, 2000), At(10));
  EXPECT_EQ(progress.Line(), "test-1  2/10 jobs  2 running  20%  100 it/s  ETA 1m 20s");
  EXPECT_FALSE(progress.Done());
}

TEST(ProgressTest, TheCoordinatorsRateIsShownAndTheMeasuredOneTellsTheEnd) {
  Progress progress;
  v1::Sweep sweep = MakeSweep(0, 2, 0, 0);
  sweep.set_iterations_per_second(1234);
  progress.Update(sweep, At(0));
  EXPECT_THAT(progress.Line(), HasSubstr("1,234 it/s  ETA 8s"));
  sweep.set_iterations_done(1000);
  progress.Update(sweep, At(10));
  EXPECT_THAT(progress.Line(), HasSubstr("1,234 it/s  ETA 1m 30s"));
}

TEST(ProgressTest, WorkThatIsLostDoesNotMakeTheRateNegative) {
  Progress progress;
  progress.Update(MakeSweep(0, 2, 0, 5000), At(0));
  progress.Update(MakeSweep(1, 1, 0, 3000), At(10));
  EXPECT_EQ(progress.Line(), "test-1  0/2 jobs  1 running  30%");
}

TEST(ProgressTest, EndsWhenNothingWaitsOrRuns) {
  Progress progress;
  v1::Sweep sweep = MakeSweep(0, 0, 9, 9500);
  sweep.mutable_counts()->set_failed(1);
  progress.Update(sweep, At(0));
  EXPECT_TRUE(progress.Done());
  EXPECT_EQ(progress.Line(), "test-1  10/10 jobs  1 failed");
}

TEST(ProgressTest, TheBarFitsItsLine) {
  Progress progress;
  progress.Update(MakeSweep(5, 0, 5, 5000), At(0));
  EXPECT_THAT(progress.Bar(200), HasSubstr("███████████████░░░░░░░░░░░░░░░"));
  for (int columns = 0; columns < 100; ++columns) {
    EXPECT_LE(DisplayWidth(progress.Bar(columns)), columns);
  }
  EXPECT_THAT(progress.Bar(30), Not(HasSubstr("░")));
}

TEST(ProgressTest, APausedSweepSaysSo) {
  v1::Sweep sweep;
  sweep.set_id("s-1");
  sweep.mutable_counts()->set_queued(2);
  sweep.mutable_policy()->set_paused(true);
  Progress progress;
  progress.Update(sweep, absl::UnixEpoch());
  EXPECT_EQ(progress.Line(), "s-1  0/2 jobs  paused  0%");
}

}  // namespace
}  // namespace modlab
