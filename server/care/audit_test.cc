#include "server/care/audit.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "server/care/audit_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST_F(AuditTest, AGoodStoreHasNoDamage) {
  const Audited audited = AuditIt();
  ASSERT_EQ(audited.status, absl::OkStatus());
  EXPECT_THAT(audited.Lines(), IsEmpty());
  std::vector<std::string> kinds;
  for (const v1::Finding& finding : audited.incomplete) kinds.push_back(finding.kind());
  EXPECT_THAT(kinds, UnorderedElementsAre("unfinished_job", "unfinished_job", "failed_job",
                                          "cancelled_job"));
  const v1::AuditSummary& summary = audited.summary;
  EXPECT_EQ(summary.sweeps(), 1);
  EXPECT_EQ(summary.jobs(), 5);
  EXPECT_EQ(summary.configs(), 5);
  EXPECT_EQ(summary.results(), 1);
  EXPECT_EQ(summary.points(), 3 + 2 + 1);
  EXPECT_EQ(summary.artifacts(), 4);
  EXPECT_EQ(summary.damaged(), 0);
  EXPECT_EQ(summary.incomplete(), 4);
}

// As after `modlab verify`: the same configs once more.
TEST_F(AuditTest, RepeatsAreNoConfigsOfTheirOwn) {
  Begin();
  const v1::JobConfig config = Config({});
  v1::SweepSpec spec;
  spec.set_name("verify-good");
  *spec.mutable_defaults() = config;
  spec.add_grids()->add_axes()->set_field("model_seed");
  for (const char* seed : {"0", "1"}) {
    spec.mutable_grids(0)->mutable_axes(0)->add_values(seed);
  }
  const QueuedSweep sweep = *writer()->InsertSweep(spec, {}, "ada", "verify", 1000);
  const std::vector<v1::JobConfig> configs = *ExpandSweep(spec);
  for (const v1::JobConfig& again : configs) {
    const int64_t id = *InsertJob(writer(), again, /*replicate=*/1);
    ASSERT_TRUE(*writer()->LinkJob(sweep.number, id));
    Complete(id, again);
  }
  Commit();
  const Audited audited = AuditIt();
  EXPECT_THAT(audited.Lines(), IsEmpty());
  EXPECT_EQ(audited.summary.jobs(), 7);
  EXPECT_EQ(audited.summary.configs(), 5);
  EXPECT_EQ(audited.summary.results(), 2) << "of the second, the repetition's alone";
  EXPECT_EQ(audited.summary.repeats(), 2);
  AuditOptions options;
  options.sweep = "verify-good";
  const Audited alone = AuditIt(options);
  EXPECT_EQ(alone.summary.configs(), 2);
  EXPECT_EQ(alone.summary.results(), 2);
  EXPECT_EQ(alone.summary.repeats(), 0);
}

TEST_F(AuditTest, EveryKindOfJobThatFinishesIsWhole) {
  Begin();
  for (const char* architecture : {"mlp", "mha", "rnn"}) {
    for (const char* model : {"modular", "monolithic"}) {
      const v1::JobConfig config =
          Config({{"architecture", architecture}, {"model", model}, {"target", "classification"}});
      const std::string name = absl::StrCat(architecture, "-", model);
      Complete(AddGrid(name, config, "rules", {"2"})[0], config);
    }
  }
  const v1::JobConfig odd = Config({{"rules", "3"}, {"modules", "2"}, {"validation_batches", "0"}});
  Complete(AddGrid("odd", odd, "rules", {"3"})[0], odd);
  Commit();
  EXPECT_THAT(AuditIt().Lines(), IsEmpty());
}

TEST_F(AuditTest, OneSweepAlone) {
  Begin();
  const v1::JobConfig config = Config({{"rules", "4"}});
  const int64_t other = AddGrid("other", config, "rules", {"4"})[0];
  Complete(other, config);
  Commit();
  Break(absl::StrCat("DELETE FROM results WHERE job = ", other));
  AuditOptions options;
  options.sweep = "good";
  EXPECT_THAT(AuditIt(options).Lines(), IsEmpty());
  options.sweep = "other";
  EXPECT_EQ(AuditIt(options).Kinds().count("missing_result"), 1u);
  options.sweep = "none";
  EXPECT_THAT(AuditIt(options).status, IsStatus(absl::StatusCode::kNotFound));
}

TEST_F(AuditTest, EndsWhenNobodyListens) {
  const absl::Status status =
      Audit(dir_.path(), *artifacts_, {}, [](const v1::AuditResponse&) { return false; });
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kCancelled));
}

// -- sweeps and their jobs ------------------------------------------------------

TEST_F(AuditTest, AJobThatTheSpecDoesNotAskFor) {
  Begin();
  EXPECT_TRUE(
      *writer()->LinkJob(Number("good-1"), AddJob(AddSweep("stray"), Config({{"rules", "8"}}))));
  Commit();
  const std::set<std::string> kinds = AuditIt().Kinds();
  EXPECT_EQ(kinds.count("extra_job"), 1u);
}

TEST_F(AuditTest, AConfigWithoutAJob) {
  Break(absl::StrCat("DELETE FROM sweep_jobs WHERE job = ", good_.queued));
  const Audited audited = AuditIt();
  EXPECT_THAT(audited.Kinds(), ElementsAre("missing_job", "orphan_job"));
  EXPECT_THAT(audited.damage[0].message(), HasSubstr("model_seed=2"));
  EXPECT_EQ(audited.summary.configs(), 6);
}

TEST_F(AuditTest, AConfigTwiceInASweep) {
  Begin();
  const v1::JobConfig config = Config({{"model_seed", "0"}});
  const int64_t copy = *InsertJob(writer(), config, 1);
  EXPECT_TRUE(*writer()->LinkJob(Number("good-1"), copy));
  Commit();
  Expect("doubled_config", "sweep good-1");
}

TEST_F(AuditTest, AConfigTwiceWithoutForce) {
  Break(
      absl::StrCat("DROP INDEX jobs_by_key; "
                   "UPDATE jobs SET job_key = (SELECT job_key FROM jobs WHERE id = ",
                   good_.queued, ") WHERE id = ", good_.cancelled));
  EXPECT_EQ(AuditIt().Kinds().count("doubled_job"), 1u);
}

TEST_F(AuditTest, ASpecThatCannotBeRead) {
  Break("UPDATE sweeps SET spec = x'ffff'");
  Expect("unreadable");
}

TEST_F(AuditTest, ASpecThatIsRefused) {
  BreakBlob<v1::SweepSpec>("SELECT spec FROM sweeps", "UPDATE sweeps SET spec = ?",
                           [](v1::SweepSpec* spec) { spec->mutable_defaults()->set_rules(-1); });
  Expect("bad_spec", "sweep good-1");
}

// -- jobs -------------------------------------------------------------------------

TEST_F(AuditTest, AConfigThatIsNotItsKeys) {
  BreakConfig(good_.finished, [](v1::JobConfig* config) { config->set_model_seed(77); });
  Expect("bad_config", Finished());
}

TEST_F(AuditTest, AConfigThatIsNotCanonical) {
  BreakConfig(good_.finished, [](v1::JobConfig* config) { config->clear_encoder_dim(); });
  Expect("bad_config", Finished());
}

TEST_F(AuditTest, AConfigThatIsRefused) {
  BreakConfig(good_.finished, [](v1::JobConfig* config) { config->set_rules(0); });
  Expect("bad_config", Finished());
}

TEST_F(AuditTest, AConfigThatCannotBeRead) {
  Break(absl::StrCat("UPDATE jobs SET config = x'ffff' WHERE id = ", good_.finished));
  Expect("unreadable", Finished());
}

TEST_F(AuditTest, AMissingResult) {
  Break(absl::StrCat("DELETE FROM results WHERE job = ", good_.finished));
  const std::set<std::string> kinds = AuditIt().Kinds();
  // Nothing says any more what its weights are for.
  EXPECT_THAT(kinds, ElementsAre("bad_reference", "missing_result"));
}

TEST_F(AuditTest, AResultOfAJobThatHasNotFinished) {
  Break(absl::StrCat("INSERT INTO results SELECT ", good_.failed, ", result FROM results"));
  Expect("unexpected_result", absl::StrCat("job ", good_.failed));
}

TEST_F(AuditTest, AMetricThatIsMissing) {
  BreakResult(good_.finished,
              [](v1::JobResult* result) { result->mutable_metrics()->RemoveLast(); });
  Expect("missing_metric", Finished());
  EXPECT_EQ(AuditIt().summary.results(), 0);
}

TEST_F(AuditTest, AMetricThatIsNoNumber) {
  BreakResult(good_.finished, [](v1::JobResult* result) {
    result->mutable_metrics(0)->set_value(std::numeric_limits<double>::quiet_NaN());
  });
  Expect("bad_metric", Finished());
}

TEST_F(AuditTest, AMetricThatIsThereTwice) {
  BreakPoint(good_.running, 50,
             [](v1::CurvePoint* point) { *point->add_values() = point->values(0); });
  Expect("bad_metric", absl::StrCat("job ", good_.running));
}

TEST_F(AuditTest, ABestCheckpointThatIsMissing) {
  BreakResult(good_.finished, [](v1::JobResult* result) { result->clear_best(); });
  const std::set<std::string> kinds = AuditIt().Kinds();
  EXPECT_THAT(kinds, ElementsAre("bad_best", "bad_reference"));
}

TEST_F(AuditTest, ABestCheckpointOfNoEvaluation) {
  BreakResult(good_.finished,
              [](v1::JobResult* result) { result->mutable_best()->set_iteration(7); });
  Expect("bad_best", Finished());
}

TEST_F(AuditTest, AnActivationMatrixOfAnotherShape) {
  BreakPoint(good_.finished, 100,
             [](v1::CurvePoint* point) { point->mutable_activation()->set_modules(3); });
  Expect("bad_activation", Finished());
}

TEST_F(AuditTest, AnActivationMatrixThatIsMissing) {
  BreakResult(good_.finished, [](v1::JobResult* result) { result->clear_activation(); });
  Expect("bad_activation", Finished());
}

TEST_F(AuditTest, AnActivationMatrixThatIsNoShareOfAWhole) {
  BreakPoint(good_.finished, 0,
             [](v1::CurvePoint* point) { point->mutable_activation()->set_values(0, 0.9F); });
  Expect("bad_activation", Finished());
}

// -- curves -----------------------------------------------------------------------

TEST_F(AuditTest, AGapInAFinishedCurve) {
  RemovePoint(good_.finished, 50);
  Expect("curve_gap", Finished());
}

TEST_F(AuditTest, ACurveThatEndsEarly) {
  RemovePoint(good_.finished, 100);
  Expect("curve_gap", Finished());
}

TEST_F(AuditTest, AGapInARunningCurve) {
  RemovePoint(good_.running, 0);
  Expect("curve_gap", absl::StrCat("job ", good_.running));
}

TEST_F(AuditTest, APointWhereNothingIsEvaluated) {
  Begin();
  EXPECT_EQ(writer()->AppendPoint(good_.running, MakePoint(Config({}), 51)), absl::OkStatus());
  Commit();
  Expect("curve_extra", absl::StrCat("job ", good_.running));
}

TEST_F(AuditTest, PointsUnderOtherIterations) {
  Break(absl::StrCat("UPDATE curve_chunks SET last = 99 WHERE key >> 27 = ", good_.finished));
  Expect("bad_point", Finished());
}

TEST_F(AuditTest, PointsThatTheirRowDoesNotKnowOf) {
  Break(absl::StrCat("UPDATE curve_chunks SET points = 4 WHERE key >> 27 = ", good_.finished));
  Expect("bad_point", Finished());
}

TEST_F(AuditTest, APointThatIsThereTwice) {
  BreakCurve(good_.finished, [](std::vector<v1::CurvePoint>* points) {
    points->insert(points->begin(), points->front());
  });
  Break(absl::StrCat("UPDATE curve_chunks SET points = 4 WHERE key >> 27 = ", good_.finished));
  Expect("bad_point", Finished());
}

TEST_F(AuditTest, ACurveOfNoJob) {
  Break(
      "INSERT INTO curve_chunks SELECT key + (1 << 40), last, points, chunk FROM curve_chunks "
      "LIMIT 1");
  Expect("broken_reference", absl::StrCat("job ", 8192 + good_.finished));
}

TEST_F(AuditTest, APointThatCannotBeRead) {
  Break(absl::StrCat("UPDATE curve_chunks SET chunk = x'ffff' WHERE key >> 27 = ", good_.finished));
  Expect("unreadable", Finished());
}

TEST_F(AuditTest, AFinishedJobThatIsNotAtItsEnd) {
  Break(absl::StrCat("UPDATE jobs SET iteration = 99 WHERE id = ", good_.finished));
  Expect("bad_progress", Finished());
}

// -- events -------------------------------------------------------------------------

TEST_F(AuditTest, NoEvents) {
  Break(absl::StrCat("DELETE FROM job_events WHERE job = ", good_.failed));
  Expect("bad_events", absl::StrCat("job ", good_.failed));
}

TEST_F(AuditTest, AnEventThatIsMissing) {
  Break(absl::StrCat("DELETE FROM job_events WHERE n = 2 AND job = ", good_.failed));
  Expect("bad_events", absl::StrCat("job ", good_.failed));
}

TEST_F(AuditTest, TheLastEventIsMissing) {
  Break(absl::StrCat("DELETE FROM job_events WHERE n = 3 AND job = ", good_.failed));
  Expect("bad_events", absl::StrCat("job ", good_.failed));
}

TEST_F(AuditTest, TwoFinishes) {
  Break(absl::StrCat("INSERT INTO job_events VALUES (", good_.finished,
                     ", 2, 4000, 6, 1, 'host-1', 100, '', 0);"
                     "UPDATE jobs SET events = 4 WHERE id = ",
                     good_.finished));
  Expect("bad_events", Finished());
}

TEST_F(AuditTest, AnAttemptThatIsLeasedAgain) {
  Begin();
  Start(good_.queued, 2);
  Commit();
  EXPECT_THAT(AuditIt().Lines(), IsEmpty());
  Break(absl::StrCat("UPDATE job_events SET attempt = 2 WHERE kind = 2 AND job = ", good_.queued));
  Expect("bad_events", absl::StrCat("job ", good_.queued));
}

TEST_F(AuditTest, AFinishOfAnotherAttempt) {
  Break(absl::StrCat("UPDATE job_events SET attempt = 7 WHERE n = 3 AND job = ", good_.failed));
  Expect("bad_events", absl::StrCat("job ", good_.failed));
}

TEST_F(AuditTest, AWholeLifeIsLegal) {
  Begin();
  v1::Failure failure;
  failure.set_cause(v1::WORKER_LOST);
  EXPECT_EQ(writer()->RequeueJob(good_.running, 1, "", failure, 0, 5000), absl::OkStatus());
  Start(good_.running, 2);
  EXPECT_EQ(writer()->FailJob(good_.running, failure, 5100), absl::OkStatus());
  EXPECT_EQ(writer()->RetryJob(good_.running, "again", 5200), absl::OkStatus());
  Start(good_.running, 3);
  EXPECT_EQ(writer()->CancelJob(good_.running, "", 5300), absl::OkStatus());
  EXPECT_EQ(writer()->RetryJob(good_.running, "again", 5400), absl::OkStatus());
  EXPECT_EQ(writer()->CancelJob(good_.running, "", 5500), absl::OkStatus());
  Commit();
  EXPECT_THAT(AuditIt().Lines(), IsEmpty());
}

TEST_F(AuditTest, JobsOlderThanEventsNeedNone) {
  // Jobs come in the order of their ids.
  Break(absl::StrCat("DELETE FROM job_events WHERE job <= ", good_.running,
                     "; UPDATE jobs SET events = 0 WHERE id <= ", good_.running));
  BreakConfig(good_.finished, [](v1::JobConfig* config) { config->clear_encoder_dim(); });
  EXPECT_THAT(AuditIt().Lines(), IsEmpty());
  Begin();
  EXPECT_EQ(writer()->ReleaseJob(good_.running, 60, "", 5000), absl::OkStatus());
  Start(good_.running, 2);
  Commit();
  EXPECT_THAT(AuditIt().Lines(), IsEmpty());
}

TEST_F(AuditTest, JobsWhoseFirstSweepWasPrunedAreWhole) {
  Begin();
  EXPECT_EQ(writer()->CancelJob(good_.running, "", 5000), absl::OkStatus());
  EXPECT_EQ(writer()->CancelJob(good_.queued, "", 5000), absl::OkStatus());
  const v1::SweepSpec spec = *writer()->ReadSpec(Number("good-1"));
  const int64_t later = writer()->InsertSweep(spec, {}, "bob", "later", 6000)->number;
  for (int64_t job = good_.finished; job <= good_.cancelled; ++job) {
    EXPECT_TRUE(*writer()->LinkJob(later, job));
  }
  v1::PruneRequest request;
  request.set_sweep("good-1");
  EXPECT_EQ(writer()->Prune(request, 0).status(), absl::OkStatus());
  Commit();
  EXPECT_THAT(AuditIt().Lines(), IsEmpty());
  // They are no older than events, which would excuse much.
  BreakConfig(good_.finished, [](v1::JobConfig* config) { config->clear_encoder_dim(); });
  Expect("bad_config", Finished());
}

// The coordinator that is started next goes on with it.
TEST_F(AuditTest, ASweepWhoseCancelWasInterruptedIsOnlyUnfinished) {
  const size_t before = AuditIt().incomplete.size();
  Begin();
  EXPECT_EQ(writer()->CancelSweep("good-1", 5000).status(), absl::OkStatus());
  Commit();
  const Audited audited = AuditIt();
  EXPECT_THAT(audited.Lines(), IsEmpty());
  EXPECT_EQ(audited.incomplete.size(), before);
}

// -- the file -------------------------------------------------------------------------

TEST_F(AuditTest, ARowThatRefersToNone) {
  Break("INSERT INTO results VALUES (999, x'')");
  Expect("broken_reference", "database");
}

TEST_F(AuditTest, AnIndexThatIsDamaged) {
  // SQLite takes an index for what it says it is.
  Break(
      "PRAGMA writable_schema = ON;"
      "UPDATE sqlite_schema SET sql = 'CREATE INDEX jobs_unfinished ON jobs (id) WHERE state "
      "IN (3, 4)' WHERE name = 'jobs_unfinished';");
  Expect("broken_page", "database");
}

TEST_F(AuditTest, AnotherSchemaIsRefused) {
  Break("PRAGMA user_version = 1");
  EXPECT_THAT(AuditIt().status, IsStatus(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace modlab
