// From submit to results: one sweep, and every way to look at what came out.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/config/sha256.h"
#include "lib/metrics/specialisation.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr int kJobs = 2 * 4 * 2 * 3;
constexpr int kSeeds = 3;

class ResultsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<Cluster>();
    cluster_->StartCoordinator();
    cluster_->StartWorker(/*gang=*/6);
    sweep_ = cluster_->Submit(SmallSweep("results",
                                         "{target: [regression, classification], "
                                         "model: [monolithic, modular, modular_op, gt_modular], "
                                         "rules: [2, 4], data_seed: {from: 0, to: 2}}"));
    end_ = cluster_->WaitForEnd(sweep_);
  }
  static void TearDownTestSuite() { cluster_.reset(); }

  static std::unique_ptr<Cluster> cluster_;
  static std::string sweep_;
  static Json end_;
};

std::unique_ptr<Cluster> ResultsTest::cluster_;
std::string ResultsTest::sweep_;
Json ResultsTest::end_;

TEST_F(ResultsTest, AllJobsSucceed) {
  EXPECT_EQ(sweep_, "results-1");
  EXPECT_EQ(end_.value("succeeded", 0), kJobs) << end_.dump();
  EXPECT_EQ(end_.value("failed", -1), 0);
  EXPECT_EQ(end_.value("cancelled", -1), 0);

  const Json sweeps = cluster_->Rows({"ls"});
  ASSERT_EQ(sweeps.size(), 1u);
  EXPECT_EQ(sweeps[0].value("succeeded", 0), kJobs);
}

TEST_F(ResultsTest, RowsHaveTheDocumentedColumnsAndSaneNumbers) {
  const Json rows = cluster_->Rows(
      {"results", sweep_, "--group-by", "architecture,target,model,rules", "--metrics",
       "id,ood,collapse_avg,collapse_worst,alignment,adaptation,inverse_mi"});
  // Of each of 2 targets and 2 rule counts: 2 metrics of Monolithic, 7 of the
  // modular types, 5 of Random.
  ASSERT_EQ(rows.size(), 2u * 2 * (2 + 3 * 7 + 5));
  for (const Json& row : rows) {
    SCOPED_TRACE(row.dump());
    EXPECT_THAT(Keys(row),
                ElementsAre("architecture", "target", "model", "rules", "metric", "n", "mean", "sd",
                            "sem", "ci95_low", "ci95_high", "min", "median", "max"));
    EXPECT_EQ(row["architecture"], "mlp");
    EXPECT_TRUE(row["rules"] == 2 || row["rules"] == 4);
    ASSERT_TRUE(row["mean"].is_number());
    const double mean = row["mean"];
    EXPECT_LE(row["min"], row["median"]);
    EXPECT_LE(row["median"], row["max"]);
    EXPECT_GE(mean, row["min"].get<double>() - 1e-12);
    EXPECT_LE(mean, row["max"].get<double>() + 1e-12);
    EXPECT_GE(mean, -1e-6);
    if (row["model"] == "random") {
      EXPECT_EQ(row["n"], 1);
      EXPECT_TRUE(row["sd"].is_null() && row["sem"].is_null());
      EXPECT_TRUE(row["ci95_low"].is_null() && row["ci95_high"].is_null());
      continue;
    }
    EXPECT_EQ(row["n"], kSeeds);
    const double sd = row["sd"];
    const double sem = row["sem"];
    EXPECT_NEAR(sem, sd / std::sqrt(kSeeds), 1e-9 + 1e-9 * sd);
    // Student's t of 2 degrees of freedom.
    const double half = 4.302652729911275 * sem;
    EXPECT_NEAR(row["ci95_low"], mean - half, 1e-9 + 1e-9 * half);
    EXPECT_NEAR(row["ci95_high"], mean + half, 1e-9 + 1e-9 * half);
    if (row["model"] == "gt_modular" &&
        (row["metric"] == "collapse_worst" || row["metric"] == "alignment")) {
      // Each rule its own module; modules are used as often as rules are drawn.
      EXPECT_NEAR(mean, 0, 1e-5);
    }
  }
}

TEST_F(ResultsTest, RandomRowIsExact) {
  const Json rows = cluster_->Rows({"results", sweep_, "--group-by", "model,rules", "--metrics",
                                    "collapse_avg,collapse_worst,alignment,adaptation,inverse_mi"});
  int seen = 0;
  for (const int rules : {2, 4}) {
    const Activation uniform = UniformActivation(rules, rules);
    const std::map<std::string, double> expected = {
        {"collapse_avg", 0},
        {"collapse_worst", 0},
        {"alignment", 1 - 1.0 / rules},
        {"adaptation", ExpectedAdaptation(uniform, AdaptationDraws(rules, 100))},
        {"inverse_mi", InverseMutualInformation(uniform)}};
    EXPECT_NEAR(expected.at("inverse_mi"), 1, 1e-6);
    for (const Json& row : rows) {
      if (row["model"] != "random" || row["rules"] != rules) continue;
      ++seen;
      EXPECT_NEAR(row["mean"], expected.at(row["metric"]), 1e-12) << row.dump();
    }
  }
  EXPECT_EQ(seen, 2 * 5);
}

TEST_F(ResultsTest, CsvHasTheSameRows) {
  const std::vector<std::string> question = {"results", sweep_,      "--group-by",
                                             "model",   "--metrics", "id,ood"};
  const Json rows = cluster_->Rows(question);
  std::vector<std::string> args = question;
  args.insert(args.end(), {"--format", "csv"});
  const Output csv = cluster_->Modlab(args);
  ASSERT_EQ(csv.exit_code, 0) << csv.err;
  const std::vector<std::string> lines =
      absl::StrSplit(csv.out, absl::ByAnyChar("\r\n"), absl::SkipEmpty());
  ASSERT_EQ(lines.size(), rows.size() + 1);
  EXPECT_EQ(lines[0], "model,metric,n,mean,sd,sem,ci95_low,ci95_high,min,median,max");
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::vector<std::string> cells = absl::StrSplit(lines[i + 1], ',');
    ASSERT_EQ(cells.size(), 11u) << lines[i + 1];
    EXPECT_EQ(cells[0], rows[i]["model"]);
    EXPECT_EQ(cells[1], rows[i]["metric"]);
    EXPECT_EQ(std::stod(cells[3]), rows[i]["mean"].get<double>());
  }
}

TEST_F(ResultsTest, TableStandsSideBySideWithRandom) {
  const Output table = cluster_->Modlab({"results", sweep_});
  ASSERT_EQ(table.exit_code, 0) << table.err;
  for (const char* word : {"monolithic", "modular", "modular_op", "gt_modular", "random", "id",
                           "ood", "collapse_avg", "alignment", "\xc2\xb1"}) {
    EXPECT_THAT(table.out, HasSubstr(word));
  }
}

TEST_F(ResultsTest, CurvesHaveAPointForEveryEvaluation) {
  const Json rows =
      cluster_->Rows({"curves", sweep_, "--metric", "eval_loss", "--group-by", "target,model"});
  ASSERT_EQ(rows.size(), 2u * 4 * 4);
  std::map<std::string, std::vector<int64_t>> iterations;
  for (const Json& row : rows) {
    EXPECT_EQ(row["n"], 2 * kSeeds);
    EXPECT_GT(row["mean"], 0);
    EXPECT_LT(row["ci95_low"], row["ci95_high"]);
    iterations[absl::StrCat(row["target"].get<std::string>(), row["model"].get<std::string>())]
        .push_back(row["iteration"]);
  }
  ASSERT_EQ(iterations.size(), 8u);
  for (const auto& [group, curve] : iterations) EXPECT_THAT(curve, ElementsAre(0, 20, 40, 60));
}

TEST_F(ResultsTest, FiltersNarrow) {
  const Json rows = cluster_->Rows({"results", sweep_, "--where", "model=gt_modular", "--where",
                                    "rules=4", "--group-by", "target", "--metrics", "id"});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["target"], "regression");
  EXPECT_EQ(rows[0]["n"], kSeeds);
}

TEST_F(ResultsTest, ExportHasARowAJob) {
  const Json rows = cluster_->Rows({"export", sweep_});
  ASSERT_EQ(rows.size(), static_cast<size_t>(kJobs));
  std::set<std::string> keys;
  for (const Json& row : rows) {
    SCOPED_TRACE(row.dump());
    keys.insert(row.value("job_key", ""));
    EXPECT_EQ(row["state"], "succeeded");
    EXPECT_EQ(row["attempt"], 1);
    EXPECT_EQ(row["iteration"], 60);
    EXPECT_TRUE(row["job"].is_number_integer());
    EXPECT_TRUE(row["ood"].is_number());
    EXPECT_EQ(row["device"], "cpu");
    EXPECT_EQ(row.value("checkpoint_sha256", "").size(), 64u);
    EXPECT_EQ(row["alignment"].is_null(), row["model"] == "monolithic");
  }
  EXPECT_EQ(keys.size(), static_cast<size_t>(kJobs));
}

TEST_F(ResultsTest, CheckpointIsDownloaded) {
  const Json job = cluster_->Row({"export", sweep_, "--where", "model=gt_modular"});
  const std::string path = cluster_->dir() + "/weights.safetensors";
  const Output got =
      cluster_->Modlab({"artifacts", "get", absl::StrCat(job["job"].get<int64_t>()), "-o", path});
  ASSERT_EQ(got.exit_code, 0) << got.err;
  EXPECT_EQ(Sha256Hex(ReadFile(path)), job["checkpoint_sha256"]);
}

TEST_F(ResultsTest, DryRunCountsShapes) {
  const std::string file = cluster_->Write(
      "dry.yaml", SmallSweep("dry", "{rules: [2, 4], model: modular, model_seed: [1, 2, 3]}"));
  const Output run = cluster_->ModlabAlone({"submit", file, "--dry-run", "--format", "json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json shapes = Json::parse(run.out, nullptr, false);
  ASSERT_EQ(shapes.size(), 2u);
  EXPECT_EQ(shapes[0]["jobs"], 3);
  EXPECT_EQ(shapes[0]["iterations"], 3 * 60);
  EXPECT_EQ(cluster_->Rows({"ls"}).size(), 1u);
}

TEST_F(ResultsTest, WorkersAreListed) {
  const Json rows = cluster_->Rows({"workers"});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0]["name"], "worker-1");
  EXPECT_EQ(rows[0]["device"], "cpu");
  EXPECT_EQ(rows[0]["slots"], 1);
}

TEST_F(ResultsTest, DescribeAgreesWithTheStore) {
  const Json jobs =
      cluster_->Rows({"export", sweep_, "--where", "model=modular", "--where", "rules=4", "--where",
                      "target=regression", "--where", "data_seed=2"});
  ASSERT_EQ(jobs.size(), 1u);
  const Json shown = cluster_->Row({"show", absl::StrCat(jobs[0]["job"].get<int64_t>())});
  // What is shown of one job and not exported of all: its best checkpoint, and matrices.
  for (const auto& [column, value] : shown.items()) {
    if (absl::StartsWith(column, "best_") || column == "activation") continue;
    EXPECT_EQ(value, jobs[0].value(column, Json())) << column;
  }
  for (const char* column : {"activation", "best_activation"}) {
    ASSERT_EQ(shown[column].size(), 4u) << column;
    double sum = 0;
    for (const Json& row : shown[column]) {
      ASSERT_EQ(row.size(), 4u);
      for (const Json& value : row) sum += value.get<double>();
    }
    EXPECT_NEAR(sum, 1, 1e-5);
  }

  // A job's row, less what is not its config, is a config.
  std::string yaml;
  for (const auto& [column, value] : shown.items()) {
    if (column == "replicate") break;
    if (column == "job" || column == "state" || value.is_null()) continue;
    absl::StrAppend(&yaml, column, ": ", value.dump(), "\n");
  }
  const Output output = RunToEnd(
      {WorkerPath(), "describe", "--format", "json", "--config", cluster_->Write("job.yaml", yaml)},
      cluster_->dir() + "/describe");
  ASSERT_EQ(output.exit_code, 0) << output.err;
  const Json described = Json::parse(output.out, nullptr, false);
  EXPECT_EQ(described["job_key"], shown["job_key"]);
  EXPECT_EQ(described["shape_key"], shown["shape_key"]);
  // e = 4, D = 8, R = M = 4. Digits: 1 -> 4 -> 4. Rules: 4 -> 4 -> 4. Modules:
  // 4 of 12 -> 2 -> 9. Decoder: 8 -> 4 -> 1. Each with biases.
  const int parameters = (8 + 20) + (20 + 20) + 4 * (26 + 27) + (36 + 5);
  EXPECT_EQ(described["parameters"], parameters);
  EXPECT_EQ(shown["parameters"], parameters);
  int numbers = 0;
  for (const Json& tensor : described["tensors"]) {
    int size = 1;
    for (const int extent : tensor["shape"]) size *= extent;
    numbers += size;
  }
  EXPECT_EQ(numbers, parameters);
  // numpy.random.RandomState(2).randn(8)
  EXPECT_NEAR(described["task"]["alpha"][0], -0.41675785, 1e-8);
  EXPECT_NEAR(described["task"]["beta"][0], -1.79343559, 1e-8);
}

}  // namespace
}  // namespace modlab::e2e
