#include "server/store/figure_rows.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/config/job_metrics.h"
#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::HasSubstr;

class FigureRowsTest : public StoreFixture {
 protected:
  static void AddMetric(v1::Metric metric, double value,
                        google::protobuf::RepeatedPtrField<v1::MetricValue>* values) {
    v1::MetricValue* added = values->Add();
    added->set_metric(metric);
    added->set_value(value);
  }

  static v1::JobResult Result(int64_t best_iteration) {
    v1::JobResult result;
    AddMetric(v1::ID, 0.25, result.mutable_metrics());
    AddMetric(v1::OOD, 0, result.mutable_metrics());
    AddMetric(v1::OOD_LOSS_L50, -1.5, result.mutable_metrics());
    AddMetric(static_cast<v1::Metric>(9999), 7, result.mutable_metrics());
    result.mutable_activation()->add_values(1);
    result.mutable_provenance()->set_device("cpu");
    if (best_iteration < 0) return result;
    result.mutable_best()->set_iteration(best_iteration);
    if (best_iteration < 100) AddMetric(v1::ID, 0.125, result.mutable_best()->mutable_metrics());
    return result;
  }
};

TEST_F(FigureRowsTest, AreThoseOfTheMessages) {
  Begin();
  const std::string sweep = AddSweep("s");
  int seed = 0;
  for (const int64_t best : {-1, 0, 50, 100}) {
    const int64_t id = AddJob(sweep, Config({{"model_seed", absl::StrCat(++seed).c_str()}}));
    Start(id);
    ASSERT_EQ(writer()->FinishJob(id, Result(best), 4000), absl::OkStatus());
  }
  AddJob(sweep, Config({}));
  Commit();
  for (const v1::Checkpoint checkpoint : {v1::CHECKPOINT_UNSPECIFIED, v1::LAST, v1::BEST}) {
    std::vector<v1::Job> jobs;
    ASSERT_TRUE(store_
                    ->ScanJobs("s", {}, 0,
                               [&](const v1::Job& job) {
                                 jobs.push_back(job);
                                 return true;
                               })
                    .ok());
    ASSERT_EQ(jobs.size(), 5u);
    size_t n = 0;
    ASSERT_TRUE(
        store_
            ->ScanFigures("s", {}, checkpoint,
                          [&](const JobFigures& figures) {
                            const v1::Job& job = jobs[n++];
                            EXPECT_EQ(figures.id, job.id());
                            EXPECT_EQ(figures.state, job.state());
                            EXPECT_EQ(figures.config_bytes, job.config().SerializeAsString());
                            const MetricValues* values = JobMetrics(job, checkpoint);
                            EXPECT_EQ(figures.has_figures, values != nullptr);
                            if (values == nullptr) return true;
                            EXPECT_EQ(figures.figures.size(), static_cast<size_t>(values->size()));
                            for (int i = 0; i < values->size(); ++i) {
                              const Figure& figure = figures.figures[static_cast<size_t>(i)];
                              EXPECT_EQ(figure.metric, values->Get(i).metric());
                              EXPECT_EQ(figure.value, values->Get(i).value());
                            }
                            return true;
                          })
            .ok());
    EXPECT_EQ(n, 5u);
  }
}

TEST_F(FigureRowsTest, OneMetricOfEveryCurve) {
  Begin();
  const int64_t id = AddJob(AddSweep("s"), Config({}));
  AddPoint(id, 0, v1::EVAL_LOSS, 1);
  AddPoint(id, 50, v1::TRAIN_LOSS, 2);
  AddPoint(id, 100, v1::EVAL_LOSS, 3);
  Commit();
  int jobs = 0;
  ASSERT_TRUE(store_
                  ->ScanMetric("s", {}, v1::EVAL_LOSS,
                               [&](const JobFigures& job, const MetricCurve& curve) {
                                 EXPECT_EQ(job.id, id);
                                 EXPECT_EQ(curve.iterations, (std::vector<int64_t>{0, 100}));
                                 EXPECT_EQ(curve.values, (std::vector<double>{1, 3}));
                                 return ++jobs > 0;
                               })
                  .ok());
  EXPECT_EQ(jobs, 1);
}

TEST_F(FigureRowsTest, DamageIsToldOf) {
  Begin();
  const int64_t id = AddJob(AddSweep("s"), Config({}));
  Start(id);
  Finish(id, {{v1::ID, 1}});
  Commit();
  const auto raw =
      *Connection::Open(dir_.path() + "/modlab.db", Connection::Mode::kReadWriteCreate);
  for (const char* damage :
       {"UPDATE results SET result = x'0a0b08'", "UPDATE jobs SET config = x'ff'"}) {
    ASSERT_EQ(raw->Execute(damage), absl::OkStatus());
    const absl::Status status =
        store_->ScanFigures("s", {}, v1::LAST, [](const JobFigures&) { return true; });
    EXPECT_THAT(status, IsStatus(absl::StatusCode::kInternal));
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("job ", id)));
  }
}

}  // namespace
}  // namespace modlab
