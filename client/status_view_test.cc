#include "client/status_view.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "modlab/v1/coordinator.pb.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

v1::CoordinatorStatus Status(const std::string& text) {
  v1::CoordinatorStatus status;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &status)) << text;
  return status;
}

constexpr char kBusy[] = R"(
  version: "1.0" started_us: 1000000 now_us: 126000000
  waiting: 12340 delayed: 3 running: 9
  sweeps { id: "b-1" user: "ada" policy { priority: 5 paused: true } waiting: 12340 delayed: 3 }
  sweeps { id: "a-1" policy { max_running: 10 } running: 9 slots: 2 }
  workers { id: "11" name: "node1" device: "cpu" slots: 4 slots_idle: 2 gang_size_max: 16
            jobs_held: 9 iterations_per_second: 1234.4 draining: true }
  workers { id: "22" name: "node2" device: "cuda" slots: 1 slots_idle: 1 gang_size_max: 64
            quarantined_until_us: 186000000 quarantine_reason: "exit 1" failures: 3 }
  jobs_per_second: 0.5 points_per_second: 12 iterations_per_second: 1234.4
  database_bytes: 2048 artifacts_bytes: 1073741824 free_bytes: 10
  trouble: "the disk is full")";

TEST(StatusViewTest, TellsWhatIsGoingOn) {
  const std::string text = absl::StrJoin(StatusLines(Status(kBusy), "at h:1"), "\n");
  EXPECT_THAT(text, HasSubstr("modlab 1.0 at h:1, up 2m 05s\n"));
  EXPECT_THAT(text, HasSubstr("12,340 (3 after a failure) waiting, 9 running\n"));
  EXPECT_THAT(text, HasSubstr("1,234 iterations, 12 points, 0.5 jobs finished, 0 attempts"));
  EXPECT_THAT(text, HasSubstr("2.0 KiB database, 1.0 GiB artifacts, 10 B free\n"));
  EXPECT_THAT(text, HasSubstr("TROUBLE   the disk is full\n"));
  EXPECT_THAT(text, HasSubstr("b-1    ada "));
  EXPECT_THAT(text, HasSubstr("at most 10 running\n"));
  EXPECT_THAT(text, HasSubstr("2/4     9  4.5/16  1,234  drains\n"));
  EXPECT_THAT(text, HasSubstr("0/1     0    0/64      0  quarantined for 1m 00s: exit 1"));
}

TEST(StatusViewTest, ASweepThatNoWorkerFitsIsMarked) {
  const std::string text = absl::StrJoin(StatusLines(Status(R"(
      sweeps { id: "a-1" policy { requirements { labels: "nosuch" } } waiting: 1 }
      sweeps { id: "b-1" policy { requirements { device: "cpu" } } waiting: 1 }
      workers { id: "11" name: "node1" device: "cpu" slots: 1 })"),
                                                     "at h:1"),
                                         "\n");
  EXPECT_THAT(text, HasSubstr("needs nosuch, no worker fits\n"));
  EXPECT_THAT(text, HasSubstr("needs cpu\n"));
}

TEST(StatusViewTest, AnIdleCoordinatorIsCalm) {
  const std::string text = absl::StrJoin(StatusLines(Status(""), "in ./d"), "\n");
  EXPECT_THAT(text, HasSubstr("Nothing waits or runs.\n"));
  EXPECT_THAT(text, HasSubstr("No worker is connected."));
  EXPECT_THAT(text, Not(HasSubstr("TROUBLE")));
}

TEST(StatusViewTest, JsonHasAllOfIt) {
  const auto json = nlohmann::json::parse(StatusJson(Status(kBusy)));
  EXPECT_EQ(json["waiting"], 12340);
  EXPECT_EQ(json["started"], "1970-01-01T00:00:01Z");
  EXPECT_EQ(json["trouble"], "the disk is full");
  ASSERT_EQ(json["sweeps"].size(), 2U);
  EXPECT_EQ(json["sweeps"][0]["priority"], 5);
  EXPECT_EQ(json["sweeps"][0]["paused"], true);
  EXPECT_EQ(json["sweeps"][1]["slots"], 2);
  ASSERT_EQ(json["workers"].size(), 2U);
  EXPECT_EQ(json["workers"][0]["quarantined_until"], nullptr);
  EXPECT_EQ(json["workers"][1]["quarantine_reason"], "exit 1");
  // A name that is no text is still a name.
  v1::CoordinatorStatus broken = Status(kBusy);
  broken.mutable_workers(0)->set_name("n\xff");
  EXPECT_TRUE(nlohmann::json::accept(StatusJson(broken)));
}

TEST(StatusViewTest, LinesFitTheTerminal) {
  EXPECT_THAT(FitLines({"abc", "de"}, 2, 2), ElementsAre("ab", "de"));
  EXPECT_THAT(FitLines({"a", "b", "c", "d"}, 3, 80),
              ElementsAre("a", "b", "... 2 more lines: `modlab top --once`"));
  EXPECT_THAT(FitLines({"a", "b"}, 0, 80), ElementsAre("... 2 more lines: `modlab top --once`"));
}

}  // namespace
}  // namespace modlab
