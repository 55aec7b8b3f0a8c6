#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "server/store/store.h"
#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;

class EventRowsTest : public StoreFixture {
 protected:
  std::vector<v1::JobEvent> Events(int64_t job) {
    const auto events = store_->ReadEvents(job);
    EXPECT_EQ(events.status(), absl::OkStatus());
    return events.ok() ? *events : std::vector<v1::JobEvent>();
  }
};

TEST_F(EventRowsTest, EveryChangeOfStateIsAnEvent) {
  Begin();
  const int64_t id = AddJob(AddSweep("s"), Config({}));
  Start(id, 1);
  KeepCheckpoint(id, 20, 'a');
  AddPoint(id, 30, v1::EVAL_LOSS, 1);
  ASSERT_TRUE(writer()->RequeueJob(id, 1, "", Why(v1::WORKER_LOST, "gone", 35), 9, 3100).ok());
  Start(id, 2);
  ASSERT_TRUE(writer()->ReleaseJob(id, 40, "the worker drains", 3200).ok());
  ASSERT_TRUE(writer()->CancelJob(id, "waiting", 3300).ok());
  ASSERT_TRUE(writer()->RetryJob(id, "again", 3400).ok());
  Start(id, 3);
  AddPoint(id, 50, v1::EVAL_LOSS, 1);
  ASSERT_TRUE(writer()->CancelJob(id, "running", 3500).ok());
  ASSERT_TRUE(writer()->RetryJob(id, "again", 3600).ok());
  Start(id, 4);
  ASSERT_TRUE(writer()->FailJob(id, Why(v1::DIVERGED, "NaN", 60), 3700).ok());
  ASSERT_TRUE(writer()->RetryJob(id, "again", 3800).ok());
  Start(id, 5);
  AddPoint(id, 70, v1::EVAL_LOSS, 1);
  Finish(id, {});
  Commit();
  // kind, time, attempt, worker, iteration, reason, cause
  using Row = std::tuple<int, int64_t, int, std::string, int64_t, std::string, int>;
  std::vector<Row> rows;
  for (const v1::JobEvent& event : Events(id)) {
    rows.emplace_back(event.kind(), event.time_us(), event.attempt(), event.worker(),
                      event.iteration(), event.reason(), event.cause());
  }
  EXPECT_THAT(rows,
              ElementsAre(Row(v1::SUBMITTED, 2000, 0, "", 0, "", 0),
                          Row(v1::LEASED, 3000, 1, "host-1", 0, "", 0),
                          Row(v1::ATTEMPT_FAILED, 3100, 1, "host-1", 35, "gone", v1::WORKER_LOST),
                          Row(v1::LEASED, 3000, 2, "host-1", 20, "", 0),
                          Row(v1::RELEASED, 3200, 2, "host-1", 40, "the worker drains", 0),
                          Row(v1::STOPPED, 3300, 0, "", 0, "waiting", 0),
                          Row(v1::RETRIED, 3400, 0, "", 0, "again", 0),
                          Row(v1::LEASED, 3000, 3, "host-1", 20, "", 0),
                          Row(v1::STOPPED, 3500, 3, "host-1", 50, "running", 0),
                          Row(v1::RETRIED, 3600, 0, "", 0, "again", 0),
                          Row(v1::LEASED, 3000, 4, "host-1", 20, "", 0),
                          Row(v1::JOB_FAILED, 3700, 4, "host-1", 60, "NaN", v1::DIVERGED),
                          Row(v1::RETRIED, 3800, 0, "", 0, "again", 0),
                          Row(v1::LEASED, 3000, 5, "host-1", 0, "", 0),
                          Row(v1::FINISHED, 4000, 5, "host-1", 100, "", 0)));
}

TEST_F(EventRowsTest, TheNewestEventsAreKept) {
  Begin();
  const std::string sweep = AddSweep("s");
  const int64_t other = AddJob(sweep, Config({{"model_seed", "1"}}));
  const int64_t id = AddJob(sweep, Config({}));
  for (int32_t attempt = 1; attempt <= kJobEventsMax / 2 + 5; ++attempt) {
    Start(id, attempt);
    ASSERT_TRUE(writer()->ReleaseJob(id, 0, "", 3000).ok());
  }
  Commit();
  const std::vector<v1::JobEvent> events = Events(id);
  ASSERT_EQ(events.size(), static_cast<size_t>(kJobEventsMax));
  EXPECT_EQ(events.front().kind(), v1::LEASED);
  EXPECT_EQ(events.front().attempt(), 6);
  EXPECT_EQ(events.back().kind(), v1::RELEASED);
  EXPECT_EQ(events.back().attempt(), kJobEventsMax / 2 + 5);
  EXPECT_EQ(Events(other).size(), 1u);
}

TEST_F(EventRowsTest, EventsGoWithTheChangeThatTheyTellOf) {
  Begin();
  const int64_t id = AddJob(AddSweep("s"), Config({}));
  Commit();
  Begin();
  Start(id);
  writer()->Rollback();
  EXPECT_EQ(Events(id).size(), 1u);
}

}  // namespace
}  // namespace modlab
