#include "lib/config/job_metrics.h"

#include <gtest/gtest.h>

#include <optional>

namespace modlab {
namespace {

void Add(v1::Metric metric, double value, MetricValues* values) {
  v1::MetricValue* entry = values->Add();
  entry->set_metric(metric);
  entry->set_value(value);
}

v1::Job Finished() {
  v1::Job job;
  job.mutable_config()->set_iterations(100);
  Add(v1::ID, 1, job.mutable_result()->mutable_metrics());
  job.mutable_result()->set_checkpoint_sha256("last");
  return job;
}

TEST(JobMetricsTest, WithoutAResultThereAreNone) {
  const v1::Job job;
  EXPECT_EQ(JobMetrics(job, v1::LAST), nullptr);
  EXPECT_EQ(JobMetrics(job, v1::BEST), nullptr);
  EXPECT_EQ(JobWeights(job, v1::BEST), "");
  EXPECT_EQ(FindMetric(nullptr, v1::ID), std::nullopt);
}

TEST(JobMetricsTest, AJobThatKeptNoBestHasNoneOfIt) {
  const v1::Job job = Finished();
  EXPECT_EQ(FindMetric(JobMetrics(job, v1::LAST), v1::ID), 1);
  EXPECT_EQ(FindMetric(JobMetrics(job, v1::CHECKPOINT_UNSPECIFIED), v1::ID), 1);
  EXPECT_EQ(FindMetric(JobMetrics(job, v1::LAST), v1::OOD), std::nullopt);
  EXPECT_EQ(JobMetrics(job, v1::BEST), nullptr);
  EXPECT_EQ(JobWeights(job, v1::LAST), "last");
  EXPECT_EQ(JobWeights(job, v1::BEST), "");
}

TEST(JobMetricsTest, AnEarlierBestHasItsOwn) {
  v1::Job job = Finished();
  job.mutable_result()->mutable_best()->set_iteration(50);
  job.mutable_result()->mutable_best()->set_checkpoint_sha256("best");
  Add(v1::ID, 0.5, job.mutable_result()->mutable_best()->mutable_metrics());
  EXPECT_EQ(FindMetric(JobMetrics(job, v1::LAST), v1::ID), 1);
  EXPECT_EQ(FindMetric(JobMetrics(job, v1::BEST), v1::ID), 0.5);
  EXPECT_EQ(JobWeights(job, v1::LAST), "last");
  EXPECT_EQ(JobWeights(job, v1::BEST), "best");
}

TEST(JobMetricsTest, ABestThatIsTheLastStandsInTheResult) {
  v1::Job job = Finished();
  job.mutable_result()->mutable_best()->set_iteration(100);
  EXPECT_EQ(FindMetric(JobMetrics(job, v1::BEST), v1::ID), 1);
  EXPECT_EQ(JobWeights(job, v1::BEST), "last");
}

TEST(JobMetricsTest, FiguresAndLossesAreInTheTargetsUnits) {
  for (const v1::Metric metric : {v1::ID, v1::OOD_LOSS, v1::ID_L3, v1::OOD_LOSS_L50}) {
    EXPECT_TRUE(IsInUnitsOfTarget(metric)) << metric;
  }
  for (const v1::Metric metric : {v1::COLLAPSE_AVG, v1::INVERSE_MI, v1::PARAMETERS}) {
    EXPECT_FALSE(IsInUnitsOfTarget(metric)) << metric;
  }
}

}  // namespace
}  // namespace modlab
