#include "client/job_row.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "lib/config/words.h"

namespace modlab {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

Cell Find(const v1::Job& job, const std::string& column) {
  const std::vector<std::string> columns = JobColumns(MetricsByLength(job));
  const std::vector<Cell> cells = JobCells(job, MetricsByLength(job));
  EXPECT_EQ(columns.size(), cells.size());
  for (size_t i = 0; i < columns.size() && i < cells.size(); ++i) {
    if (columns[i] == column) return cells[i];
  }
  ADD_FAILURE() << "no column " << column;
  return {};
}

v1::Job MakeJob() {
  v1::Job job;
  job.set_id(7);
  job.set_state(v1::SUCCEEDED);
  job.mutable_config()->set_architecture(v1::MLP);
  job.mutable_config()->set_rules(4);
  job.mutable_config()->set_learning_rate(1e-3);
  v1::MetricValue* id = job.mutable_result()->add_metrics();
  id->set_metric(v1::ID);
  id->set_value(0.25);
  return job;
}

// The number of a job and the error in distribution were both called "id".
TEST(JobRowTest, NoTwoColumnsHaveOneName) {
  const std::vector<std::string> columns = JobColumns({});
  EXPECT_EQ(std::set<std::string>(columns.begin(), columns.end()).size(), columns.size());
  EXPECT_EQ(Find(MakeJob(), "job"), Cell(int64_t{7}));
  EXPECT_EQ(Find(MakeJob(), "id"), Cell(0.25));
}

TEST(JobRowTest, HasEveryFieldAndMetricWithItsType) {
  for (const std::string& field : JobFieldNames()) EXPECT_THAT(JobColumns({}), Contains(field));
  const v1::Job job = MakeJob();
  EXPECT_EQ(Find(job, "architecture"), Cell(std::string("mlp")));
  EXPECT_EQ(Find(job, "rules"), Cell(int64_t{4}));
  EXPECT_EQ(Find(job, "learning_rate"), Cell(1e-3));
  EXPECT_EQ(Find(job, "modules"), Cell());
  EXPECT_EQ(Find(job, "ood"), Cell());
  EXPECT_EQ(Find(job, "finished"), Cell());
}

TEST(JobRowTest, FiguresByLengthHaveColumnsWhereAskedFor) {
  EXPECT_THAT(JobColumns({}), Not(Contains("id_l3")));
  EXPECT_THAT(MetricsByLength(MakeJob()), IsEmpty());
  v1::Job job = MakeJob();
  v1::MetricValue* loss = job.mutable_result()->add_metrics();
  loss->set_metric(v1::OOD_LOSS_L50);
  loss->set_value(2);
  EXPECT_THAT(MetricsByLength(job), ElementsAre(v1::OOD_LOSS_L50));
  EXPECT_EQ(Find(job, "ood_loss_l50"), Cell(2.0));
  // Another job has one more.
  EXPECT_EQ(JobColumns({v1::ID_L3, v1::OOD_LOSS_L50}).size(), JobColumns({}).size() + 2);
  EXPECT_EQ(JobCells(job, {v1::ID_L3, v1::OOD_LOSS_L50}).size(), JobColumns({}).size() + 2);
}

TEST(JobRowTest, AJobWithoutResultHasNoZerosForOne) {
  v1::Job job;
  EXPECT_EQ(Find(job, "wall_seconds"), Cell());
  EXPECT_EQ(Find(job, "failure_cause"), Cell());
  job.mutable_failure()->set_cause(v1::DIVERGED);
  job.mutable_failure()->set_message("the loss became infinite");
  EXPECT_EQ(Find(job, "failure_cause"), Cell(std::string("diverged")));
  EXPECT_EQ(Find(job, "failure"), Cell(std::string("the loss became infinite")));
}

}  // namespace
}  // namespace modlab
