// Figures by sequence length and best checkpoints, wherever they are looked at.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/worker.pb.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/scripted_worker.h"

namespace modlab::e2e {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr char kSweep[] = R"(
name: lengths
defaults: {architecture: mha, target: regression, model: modular, rules: 2, iterations: 60}
grid: {model_seed: [0, 1]}
)";

void Add(v1::Metric metric, double value,
         google::protobuf::RepeatedPtrField<v1::MetricValue>* values) {
  v1::MetricValue* entry = values->Add();
  entry->set_metric(metric);
  entry->set_value(value);
}

// What a worker tells of a finished job. The best of the first job is an earlier
// one, that of the second the last.
v1::Report Finished(const v1::JobConfig& config) {
  v1::Report report;
  v1::JobResult* result = report.mutable_finished();
  Add(v1::ID, 0.5, result->mutable_metrics());
  Add(v1::OOD, 0.75, result->mutable_metrics());
  Add(v1::ID_L3, 0.25, result->mutable_metrics());
  Add(v1::ID_L10, 0.5, result->mutable_metrics());
  Add(v1::OOD_L10, 0.625, result->mutable_metrics());
  const bool earlier = config.model_seed() == 0;
  result->mutable_best()->set_iteration(earlier ? 20 : 60);
  if (earlier) {
    Add(v1::ID, 0.125, result->mutable_best()->mutable_metrics());
    Add(v1::ID_L3, 0.0625, result->mutable_best()->mutable_metrics());
  }
  return report;
}

TEST(LengthsTest, FiguresByLengthAndBestCheckpointsAreSeen) {
  Cluster cluster;
  cluster.StartCoordinator();
  const std::string sweep = cluster.Submit(kSweep);
  ASSERT_TRUE(ReportJobs(
      cluster.address(), 2,
      [](const v1::JobConfig& config) -> std::optional<v1::Report> { return Finished(config); }));

  const Json jobs = cluster.Rows({"export", sweep});
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_THAT(Keys(jobs[0]), AllOf(Contains("id_l3"), Contains("ood_l10"), Not(Contains("id_l50")),
                                   Not(Contains("best_iteration"))));
  EXPECT_EQ(jobs[1]["id_l3"], 0.25);

  std::map<int64_t, Json> shown;
  std::map<int64_t, std::string> tables;
  for (const Json& job : jobs) {
    const std::string id = absl::StrCat(job["job"].get<int64_t>());
    shown[job["model_seed"]] = cluster.Row({"show", id});
    tables[job["model_seed"]] = cluster.Modlab({"show", id}).out;
  }
  EXPECT_EQ(shown[0]["id_l3"], 0.25);
  EXPECT_EQ(shown[0]["best_iteration"], 20);
  EXPECT_EQ(shown[0]["best_id"], 0.125);
  EXPECT_TRUE(shown[0]["best_ood"].is_null());
  EXPECT_EQ(shown[1]["best_iteration"], 60);
  EXPECT_EQ(shown[1]["best_id"], 0.5);
  EXPECT_EQ(shown[1]["best_ood"], 0.75);
  EXPECT_THAT(tables[0],
              AllOf(HasSubstr("best_iteration"), Not(HasSubstr("id_l3")),
                    HasSubstr("length    id    ood\n"), HasSubstr("     3  0.25      -\n"),
                    HasSubstr("    10   0.5  0.625\n")));

  const auto mean = [&](const char* checkpoint) {
    return cluster.Row(
        {"results", sweep, "--metrics", "id_l3", "--checkpoint", checkpoint})["mean"];
  };
  const Json best = cluster.Rows({"export", sweep, "--checkpoint", "best"});
  for (size_t i = 0; i < best.size(); ++i) {
    const bool earlier = best[i]["model_seed"] == 0;
    EXPECT_EQ(best[i]["id"], earlier ? 0.125 : 0.5);
    EXPECT_EQ(best[i]["ood"].is_null(), earlier);
  }
  EXPECT_EQ(mean("last"), 0.25);
  EXPECT_EQ(mean("best"), (0.25 + 0.0625) / 2);
}

}  // namespace
}  // namespace modlab::e2e
