// The contract of store.h, on a real file.

#include "server/store/store.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StoreTest : public StoreFixture {
 protected:
  std::vector<int64_t> Ids(const std::string& sweep, const std::vector<v1::FieldFilter>& filters,
                           int64_t after_id = 0, size_t limit = 1000) {
    std::vector<int64_t> ids;
    const absl::Status status = store_->ScanJobs(sweep, filters, after_id, [&](const v1::Job& job) {
      ids.push_back(job.id());
      return ids.size() < limit;
    });
    EXPECT_EQ(status, absl::OkStatus());
    return ids;
  }

  std::vector<int64_t> PointIterations(int64_t job) {
    std::vector<int64_t> iterations;
    const auto points = store_->ReadCurve(job);
    EXPECT_EQ(points.status(), absl::OkStatus());
    for (const v1::CurvePoint& point : *points) iterations.push_back(point.iteration());
    return iterations;
  }

  absl::Status FilterError(const v1::FieldFilter& filter) {
    return store_->ScanJobs("", {filter}, 0, [](const v1::Job&) { return true; });
  }
};

// -- sweeps -------------------------------------------------------------------

TEST_F(StoreTest, SweepIdsCountTheSweepsOfAName) {
  Begin();
  EXPECT_EQ(AddSweep("quick"), "quick-1");
  EXPECT_EQ(AddSweep("other"), "other-1");
  EXPECT_EQ(AddSweep("quick"), "quick-2");
  Commit();
  EXPECT_EQ(store_->GetSweep("quick")->id(), "quick-2");
  EXPECT_EQ(store_->GetSweep("quick-1")->id(), "quick-1");
  EXPECT_EQ(store_->GetSweep("quick-1")->name(), "quick");
  EXPECT_EQ(store_->GetSweep("quick-1")->created_us(), 1000);
}

TEST_F(StoreTest, AnIdGoesBeforeANameThatLooksTheSame) {
  Begin();
  AddSweep("a-1");  // a-1-1
  AddSweep("a");    // a-1
  Commit();
  EXPECT_EQ(store_->GetSweep("a-1")->name(), "a");
}

TEST_F(StoreTest, AnUnknownSweepNamesTheNearest) {
  const absl::Status none = store_->GetSweep("quick").status();
  EXPECT_THAT(none, IsStatus(absl::StatusCode::kNotFound));
  EXPECT_THAT(std::string(none.message()), HasSubstr("modlab submit FILE"));
  Begin();
  AddSweep("quickstart");
  Commit();
  const absl::Status near = store_->GetSweep("quikstart").status();
  EXPECT_THAT(near, IsStatus(absl::StatusCode::kNotFound));
  EXPECT_THAT(std::string(near.message()), HasSubstr("\"quickstart\""));
  EXPECT_THAT(store_->ScanJobs("zzz", {}, 0, [](const v1::Job&) { return true; }),
              IsStatus(absl::StatusCode::kNotFound));
}

TEST_F(StoreTest, ARequestIsFoundAgain) {
  Begin();
  v1::SweepSpec spec;
  spec.set_name("s");
  EXPECT_EQ(*writer()->FindRequest("r1"), std::nullopt);
  ASSERT_EQ(*writer()->InsertSweep(spec, "r1", 5), "s-1");
  EXPECT_EQ(*writer()->FindRequest("r1"), std::optional<std::string>("s-1"));
  EXPECT_EQ(*writer()->FindRequest("r2"), std::nullopt);
  Commit();
}

TEST_F(StoreTest, SweepsComeInPagesNewestFirst) {
  Begin();
  for (int i = 0; i < 5; ++i) AddSweep("s");
  Commit();
  std::vector<std::string> ids;
  std::string token;
  int pages = 0;
  do {
    const auto page = store_->ListSweeps(2, token);
    ASSERT_EQ(page.status(), absl::OkStatus());
    for (const v1::Sweep& sweep : page->sweeps()) ids.push_back(sweep.id());
    token = page->next_page_token();
    ++pages;
  } while (!token.empty());
  EXPECT_EQ(pages, 3);
  EXPECT_THAT(ids, ElementsAre("s-5", "s-4", "s-3", "s-2", "s-1"));
}

TEST_F(StoreTest, BadPagesAreRefused) {
  for (const char* token : {"x", "after-", "after-0", "after--1", "after-1 ", "after-01"}) {
    EXPECT_THAT(store_->ListSweeps(10, token).status(),
                IsStatus(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_THAT(store_->ListSweeps(-1, "").status(), IsStatus(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(store_->ListSweeps(1001, "").status(), IsStatus(absl::StatusCode::kInvalidArgument));
}

TEST_F(StoreTest, SweepsCountTheirJobsAndIterations) {
  Begin();
  const std::string sweep = AddSweep("s");
  std::vector<int64_t> jobs;
  for (const char* seed : {"0", "1", "2", "3", "4"}) {
    jobs.push_back(AddJob(sweep, Config({{"model_seed", seed}})));
  }
  Start(jobs[1]);
  AddPoint(jobs[1], 50, v1::EVAL_LOSS, 1);
  Start(jobs[2]);
  Finish(jobs[2], {});
  Start(jobs[3]);
  AddPoint(jobs[3], 50, v1::EVAL_LOSS, 1);
  EXPECT_EQ(writer()->FailJob(jobs[3], v1::Failure(), 5000), absl::OkStatus());
  EXPECT_EQ(writer()->CancelJob(jobs[4], 5000), absl::OkStatus());
  Commit();
  const v1::Sweep read = *store_->GetSweep(sweep);
  EXPECT_EQ(read.counts().queued(), 1);
  EXPECT_EQ(read.counts().running(), 1);
  EXPECT_EQ(read.counts().succeeded(), 1);
  EXPECT_EQ(read.counts().failed(), 1);
  EXPECT_EQ(read.counts().cancelled(), 1);
  EXPECT_EQ(read.iterations_total(), 400);
  EXPECT_EQ(read.iterations_done(), 50 + 100 + 50);
}

// -- jobs ---------------------------------------------------------------------

TEST_F(StoreTest, FindsTheNewestReplicate) {
  Begin();
  const std::string sweep = AddSweep("s");
  const v1::JobConfig config = Config({});
  EXPECT_EQ((*writer()->FindJob(JobKey(config))).has_value(), false);
  AddJob(sweep, config, 0);
  const int64_t second = AddJob(sweep, config, 1);
  Start(second, 3);
  const std::optional<KnownJob> found = *writer()->FindJob(JobKey(config));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->id, second);
  EXPECT_EQ(found->newest_replicate, 1);
  EXPECT_EQ(found->state, v1::RUNNING);
  EXPECT_EQ(found->attempt, 3);
  Commit();
}

// A repetition that was forced and then cancelled does not hide the result that
// is there: the config would be trained again for nothing.
TEST_F(StoreTest, AFinishedJobStandsForItsConfigBeforeACancelledRepetition) {
  Begin();
  const std::string sweep = AddSweep("s");
  const v1::JobConfig config = Config({});
  const int64_t finished = AddJob(sweep, config, 0);
  Start(finished, 1);
  ASSERT_TRUE(writer()->FinishJob(finished, v1::JobResult(), 5).ok());
  ASSERT_TRUE(writer()->CancelJob(AddJob(sweep, config, 1), 6).ok());
  const std::optional<KnownJob> found = *writer()->FindJob(JobKey(config));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->id, finished);
  EXPECT_EQ(found->newest_replicate, 1);
  Commit();
}

TEST_F(StoreTest, AJobLivesThroughItsStates) {
  Begin();
  const v1::JobConfig config = Config({});
  const int64_t id = AddJob(AddSweep("s"), config);
  Commit();
  v1::Job job = Get(id);
  EXPECT_EQ(job.state(), v1::QUEUED);
  EXPECT_EQ(job.config().SerializeAsString(), config.SerializeAsString());
  EXPECT_EQ(job.job_key(), JobKey(config));
  EXPECT_EQ(job.shape_key(), ShapeKey(config));
  EXPECT_EQ(job.created_us(), 2000);
  EXPECT_EQ(job.started_us(), 0);

  Begin();
  Start(id, 1);
  AddPoint(id, 50, v1::EVAL_LOSS, 0.5);
  Commit();
  job = Get(id);
  EXPECT_EQ(job.state(), v1::RUNNING);
  EXPECT_EQ(job.attempt(), 1);
  EXPECT_EQ(job.iteration(), 50);
  EXPECT_EQ(job.worker(), "host-1");
  EXPECT_EQ(job.started_us(), 3000);

  v1::Failure lost;
  lost.set_cause(v1::WORKER_LOST);
  lost.set_message("gone");
  Begin();
  EXPECT_EQ(writer()->RequeueJob(id, 1, &lost, 3500), absl::OkStatus());
  Commit();
  job = Get(id);
  EXPECT_EQ(job.state(), v1::QUEUED);
  EXPECT_EQ(job.failure().message(), "gone");
  EXPECT_EQ(job.iteration(), 0);
  EXPECT_EQ(job.worker(), "host-1");
  EXPECT_THAT(PointIterations(id), ElementsAre(50));

  Begin();
  Start(id, 2);
  Commit();
  EXPECT_EQ(Get(id).failure().message(), "gone");
  EXPECT_THAT(PointIterations(id), IsEmpty());

  Begin();
  Finish(id, {{v1::ID, 0.25}});
  Commit();
  job = Get(id);
  EXPECT_EQ(job.state(), v1::SUCCEEDED);
  EXPECT_EQ(job.iteration(), 100);
  EXPECT_FALSE(job.has_failure());
  ASSERT_EQ(job.result().metrics_size(), 1);
  EXPECT_EQ(job.result().metrics(0).value(), 0.25);
  EXPECT_EQ(job.finished_us(), 4000);
}

TEST_F(StoreTest, AFailedJobTellsWhyUntilItIsQueuedAgain) {
  Begin();
  const int64_t id = AddJob(AddSweep("s"), Config({}));
  Start(id);
  v1::Failure why;
  why.set_cause(v1::DIVERGED);
  EXPECT_EQ(writer()->FailJob(id, why, 5000), absl::OkStatus());
  Commit();
  EXPECT_EQ(Get(id).state(), v1::FAILED);
  EXPECT_EQ(Get(id).failure().cause(), v1::DIVERGED);
  EXPECT_EQ(Get(id).finished_us(), 5000);
  Begin();
  EXPECT_EQ(writer()->RequeueJob(id, 0, nullptr, 6000), absl::OkStatus());
  Commit();
  EXPECT_EQ(Get(id).state(), v1::QUEUED);
  EXPECT_FALSE(Get(id).has_failure());
  EXPECT_EQ(Get(id).finished_us(), 0);
}

TEST_F(StoreTest, AnUnknownJobIsNotFound) {
  EXPECT_THAT(store_->GetJob(7).status(), IsStatus(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_->ReadCurve(7).status(), IsStatus(absl::StatusCode::kNotFound));
  Begin();
  EXPECT_THAT(writer()->CancelJob(7, 1), IsStatus(absl::StatusCode::kNotFound));
  EXPECT_THAT(writer()->FinishJob(7, v1::JobResult(), 1), IsStatus(absl::StatusCode::kNotFound));
  EXPECT_THAT(writer()->StartAttempt(7, 1, "w", "w", 1), IsStatus(absl::StatusCode::kNotFound));
  EXPECT_THAT(writer()->AppendPoint(7, v1::CurvePoint()), IsStatus(absl::StatusCode::kNotFound));
  EXPECT_FALSE(writer()->LinkJob("none-1", 7).ok());
  writer()->Rollback();
}

TEST_F(StoreTest, UnfinishedJobsAreLoaded) {
  Begin();
  const std::string sweep = AddSweep("s");
  const v1::JobConfig config = Config({{"model_seed", "1"}});
  const int64_t queued = AddJob(sweep, Config({}));
  const int64_t running = AddJob(sweep, config);
  const int64_t done = AddJob(sweep, Config({{"model_seed", "2"}}));
  EXPECT_EQ(writer()->RequeueJob(running, 2, nullptr, 1), absl::OkStatus());
  Start(running, 4);
  Start(done);
  Finish(done, {});
  Commit();
  Reopen();
  std::vector<UnfinishedJob> jobs;
  ASSERT_EQ(writer()->LoadUnfinished([&](const UnfinishedJob& job) { jobs.push_back(job); }),
            absl::OkStatus());
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].id, queued);
  EXPECT_EQ(jobs[0].state, v1::QUEUED);
  EXPECT_EQ(jobs[1].id, running);
  EXPECT_EQ(jobs[1].state, v1::RUNNING);
  EXPECT_EQ(jobs[1].attempt, 4);
  EXPECT_EQ(jobs[1].failures, 2);
  EXPECT_EQ(jobs[1].worker_id, "worker-1");
  EXPECT_EQ(jobs[1].shape_key, ShapeKey(config));
  EXPECT_EQ(jobs[1].config.SerializeAsString(), config.SerializeAsString());
}

// -- curves -------------------------------------------------------------------

TEST_F(StoreTest, PointsStayInOrderAndAsTheyFirstCame) {
  Begin();
  const int64_t id = AddJob(AddSweep("s"), Config({}));
  Start(id);
  AddPoint(id, 100, v1::EVAL_LOSS, 1);
  AddPoint(id, 0, v1::EVAL_LOSS, 2);
  AddPoint(id, 50, v1::EVAL_LOSS, 3);
  AddPoint(id, 50, v1::EVAL_LOSS, 4);
  Commit();
  EXPECT_THAT(PointIterations(id), ElementsAre(0, 50, 100));
  EXPECT_EQ((*store_->ReadCurve(id))[1].values(0).value(), 3);
  EXPECT_EQ(Get(id).iteration(), 100);
}

TEST_F(StoreTest, CurvesAreScannedWithTheirJobs) {
  Begin();
  const std::string sweep = AddSweep("s");
  const int64_t first = AddJob(sweep, Config({}));
  const int64_t second = AddJob(sweep, Config({{"model_seed", "1"}}));
  AddPoint(first, 0, v1::EVAL_LOSS, 1);
  AddPoint(first, 50, v1::EVAL_LOSS, 1);
  AddPoint(second, 0, v1::EVAL_LOSS, 1);
  Commit();
  std::vector<std::pair<int64_t, size_t>> seen;
  ASSERT_EQ(store_->ScanCurves(sweep, {},
                               [&](const v1::Job& job, const std::vector<v1::CurvePoint>& points) {
                                 seen.emplace_back(job.id(), points.size());
                                 return true;
                               }),
            absl::OkStatus());
  EXPECT_THAT(seen, ElementsAre(std::make_pair(first, 2u), std::make_pair(second, 1u)));
}

// -- cancelling ---------------------------------------------------------------

TEST_F(StoreTest, CancellingSparesWhatAnotherSweepNeeds) {
  Begin();
  const std::string one = AddSweep("one");
  const std::string two = AddSweep("two");
  const int64_t own = AddJob(one, Config({}));
  const int64_t shared = AddJob(one, Config({{"model_seed", "1"}}));
  const int64_t done = AddJob(one, Config({{"model_seed", "2"}}));
  EXPECT_EQ(writer()->LinkJob(two, shared), absl::OkStatus());
  EXPECT_EQ(writer()->LinkJob(two, shared), absl::OkStatus());
  Start(done);
  Finish(done, {});
  EXPECT_THAT(*writer()->CancelSweep("one", 7000), ElementsAre(own));
  EXPECT_EQ(writer()->CancelJob(own, 7000), absl::OkStatus());
  EXPECT_THAT(*writer()->CancelSweep("one-1", 8000), IsEmpty());
  EXPECT_THAT(*writer()->CancelSweep("two", 8000), ElementsAre(shared));
  EXPECT_THAT(writer()->CancelSweep("three", 8000).status(), IsStatus(absl::StatusCode::kNotFound));
  Commit();
  EXPECT_EQ(store_->GetSweep("one")->cancelled_us(), 7000);
  EXPECT_EQ(store_->GetSweep("two")->cancelled_us(), 8000);
}

// -- pages and filters --------------------------------------------------------

TEST_F(StoreTest, JobsComeInPages) {
  Begin();
  const std::string sweep = AddSweep("s");
  const std::string other = AddSweep("other");
  for (const char* seed : {"1", "2", "3"}) AddJob(sweep, Config({{"model_seed", seed}}));
  AddJob(other, Config({}));
  Commit();
  EXPECT_THAT(Ids(sweep, {}, 0, 2), ElementsAre(1, 2));
  EXPECT_THAT(Ids(sweep, {}, 2, 2), ElementsAre(3));
  EXPECT_THAT(Ids(sweep, {}, 3), IsEmpty());
  EXPECT_THAT(Ids("", {}, 1), ElementsAre(2, 3, 4));
  EXPECT_THAT(Ids("other", {}), ElementsAre(4));
}

TEST_F(StoreTest, FiltersKeepWhatTheySay) {
  Begin();
  const std::string sweep = AddSweep("s");
  AddJob(sweep, Config({{"learning_rate", "1e-3"}}));                            // 1
  AddJob(sweep, Config({{"model", "gt_modular"}}));                              // 2
  AddJob(sweep, Config({{"model", "gt_modular"}, {"rules", "4"}}));              // 3
  AddJob(sweep, Config({{"model", "monolithic"}, {"learning_rate", "0.001"}}));  // 4
  Start(2);
  Commit();
  EXPECT_THAT(Ids(sweep, {Filter("model", {"GT_MODULAR"})}), ElementsAre(2, 3));
  EXPECT_THAT(Ids(sweep, {Filter("model", {"gt_modular", "modular"})}), ElementsAre(1, 2, 3));
  EXPECT_THAT(Ids("", {Filter("model", {"gt_modular"}), Filter("rules", {"2"})}), ElementsAre(2));
  EXPECT_THAT(Ids("", {Filter("learning_rate", {"0.0010"})}), ElementsAre(1, 4));
  EXPECT_THAT(Ids("", {Filter("state", {"running"})}), ElementsAre(2));
  EXPECT_THAT(Ids("", {Filter("state", {"QUEUED", "running"})}), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Ids("", {Filter("job", {"4", "1", "99"})}), ElementsAre(1, 4));
  EXPECT_THAT(Ids("", {Filter("job", {"4", "1"})}, 1), ElementsAre(4));
  EXPECT_THAT(Ids("", {Filter("job", {"1", "4"}), Filter("job", {"4", "2"})}), ElementsAre(4));
  EXPECT_THAT(Ids("", {Filter("rules", {"8"})}), IsEmpty());
}

TEST_F(StoreTest, BadFiltersAreRefusedWithTheNearestWord) {
  const absl::Status field = FilterError(Filter("modle", {"modular"}));
  EXPECT_THAT(field, IsStatus(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(field.message()), HasSubstr("\"model\""));
  EXPECT_THAT(std::string(FilterError(Filter("stat", {"x"})).message()), HasSubstr("\"state\""));
  const absl::Status value = FilterError(Filter("model", {"modulr"}));
  EXPECT_THAT(value, IsStatus(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(value.message()), HasSubstr("modular"));
  for (const v1::FieldFilter& bad :
       {Filter("rules", {"two"}), Filter("rules", {}), Filter("state", {"sleeping"}),
        Filter("job", {"0"}), Filter("job", {"1x"}), Filter("", {"1"})}) {
    EXPECT_THAT(FilterError(bad), IsStatus(absl::StatusCode::kInvalidArgument));
  }
  const std::vector<v1::FieldFilter> many(65, Filter("rules", {"2"}));
  EXPECT_THAT(store_->ScanJobs("", many, 0, [](const v1::Job&) { return true; }),
              IsStatus(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace modlab
