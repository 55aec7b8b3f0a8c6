#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "server/store/sqlite.h"
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
  // A job that is made at `now_us`; the fixture's sweeps are of 1000.
  int64_t SubmitJob(const std::string& sweep, int64_t now_us, const char* seed = "0") {
    const int64_t id = *InsertJob(writer(), Config({{"model_seed", seed}}), 0, "", now_us);
    EXPECT_TRUE(*writer()->LinkJob(Number(sweep), id));
    return id;
  }
  void MakeSweep(const std::string& name, const std::string& user, int64_t now_us) {
    v1::SweepSpec spec;
    spec.set_name(name);
    ASSERT_TRUE(writer()->InsertSweep(spec, {}, user, name, now_us).ok());
  }
  int64_t RowsOf(int64_t job) {
    const auto connection =
        *Connection::Open(dir_.path() + "/modlab.db", Connection::Mode::kReadOnly);
    Statement row = connection->Prepare("SELECT count(*) FROM job_events WHERE job = ?");
    EXPECT_TRUE(*row.Bind(job).Step());
    return row.Int(0);
  }
  std::string WhySubmitted(int64_t job) {
    const std::vector<v1::JobEvent> events = Events(job);
    return events.empty() ? "no events" : events.front().reason();
  }
};

TEST_F(EventRowsTest, EveryChangeOfStateIsAnEvent) {
  Begin();
  const int64_t id = SubmitJob(AddSweep("s"), 1000);
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
  const std::string at_20 = "from its checkpoint at iteration 20";
  EXPECT_THAT(rows,
              ElementsAre(Row(v1::SUBMITTED, 1000, 0, "", 0, "by ada, in sweep s-1", 0),
                          Row(v1::LEASED, 3000, 1, "host-1", 0, "from the beginning", 0),
                          Row(v1::ATTEMPT_FAILED, 3100, 1, "host-1", 35, "gone", v1::WORKER_LOST),
                          Row(v1::LEASED, 3000, 2, "host-1", 20, at_20, 0),
                          Row(v1::RELEASED, 3200, 2, "host-1", 40, "the worker drains", 0),
                          Row(v1::STOPPED, 3300, 0, "", 0, "waiting", 0),
                          Row(v1::RETRIED, 3400, 0, "", 0, "again", 0),
                          Row(v1::LEASED, 3000, 3, "host-1", 20, at_20, 0),
                          Row(v1::STOPPED, 3500, 3, "host-1", 50, "running", 0),
                          Row(v1::RETRIED, 3600, 0, "", 0, "again", 0),
                          Row(v1::LEASED, 3000, 4, "host-1", 20, at_20, 0),
                          Row(v1::JOB_FAILED, 3700, 4, "host-1", 60, "NaN", v1::DIVERGED),
                          Row(v1::RETRIED, 3800, 0, "", 0, "again", 0),
                          Row(v1::LEASED, 3000, 5, "host-1", 0, "from the beginning", 0),
                          Row(v1::FINISHED, 4000, 5, "host-1", 100, "", 0)));
}

TEST_F(EventRowsTest, ASubmissionSaysByWhomAndInWhichSweep) {
  Begin();
  const std::string sweep = AddSweep("s");
  const int64_t id = SubmitJob(sweep, 1000);
  const int64_t added = SubmitJob(sweep, 1500, "1");
  MakeSweep("anonymous", "", 2000);
  const int64_t nobodys = SubmitJob("anonymous-1", 2000, "2");
  // Whoever shares it later did not submit it: a newer sweep, an older one that was extended.
  for (const int64_t job : {id, added}) {
    ASSERT_TRUE(*writer()->LinkJob(Number("anonymous-1"), job));
  }
  ASSERT_TRUE(*writer()->LinkJob(Number(sweep), nobodys));
  // Of several of one moment it is the one that came first.
  MakeSweep("twin", "bob", 2000);
  ASSERT_TRUE(*writer()->LinkJob(Number("twin-1"), nobodys));
  const int64_t of_twin = SubmitJob("twin-1", 2000, "3");
  ASSERT_TRUE(*writer()->LinkJob(Number("anonymous-1"), of_twin));
  // The clock was set back in between.
  const int64_t odd = SubmitJob("anonymous-1", 1999, "4");
  Commit();
  EXPECT_EQ(WhySubmitted(id), "by ada, in sweep s-1");
  EXPECT_EQ(WhySubmitted(added), "by an extension of sweep s-1");
  EXPECT_EQ(WhySubmitted(nobodys), "in sweep anonymous-1");
  EXPECT_EQ(WhySubmitted(of_twin), "by bob, in sweep twin-1");
  EXPECT_EQ(WhySubmitted(odd), "");
  EXPECT_EQ(RowsOf(id), 0);
  EXPECT_EQ(RowsOf(added), 0);
}

TEST_F(EventRowsTest, AnOrdinaryLifeHasNoRows) {
  Begin();
  const int64_t id = SubmitJob(AddSweep("s"), 1000);
  Start(id);
  Finish(id, {});
  Commit();
  EXPECT_EQ(Events(id).size(), 3u);
  EXPECT_EQ(RowsOf(id), 0);
}

// What a user was told of a job stays true for as long as it is there.
TEST_F(EventRowsTest, APrunedSweepIsStillWhereItsJobsCameFrom) {
  Begin();
  const std::string sweep = AddSweep("s");
  MakeSweep("later", "bob", 3000);
  const std::vector<int64_t> jobs = {SubmitJob(sweep, 1000), SubmitJob(sweep, 2000, "1")};
  const int64_t own = SubmitJob(sweep, 1000, "2");
  for (const int64_t job : jobs) ASSERT_TRUE(*writer()->LinkJob(Number("later-1"), job));
  for (const int64_t job : {jobs[0], jobs[1], own}) {
    Start(job);
    Finish(job, {});
  }
  Commit();
  std::vector<std::string> before;
  for (const int64_t job : jobs) {
    for (const v1::JobEvent& event : Events(job)) before.push_back(event.ShortDebugString());
  }
  EXPECT_EQ(before.size(), 6u);
  Begin();
  v1::PruneRequest request;
  request.set_sweep(sweep);
  ASSERT_EQ(writer()->Prune(request, 0)->jobs(), 1);
  request.set_sweep("later-1");
  request.set_weights_only(true);
  ASSERT_TRUE(writer()->Prune(request, 0).ok());
  Commit();
  std::vector<std::string> after;
  for (const int64_t job : jobs) {
    for (const v1::JobEvent& event : Events(job)) after.push_back(event.ShortDebugString());
    EXPECT_EQ(RowsOf(job), 1);
  }
  EXPECT_EQ(after, before);
  EXPECT_EQ(WhySubmitted(jobs[0]), "by ada, in sweep s-1");
  EXPECT_EQ(WhySubmitted(jobs[1]), "by an extension of sweep s-1");
  EXPECT_EQ(RowsOf(own), 0);
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
