#include <cstdint>
#include <string>
#include <vector>

#include "server/store/store.h"
#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PruneTest : public StoreFixture {
 protected:
  static v1::PruneRequest Of(const std::string& sweep) {
    v1::PruneRequest request;
    request.set_sweep(sweep);
    return request;
  }

  // A finished job with 2 points, and weights of these letters.
  int64_t AddFinished(const std::string& sweep, const char* seed, char last, char best,
                      int64_t finished_us = 4000) {
    const int64_t id = AddJob(sweep, Config({{"model_seed", seed}}));
    Start(id);
    AddPoint(id, 0, v1::EVAL_LOSS, 1);
    AddPoint(id, 50, v1::EVAL_LOSS, 1);
    v1::JobResult result;
    v1::MetricValue* metric = result.add_metrics();
    metric->set_metric(v1::ID);
    metric->set_value(0.5);
    result.set_checkpoint_sha256(AddArtifact(last));
    result.mutable_best()->set_iteration(50);
    result.mutable_best()->set_checkpoint_sha256(AddArtifact(best));
    EXPECT_EQ(writer()->FinishJob(id, result, finished_us), absl::OkStatus());
    return id;
  }

  v1::PruneResponse Prune(const v1::PruneRequest& request, int64_t older_than_us = 0) {
    const auto response = writer()->Prune(request, older_than_us);
    EXPECT_EQ(response.status(), absl::OkStatus());
    return response.ok() ? *response : v1::PruneResponse();
  }

  absl::Status PruneError(const v1::PruneRequest& request) {
    return writer()->Prune(request, 0).status();
  }

  std::vector<std::string> Garbage() { return *writer()->FindGarbage(1'000'000, 1000); }

  // All that a dry run must not change.
  std::string Everything() {
    std::string all;
    const v1::ListSweepsResponse sweeps = *store_->ListSweeps(1000, "");
    for (const v1::Sweep& sweep : sweeps.sweeps()) {
      all += sweep.ShortDebugString();
    }
    EXPECT_TRUE(store_
                    ->ScanCurves("", {},
                                 [&](const v1::Job& job, const auto& points) {
                                   all += job.ShortDebugString();
                                   for (const v1::CurvePoint& point : points) {
                                     all += point.ShortDebugString();
                                   }
                                   return true;
                                 })
                    .ok());
    return all;
  }
};

TEST_F(PruneTest, ASweepGoesWithAllThatOnlyItNeeds) {
  Begin();
  const std::string old = AddSweep("old");
  const std::string kept = AddSweep("kept");
  const int64_t own = AddFinished(old, "0", 'a', 'b');
  const int64_t shared = AddFinished(old, "1", 'c', 'd');
  const int64_t same_weights = AddFinished(kept, "2", 'a', 'a');
  ASSERT_TRUE(*writer()->LinkJob(Number(kept), shared));
  Commit();
  Begin();
  const v1::PruneResponse response = Prune(Of("old"));
  EXPECT_THAT(response.sweeps(), ElementsAre("old-1"));
  EXPECT_EQ(response.jobs(), 1);
  EXPECT_EQ(response.points(), 2);
  EXPECT_EQ(response.artifacts(), 1);
  EXPECT_EQ(response.artifact_bytes(), 1);
  EXPECT_THAT(Garbage(), ElementsAre(std::string(64, 'b')));
  Commit();
  EXPECT_FALSE(store_->GetSweep("old").ok());
  EXPECT_THAT(store_->GetJob(own).status(), IsStatus(absl::StatusCode::kNotFound));
  EXPECT_EQ(store_->GetSweep("kept")->counts().succeeded(), 2);
  EXPECT_EQ(Get(shared).result().checkpoint_sha256(), std::string(64, 'c'));
  EXPECT_EQ(Get(same_weights).result().checkpoint_sha256(), std::string(64, 'a'));
  EXPECT_EQ(store_->ReadCurve(shared)->size(), 2u);
  Begin();
  EXPECT_THAT(PruneError(Of("old")), IsStatus(absl::StatusCode::kNotFound));
  EXPECT_EQ(Prune(Of("kept")).jobs(), 2);
  EXPECT_EQ(Garbage().size(), 4u);
  Commit();
}

TEST_F(PruneTest, AnIdIsNeverGivenAgain) {
  Begin();
  AddSweep("s");
  AddSweep("s");
  const int64_t id = AddFinished("s-2", "0", 'a', 'b');
  ASSERT_THAT(Prune(Of("s-2")).sweeps(), ElementsAre("s-2"));
  EXPECT_EQ(AddSweep("s"), "s-3");
  EXPECT_GT(AddFinished("s-3", "0", 'a', 'b'), id);
  ASSERT_THAT(Prune(Of("s-1")).sweeps(), ElementsAre("s-1"));
  ASSERT_THAT(Prune(Of("s-3")).sweeps(), ElementsAre("s-3"));
  EXPECT_EQ(AddSweep("s"), "s-4");
  Commit();
}

TEST_F(PruneTest, WeightsAlone) {
  Begin();
  const std::string sweep = AddSweep("s");
  const int64_t done = AddFinished(sweep, "0", 'a', 'b');
  const int64_t bare = AddJob(sweep, Config({{"model_seed", "1"}}));
  Finish(bare, {{v1::ID, 1}});
  const int64_t stopped = AddJob(sweep, Config({{"model_seed", "2"}}));
  Start(stopped);
  KeepCheckpoint(stopped, 10, 'c');
  ASSERT_TRUE(writer()->CancelJob(stopped, "", 5).ok());
  v1::PruneRequest request = Of(sweep);
  request.set_weights_only(true);
  const v1::PruneResponse response = Prune(request);
  EXPECT_THAT(response.sweeps(), ElementsAre("s-1"));
  EXPECT_EQ(response.jobs(), 2);
  EXPECT_EQ(response.points(), 0);
  EXPECT_EQ(response.artifacts(), 3);
  EXPECT_EQ(response.artifact_bytes(), 3);
  EXPECT_EQ(Garbage().size(), 3u);
  EXPECT_EQ(Prune(request).ShortDebugString(), "");
  Commit();
  const v1::Job job = Get(done);
  EXPECT_EQ(job.state(), v1::SUCCEEDED);
  EXPECT_EQ(job.result().metrics(0).value(), 0.5);
  EXPECT_EQ(job.result().checkpoint_sha256(), "");
  EXPECT_EQ(job.result().best().iteration(), 50);
  EXPECT_EQ(job.result().best().checkpoint_sha256(), "");
  EXPECT_EQ(store_->ReadCurve(done)->size(), 2u);
  EXPECT_EQ(store_->ReadEvents(done)->size(), 3u);
  EXPECT_FALSE(Get(stopped).has_checkpoint());
  EXPECT_FALSE(Get(bare).result().has_best());
}

TEST_F(PruneTest, WeightsThatAnotherSweepAsksForStay) {
  Begin();
  const std::string one = AddSweep("one");
  const int64_t id = AddFinished(one, "0", 'a', 'b');
  ASSERT_TRUE(*writer()->LinkJob(Number(AddSweep("two")), id));
  v1::PruneRequest request = Of(one);
  request.set_weights_only(true);
  EXPECT_EQ(Prune(request).ShortDebugString(), "");
  EXPECT_THAT(Garbage(), IsEmpty());
  Commit();
  EXPECT_EQ(Get(id).result().checkpoint_sha256(), std::string(64, 'a'));
}

// Nobody is left who asks for them.
TEST_F(PruneTest, WeightsThatOldSweepsShareGo) {
  Begin();
  const int64_t id = AddFinished(AddSweep("one"), "0", 'a', 'b', 5000);
  ASSERT_TRUE(*writer()->LinkJob(Number(AddSweep("two")), id));
  AddSweep("three");
  v1::PruneRequest request;
  request.set_older_than_seconds(1);
  request.set_weights_only(true);
  const v1::PruneResponse response = Prune(request, 5001);
  EXPECT_THAT(response.sweeps(), ElementsAre("one-1", "two-1"));
  EXPECT_EQ(response.jobs(), 1);
  EXPECT_EQ(Garbage().size(), 2u);
  Commit();
}

TEST_F(PruneTest, APlanIsWhatAPruneDoes) {
  Begin();
  const std::string sweep = AddSweep("s");
  AddFinished(sweep, "0", 'a', 'b');
  const int64_t shared = AddFinished(sweep, "1", 'c', 'd');
  ASSERT_TRUE(*writer()->LinkJob(Number(AddSweep("other")), shared));
  AddFinished(sweep, "2", 'a', 'a');
  Commit();
  for (const bool weights_only : {true, false}) {
    v1::PruneRequest request = Of(sweep);
    request.set_weights_only(weights_only);
    const absl::StatusOr<PrunePlan> plan = store_->PlanPrune(request, 0);
    ASSERT_EQ(plan.status(), absl::OkStatus());
    EXPECT_EQ(plan->response.jobs(), 2);
    EXPECT_EQ(plan->response.artifacts(), 2);
    Begin();
    EXPECT_EQ(Prune(request).ShortDebugString(), plan->response.ShortDebugString());
    EXPECT_EQ(Garbage().size(), 2u);
    writer()->Rollback();
  }
  EXPECT_THAT(store_->PlanPrune(Of("none"), 0).status(), IsStatus(absl::StatusCode::kNotFound));
}

// What was planned may be another sweep's by now, or run again.
TEST_F(PruneTest, WeightsOfChosenJobs) {
  Begin();
  const std::string sweep = AddSweep("s");
  const int64_t own = AddFinished(sweep, "0", 'a', 'b');
  const int64_t shared = AddFinished(sweep, "1", 'c', 'd');
  ASSERT_TRUE(*writer()->LinkJob(Number(AddSweep("other")), shared));
  const int64_t running = AddJob(sweep, Config({{"model_seed", "2"}}));
  Start(running);
  KeepCheckpoint(running, 10, 'e');
  ASSERT_EQ(writer()->PruneWeights({Number(sweep)}, {own, shared, running, 1000}),
            absl::OkStatus());
  Commit();
  EXPECT_EQ(Get(own).result().checkpoint_sha256(), "");
  EXPECT_EQ(Get(shared).result().checkpoint_sha256(), std::string(64, 'c'));
  EXPECT_TRUE(Get(running).has_checkpoint());
  EXPECT_EQ(Garbage().size(), 2u);
}

TEST_F(PruneTest, ADryRunSaysWhatWouldGoAndChangesNothing) {
  Begin();
  const std::string sweep = AddSweep("s");
  AddFinished(sweep, "0", 'a', 'b');
  AddFinished(sweep, "1", 'c', 'c');
  Commit();
  const std::string before = Everything();
  for (const bool weights_only : {true, false}) {
    v1::PruneRequest request = Of(sweep);
    request.set_weights_only(weights_only);
    request.set_dry_run(true);
    Begin();
    const std::string said = Prune(request).ShortDebugString();
    EXPECT_THAT(Garbage(), IsEmpty());
    Commit();
    EXPECT_EQ(Everything(), before);
    request.set_dry_run(false);
    Begin();
    EXPECT_EQ(Prune(request).ShortDebugString(), said);
    EXPECT_EQ(Garbage().size(), 3u);
    writer()->Rollback();
  }
}

TEST_F(PruneTest, UnfinishedSweepsStay) {
  Begin();
  const std::string sweep = AddSweep("s");
  AddFinished(sweep, "0", 'a', 'b');
  const int64_t waiting = AddJob(sweep, Config({{"model_seed", "1"}}));
  Commit();
  const std::string before = Everything();
  Begin();
  const absl::Status status = PruneError(Of(sweep));
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(status.message()), HasSubstr("s-1"));
  v1::PruneRequest old;
  old.set_older_than_seconds(1);
  EXPECT_EQ(Prune(old, 1'000'000).ShortDebugString(), "");
  Commit();
  EXPECT_EQ(Everything(), before);
  Begin();
  ASSERT_TRUE(writer()->CancelJob(waiting, "", 5).ok());
  EXPECT_THAT(Prune(Of(sweep)).sweeps(), ElementsAre("s-1"));
  Commit();
}

TEST_F(PruneTest, OldIsWhatHasNotChangedForSoLong) {
  Begin();
  AddFinished(AddSweep("early"), "0", 'a', 'b', 5000);
  AddFinished(AddSweep("late"), "1", 'c', 'd', 9000);
  AddSweep("empty");  // made at 1000
  const int64_t shared = AddFinished(AddSweep("one"), "2", 'e', 'f', 5000);
  ASSERT_TRUE(*writer()->LinkJob(Number(AddSweep("two")), shared));
  const std::string cancelled = AddSweep("cancelled");
  ASSERT_TRUE(writer()->CancelSweep(cancelled, 9000).ok());
  Commit();
  v1::PruneRequest request;
  request.set_older_than_seconds(1);
  Begin();
  EXPECT_EQ(Prune(request, 1000).ShortDebugString(), "");
  EXPECT_THAT(Prune(request, 5000).sweeps(), ElementsAre("empty-1"));
  const v1::PruneResponse response = Prune(request, 5001);
  EXPECT_THAT(response.sweeps(), ElementsAre("early-1", "one-1", "two-1"));
  EXPECT_EQ(response.jobs(), 2);
  EXPECT_EQ(response.artifacts(), 4);
  request.set_sweep("late");
  EXPECT_EQ(Prune(request, 9000).ShortDebugString(), "");
  EXPECT_THAT(Prune(request, 9001).sweeps(), ElementsAre("late-1"));
  Commit();
  EXPECT_EQ(store_->ListSweeps(10, "")->sweeps_size(), 1);
}

TEST_F(PruneTest, ARequestMustChoose) {
  Begin();
  EXPECT_THAT(PruneError(v1::PruneRequest()), IsStatus(absl::StatusCode::kInvalidArgument));
  v1::PruneRequest negative = Of("s");
  negative.set_older_than_seconds(-1);
  EXPECT_THAT(PruneError(negative), IsStatus(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(PruneError(Of("none")), IsStatus(absl::StatusCode::kNotFound));
  writer()->Rollback();
  EXPECT_THAT(PruneError(Of("none")), IsStatus(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace modlab
