#include "server/status/metrics_text.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

using testing::HasSubstr;
using testing::Not;

EngineStatus Busy() {
  EngineStatus status;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(R"(
    version: "1.0" started_us: 1000000 now_us: 3500000
    waiting: 10 delayed: 3 running: 4 iterations_per_second: 12.5
    sweeps { id: "secret-1" user: "ada" } sweeps { policy { paused: true } }
    workers { name: "node1" slots: 4 slots_idle: 1 }
    workers { slots: 2 slots_idle: 2 draining: true }
    workers { slots: 1 slots_idle: 1 quarantined_until_us: 9000000 }
    database_bytes: 4096 artifacts_bytes: 5368709120 free_bytes: 1
    trouble: "the disk is full")",
                                                            &status.view));
  status.since_start.jobs_finished = 7;
  status.since_start.points = 123456789;
  status.since_start.failed_by_cause[v1::WORKER_LOST] = 2;
  for (const double seconds : {0.0005, 0.001, 0.03, 9.0}) status.since_start.commits.Add(seconds);
  return status;
}

// Whether the text has this line.
bool HasLine(const std::string& text, const std::string& line) {
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  return testing::Value(lines, testing::Contains(line));
}

TEST(MetricsTextTest, HasGaugesCountersAndAHistogram) {
  const std::string text = MetricsText(Busy());
  for (const char* line : {
           "# TYPE modlab_jobs gauge",
           "modlab_jobs{state=\"waiting\"} 7",
           "modlab_jobs{state=\"delayed\"} 3",
           "modlab_jobs{state=\"running\"} 4",
           "modlab_sweeps{state=\"active\"} 1",
           "modlab_sweeps{state=\"paused\"} 1",
           "modlab_workers{state=\"active\"} 1",
           "modlab_workers{state=\"draining\"} 1",
           "modlab_workers{state=\"quarantined\"} 1",
           "modlab_slots{state=\"busy\"} 3",
           "modlab_slots{state=\"idle\"} 4",
           "modlab_build_info{version=\"1.0\"} 1",
           "modlab_start_time_seconds 1",
           "modlab_uptime_seconds 2.5",
           "modlab_iterations_per_second 12.5",
           "# TYPE modlab_attempts_failed_total counter",
           "modlab_attempts_failed_total{cause=\"worker_lost\"} 2",
           "modlab_attempts_failed_total{cause=\"diverged\"} 0",
           "modlab_jobs_finished_total 7",
           "modlab_points_total 123456789",
           "# TYPE modlab_commit_seconds histogram",
           "modlab_commit_seconds_count 4",
           "modlab_commit_seconds_bucket{le=\"0.001\"} 2",
           "modlab_commit_seconds_bucket{le=\"0.02\"} 2",
           "modlab_commit_seconds_bucket{le=\"5\"} 3",
           "modlab_commit_seconds_bucket{le=\"+Inf\"} 4",
           "modlab_store_bytes{kind=\"artifacts\"} 5368709120",
           "modlab_store_free_bytes 1",
           "modlab_store_trouble 1",
       }) {
    EXPECT_TRUE(HasLine(text, line)) << line << "\nin\n" << text;
  }
}

TEST(MetricsTextTest, TellsNothingOfWhoAndWhat) {
  const std::string text = MetricsText(Busy());
  for (const char* name : {"secret", "ada", "node1", "disk is full"}) {
    EXPECT_THAT(text, Not(HasSubstr(name)));
  }
}

// As many lines for a busy coordinator as for an idle one.
TEST(MetricsTextTest, TheNumberOfSeriesIsFixed) {
  const auto lines = [](const EngineStatus& status) {
    return std::vector<std::string>(absl::StrSplit(MetricsText(status), '\n')).size();
  };
  EXPECT_EQ(lines(EngineStatus()), lines(Busy()));
}

}  // namespace
}  // namespace modlab
