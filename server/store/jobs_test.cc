// The life of a job in the store: its row, its checkpoint, its points.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/store/store.h"
#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class JobsTest : public StoreFixture {
 protected:
  std::vector<int64_t> PointIterations(int64_t job) {
    std::vector<int64_t> iterations;
    const auto points = store_->ReadCurve(job);
    EXPECT_EQ(points.status(), absl::OkStatus());
    for (const v1::CurvePoint& point : *points) iterations.push_back(point.iteration());
    return iterations;
  }

  std::vector<UnfinishedJob> LoadUnfinished() {
    std::vector<UnfinishedJob> jobs;
    EXPECT_EQ(writer()->LoadUnfinished([&](const UnfinishedJob& job) { jobs.push_back(job); }),
              absl::OkStatus());
    return jobs;
  }
};

// -- jobs ---------------------------------------------------------------------

TEST_F(JobsTest, FindsTheNewestReplicate) {
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
  EXPECT_EQ(found->place, "place-1");
  EXPECT_EQ(found->worker, "host-1");
  Commit();
}

TEST_F(JobsTest, AnUnfinishedJobIsReadAsItIsLoaded) {
  Begin();
  const std::string sweep = AddSweep("s");
  const v1::JobConfig config = Config({});
  const absl::StatusOr<int64_t> id = InsertJob(writer(), config, 0, "node-7", 1000);
  ASSERT_EQ(id.status(), absl::OkStatus());
  ASSERT_EQ(writer()->LinkJob(Number(sweep), *id).status(), absl::OkStatus());
  Start(*id, 3);
  KeepCheckpoint(*id, 50, 'a');
  absl::StatusOr<UnfinishedJob> job = writer()->ReadUnfinished(*id);
  ASSERT_EQ(job.status(), absl::OkStatus());
  EXPECT_EQ(job->state, v1::RUNNING);
  EXPECT_EQ(job->attempt, 3);
  EXPECT_EQ(job->shape_key, ShapeKey(config));
  EXPECT_EQ(job->avoided, "node-7");
  EXPECT_EQ(job->checkpoint.iteration(), 50);
  EXPECT_THAT(job->sweeps, ElementsAre(Number(sweep)));
  ASSERT_TRUE(writer()->CancelJob(*id, "", 6).ok());
  EXPECT_THAT(writer()->ReadUnfinished(*id).status(), IsStatus(absl::StatusCode::kNotFound));
  ASSERT_TRUE(writer()->RetryJob(*id, "again", 7).ok());
  job = writer()->ReadUnfinished(*id);
  EXPECT_EQ(job->state, v1::QUEUED);
  EXPECT_EQ(job->avoided, "node-7");
  Commit();
}

// A repetition that was forced and then cancelled does not hide the result that
// is there: the config would be trained again for nothing.
TEST_F(JobsTest, AFinishedJobStandsForItsConfigBeforeACancelledRepetition) {
  Begin();
  const std::string sweep = AddSweep("s");
  const v1::JobConfig config = Config({});
  const int64_t finished = AddJob(sweep, config, 0);
  Start(finished, 1);
  ASSERT_TRUE(writer()->FinishJob(finished, v1::JobResult(), 5).ok());
  ASSERT_TRUE(writer()->CancelJob(AddJob(sweep, config, 1), "", 6).ok());
  const std::optional<KnownJob> found = *writer()->FindJob(JobKey(config));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->id, finished);
  EXPECT_EQ(found->newest_replicate, 1);
  Commit();
}

// What `modlab verify` trains again only checks what is there, and may have failed to agree.
TEST_F(JobsTest, AFinishedJobStandsForItsConfigBeforeItsRepetitions) {
  Begin();
  const std::string sweep = AddSweep("s");
  const v1::JobConfig config = Config({});
  std::vector<int64_t> ids;
  for (int32_t replicate = 0; replicate < 4; ++replicate) {
    ids.push_back(AddJob(sweep, config, replicate));
  }
  const auto found = [&] { return (*writer()->FindJob(JobKey(config)))->id; };
  EXPECT_EQ(found(), ids[3]);
  for (const size_t finished : {2, 1, 3}) {
    Start(ids[finished], 1);
    ASSERT_TRUE(writer()->FinishJob(ids[finished], v1::JobResult(), 5).ok());
    EXPECT_EQ(found(), ids[finished == 2 ? 2 : 1]);
  }
  Commit();
}

TEST_F(JobsTest, AJobLivesThroughItsStates) {
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

  Begin();
  EXPECT_EQ(writer()->RequeueJob(id, 1, "", Why(v1::WORKER_LOST, "gone", 60), 9000, 3500),
            absl::OkStatus());
  Commit();
  job = Get(id);
  EXPECT_EQ(job.state(), v1::QUEUED);
  EXPECT_EQ(job.failure().message(), "gone");
  EXPECT_EQ(job.failures(), 1);
  EXPECT_EQ(job.not_before_us(), 9000);
  EXPECT_EQ(job.iteration(), 0);
  EXPECT_EQ(job.worker(), "host-1");
  EXPECT_THAT(PointIterations(id), ElementsAre(50));

  Begin();
  Start(id, 2);
  Commit();
  EXPECT_EQ(Get(id).failure().message(), "gone");
  EXPECT_EQ(Get(id).not_before_us(), 0);
  EXPECT_THAT(PointIterations(id), IsEmpty());

  Begin();
  Finish(id, {{v1::ID, 0.25}});
  Commit();
  job = Get(id);
  EXPECT_EQ(job.state(), v1::SUCCEEDED);
  EXPECT_EQ(job.iteration(), 100);
  EXPECT_FALSE(job.has_failure());
  EXPECT_FALSE(job.has_checkpoint());
  EXPECT_EQ(job.failures(), 0);
  ASSERT_EQ(job.result().metrics_size(), 1);
  EXPECT_EQ(job.result().metrics(0).value(), 0.25);
  EXPECT_EQ(job.finished_us(), 4000);
}

TEST_F(JobsTest, AFailedJobTellsWhyUntilItIsQueuedAgain) {
  Begin();
  const int64_t id = AddJob(AddSweep("s"), Config({}));
  Start(id);
  EXPECT_EQ(writer()->FailJob(id, Why(v1::DIVERGED, "NaN", 10), 5000), absl::OkStatus());
  Commit();
  EXPECT_EQ(Get(id).state(), v1::FAILED);
  EXPECT_EQ(Get(id).failure().cause(), v1::DIVERGED);
  EXPECT_EQ(Get(id).failures(), 1);
  EXPECT_EQ(Get(id).finished_us(), 5000);
  Begin();
  EXPECT_EQ(writer()->RetryJob(id, "again", 6000), absl::OkStatus());
  Commit();
  EXPECT_EQ(Get(id).state(), v1::QUEUED);
  EXPECT_FALSE(Get(id).has_failure());
  EXPECT_EQ(Get(id).failures(), 0);
  EXPECT_EQ(Get(id).finished_us(), 0);
}

TEST_F(JobsTest, AnUnknownJobIsNotFound) {
  EXPECT_THAT(store_->GetJob(7).status(), IsStatus(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_->ReadCurve(7).status(), IsStatus(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_->ReadEvents(7).status(), IsStatus(absl::StatusCode::kNotFound));
  Begin();
  const v1::Failure why = Why(v1::WORKER_LOST, "gone", 0);
  v1::TrainingCheckpoint checkpoint;
  checkpoint.set_sha256(AddArtifact('a'));
  for (const absl::Status& status :
       {writer()->StartAttempt(7, 1, "w", "w", "p", 1), writer()->RequeueJob(7, 1, "", why, 1, 1),
        writer()->ReleaseJob(7, 0, "", 1), writer()->RetryJob(7, "again", 1),
        writer()->FailJob(7, why, 1), writer()->CancelJob(7, "", 1),
        writer()->FinishJob(7, v1::JobResult(), 1), writer()->AppendPoint(7, v1::CurvePoint()),
        writer()->KeepCheckpoint(7, checkpoint, 1)}) {
    EXPECT_THAT(status, IsStatus(absl::StatusCode::kNotFound));
  }
  EXPECT_FALSE(writer()->LinkJob(1, 7).ok());
  writer()->Rollback();
}

TEST_F(JobsTest, UnfinishedJobsAreLoaded) {
  Begin();
  const std::string sweep = AddSweep("s");
  const v1::JobConfig config = Config({{"model_seed", "1"}});
  const int64_t queued = AddJob(sweep, Config({}));
  const int64_t running = AddJob(sweep, config);
  const int64_t done = AddJob(sweep, Config({{"model_seed", "2"}}));
  const std::string other = AddSweep("other");
  const std::string cancelled = AddSweep("cancelled");
  ASSERT_TRUE(*writer()->LinkJob(Number(other), running));
  ASSERT_TRUE(*writer()->LinkJob(Number(cancelled), running));
  ASSERT_TRUE(writer()->CancelSweep(cancelled, 1).ok());
  KeepCheckpoint(running, 50, 'a');
  EXPECT_EQ(writer()->RequeueJob(running, 2, "p\tw\tf\n", Why(v1::WORKER_LOST, "gone", 60), 9, 8),
            absl::OkStatus());
  const v1::JobConfig moved = Config({{"model_seed", "3"}});
  ASSERT_TRUE(InsertJob(writer(), moved, 0, "place-1", 5).ok());
  EXPECT_THAT(LoadUnfinished()[1].not_before_us, 9);
  Start(running, 4);
  Start(done);
  Finish(done, {});
  Commit();
  Reopen();
  const std::vector<UnfinishedJob> jobs = LoadUnfinished();
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_EQ(jobs[0].id, queued);
  EXPECT_EQ(jobs[0].state, v1::QUEUED);
  EXPECT_EQ(jobs[0].checkpoint.sha256(), "");
  EXPECT_EQ(jobs[0].avoided, "");
  EXPECT_THAT(jobs[0].sweeps, ElementsAre(1));
  EXPECT_EQ(jobs[1].id, running);
  EXPECT_EQ(jobs[1].state, v1::RUNNING);
  EXPECT_EQ(jobs[1].attempt, 4);
  EXPECT_EQ(jobs[1].failures, 2);
  EXPECT_EQ(jobs[1].avoided, "p\tw\tf\n");
  EXPECT_EQ(jobs[1].worker_id, "worker-1");
  EXPECT_EQ(jobs[1].shape_key, ShapeKey(config));
  EXPECT_EQ(jobs[1].config, config.SerializeAsString());
  EXPECT_EQ(jobs[1].not_before_us, 0);
  EXPECT_EQ(jobs[1].checkpoint.iteration(), 50);
  EXPECT_EQ(jobs[1].checkpoint.sha256(), std::string(64, 'a'));
  EXPECT_EQ(jobs[1].checkpoint.size_bytes(), 1);
  EXPECT_THAT(jobs[1].sweeps, ElementsAre(1, 2));
  EXPECT_EQ(jobs[2].avoided, "place-1");
  EXPECT_THAT(jobs[2].sweeps, IsEmpty());
}

// -- curves -------------------------------------------------------------------

TEST_F(JobsTest, PointsStayInOrderAndAsTheyFirstCame) {
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

TEST_F(JobsTest, CurvesAreScannedWithTheirJobs) {
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

// -- checkpoints ---------------------------------------------------------------

TEST_F(JobsTest, AnAttemptGoesOnFromTheCheckpoint) {
  Begin();
  const int64_t id = AddJob(AddSweep("s"), Config({}));
  Start(id, 1);
  for (const int64_t iteration : {0, 20, 40, 60}) AddPoint(id, iteration, v1::EVAL_LOSS, 1);
  KeepCheckpoint(id, 40, 'a');
  EXPECT_EQ(writer()->ReleaseJob(id, 70, "the worker drains", 3600), absl::OkStatus());
  Commit();
  v1::Job job = Get(id);
  EXPECT_EQ(job.state(), v1::QUEUED);
  EXPECT_EQ(job.iteration(), 40);
  EXPECT_EQ(job.checkpoint().iteration(), 40);
  EXPECT_EQ(job.checkpoint().sha256(), std::string(64, 'a'));
  EXPECT_EQ(job.checkpoint().size_bytes(), 1);
  EXPECT_THAT(PointIterations(id), ElementsAre(0, 20, 40, 60));
  Begin();
  Start(id, 2);
  Commit();
  EXPECT_EQ(Get(id).iteration(), 40);
  EXPECT_THAT(PointIterations(id), ElementsAre(0, 20, 40));
  Begin();
  KeepCheckpoint(id, 45, 'b');
  Commit();
  EXPECT_EQ(Get(id).iteration(), 45);
  EXPECT_EQ(Get(id).checkpoint().sha256(), std::string(64, 'b'));
}

TEST_F(JobsTest, ACheckpointOfTheBeginningKeepsItsPoint) {
  Begin();
  const int64_t id = AddJob(AddSweep("s"), Config({}));
  Start(id, 1);
  AddPoint(id, 0, v1::EVAL_LOSS, 1);
  AddPoint(id, 20, v1::EVAL_LOSS, 1);
  KeepCheckpoint(id, 0, 'a');
  Start(id, 2);
  Commit();
  EXPECT_TRUE(Get(id).has_checkpoint());
  EXPECT_THAT(PointIterations(id), ElementsAre(0));
}

TEST_F(JobsTest, ALowerCheckpointTakesThePlaceOfAHigherOne) {
  Begin();
  const int64_t id = AddJob(AddSweep("s"), Config({}));
  Start(id, 1);
  for (const int64_t iteration : {0, 20, 40, 60}) AddPoint(id, iteration, v1::EVAL_LOSS, 1);
  KeepCheckpoint(id, 60, 'a');
  ASSERT_TRUE(writer()->RequeueJob(id, 1, "", Why(v1::WORKER_ERROR, "odd", 60), 9, 8).ok());
  Start(id, 2);
  KeepCheckpoint(id, 30, 'b');
  Commit();
  EXPECT_EQ(Get(id).checkpoint().iteration(), 30);
  EXPECT_EQ(Get(id).failures(), 1) << "it did not get further";
  EXPECT_EQ(Get(id).iteration(), 60);
  EXPECT_THAT(PointIterations(id), ElementsAre(0, 20, 40, 60));
  Begin();
  KeepCheckpoint(id, 45, 'c');
  Commit();
  EXPECT_EQ(Get(id).failures(), 0);
}

TEST_F(JobsTest, ACheckpointForgetsFailures) {
  Begin();
  const int64_t id = AddJob(AddSweep("s"), Config({}));
  Start(id, 1);
  ASSERT_TRUE(writer()->RequeueJob(id, 3, "", Why(v1::WORKER_ERROR, "odd", 10), 9, 8).ok());
  Start(id, 2);
  Commit();
  EXPECT_EQ(Get(id).failures(), 3);
  Begin();
  KeepCheckpoint(id, 20, 'a');
  Commit();
  EXPECT_EQ(Get(id).failures(), 0);
  EXPECT_EQ(Get(id).failure().message(), "odd");
  Begin();
  ASSERT_TRUE(writer()->ReleaseJob(id, 25, "drained", 9).ok());
  Commit();
  EXPECT_EQ(Get(id).failures(), 0);
}

TEST_F(JobsTest, ACheckpointWithoutAnArtifactIsRefused) {
  Begin();
  const int64_t id = AddJob(AddSweep("s"), Config({}));
  Start(id, 1);
  KeepCheckpoint(id, 20, 'a');
  v1::TrainingCheckpoint checkpoint;
  checkpoint.set_iteration(40);
  checkpoint.set_sha256(std::string(64, 'b'));
  const absl::Status status = writer()->KeepCheckpoint(id, checkpoint, 5);
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(checkpoint.sha256()));
  Commit();
  EXPECT_EQ(Get(id).checkpoint().sha256(), std::string(64, 'a'));
  EXPECT_EQ(Get(id).iteration(), 20);
}

// What is queued again goes on, but for a job that would only diverge again.
TEST_F(JobsTest, ARetriedJobGoesOnUnlessItDiverged) {
  Begin();
  const std::string sweep = AddSweep("s");
  std::vector<int64_t> jobs;
  for (const char* seed : {"0", "1", "2"}) {
    const int64_t id = AddJob(sweep, Config({{"model_seed", seed}}));
    Start(id);
    KeepCheckpoint(id, 20, *seed);
    jobs.push_back(id);
  }
  ASSERT_TRUE(writer()->CancelJob(jobs[0], "", 5).ok());
  ASSERT_TRUE(writer()->FailJob(jobs[1], Why(v1::WORKER_LOST, "gone", 30), 5).ok());
  ASSERT_TRUE(writer()->FailJob(jobs[2], Why(v1::DIVERGED, "NaN", 30), 5).ok());
  for (const int64_t id : jobs) ASSERT_TRUE(writer()->RetryJob(id, "again", 6).ok());
  Commit();
  EXPECT_EQ(Get(jobs[0]).checkpoint().iteration(), 20);
  EXPECT_EQ(Get(jobs[0]).iteration(), 20);
  EXPECT_EQ(Get(jobs[1]).checkpoint().iteration(), 20);
  EXPECT_FALSE(Get(jobs[2]).has_checkpoint());
  EXPECT_EQ(Get(jobs[2]).iteration(), 0);
}

TEST_F(JobsTest, QuarantinesAreKeptUntilTheyEndOrAreOld) {
  const auto kept = [this] {
    std::vector<std::string> lines;
    EXPECT_TRUE(writer()
                    ->LoadQuarantines([&lines](const Quarantine& q) {
                      lines.push_back(
                          absl::StrCat(q.place, " ", q.failures, " ", q.until_us, " ", q.reason));
                    })
                    .ok());
    return lines;
  };
  Begin();
  ASSERT_TRUE(writer()->KeepQuarantine({"p", 3, 100, "odd"}, 0).ok());
  ASSERT_TRUE(writer()->KeepQuarantine({"p", 4, 200, "odder"}, 0).ok());
  ASSERT_TRUE(writer()->KeepQuarantine({"q", 3, 300, "odd"}, 0).ok());
  Commit();
  Reopen();
  EXPECT_THAT(kept(), ElementsAre("p 4 200 odder", "q 3 300 odd"));
  Begin();
  ASSERT_TRUE(writer()->EndQuarantine("q").ok());
  ASSERT_TRUE(writer()->EndQuarantine("q").ok());
  ASSERT_TRUE(writer()->KeepQuarantine({"r", 3, 400, "odd"}, 201).ok());
  Commit();
  EXPECT_THAT(kept(), ElementsAre("r 3 400 odd"));
}

}  // namespace
}  // namespace modlab
