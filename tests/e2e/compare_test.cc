// Rankings, paired comparisons and weights for Python: of a sweep that is finished
// but for the jobs of one task.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/weights/safetensors.h"
#include "lib/weights/state_dict.h"
#include "lib/weights/tensor_file.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr int kExitUsage = 2;

constexpr char kGrid[] =
    "model: [monolithic, modular, gt_modular], rules: [2, 4], "
    "target: [regression, classification]";
// Of each target: rule counts times finished tasks.
constexpr int kDecided = 2 * 3;
constexpr int kUndecided = 2;

class CompareTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<Cluster>();
    cluster_->StartCoordinator();
    Process* worker = cluster_->StartWorker(/*gang=*/6);
    cluster_->WaitForEnd(
        cluster_->Submit(SmallSweep("first", absl::StrCat("{", kGrid, ", data_seed: [0, 1, 2]}"))));
    worker->Kill();
    sweep_ = cluster_->Submit(
        SmallSweep("more", absl::StrCat("{", kGrid, ", data_seed: [0, 1, 2, 3]}")));
    jobs_ = cluster_->Rows({"export", sweep_});
  }
  static void TearDownTestSuite() { cluster_.reset(); }

  // A metric of finished jobs by target, rules and task, for one model.
  static std::map<std::string, double> Values(const std::string& model, const std::string& metric) {
    std::map<std::string, double> values;
    for (const Json& job : jobs_) {
      if (job["model"] != model || job[metric].is_null()) continue;
      values[absl::StrCat(job["target"].get<std::string>(), job["rules"].get<int>(), "/",
                          job["data_seed"].get<int>())] = job[metric];
    }
    return values;
  }

  static Json Rank(std::vector<std::string> extra) {
    std::vector<std::string> args = {"rank", sweep_, "--format", "json"};
    args.insert(args.end(), extra.begin(), extra.end());
    const Output output = cluster_->Modlab(args);
    EXPECT_EQ(output.exit_code, 0) << output.err;
    return Json::parse(output.out, nullptr, false);
  }

  static std::vector<std::string> Compare(std::vector<std::string> extra) {
    std::vector<std::string> args = {"compare",          sweep_,     "--a", "model=modular", "--b",
                                     "model=monolithic", "--metric", "ood"};
    args.insert(args.end(), extra.begin(), extra.end());
    return args;
  }

  static std::unique_ptr<Cluster> cluster_;
  static std::string sweep_;
  static Json jobs_;
};

std::unique_ptr<Cluster> CompareTest::cluster_;
std::string CompareTest::sweep_;
Json CompareTest::jobs_;

TEST_F(CompareTest, VotesAreThoseOfTheExportedJobs) {
  const Json answer = Rank({});
  ASSERT_EQ(answer["rows"].size(), 2u * 2 * 2) << answer.dump();
  for (const Json& row : answer["rows"]) {
    SCOPED_TRACE(row.dump());
    EXPECT_THAT(Keys(row), ElementsAre("architecture", "target", "contest", "metric", "monolithic",
                                       "modular", "gt_modular", "settings", "undecided"));
    EXPECT_EQ(row["settings"], kDecided);
    EXPECT_EQ(row["undecided"], kUndecided);
    const bool all = row["contest"] == "all_models";
    EXPECT_EQ(row["contest"], all ? "all_models" : "modular_against_monolithic");
    EXPECT_EQ(row["gt_modular"].is_null(), !all);
    std::vector<std::string> models = {"monolithic", "modular"};
    if (all) models.push_back("gt_modular");
    const std::string metric = row["metric"];
    std::map<std::string, double> votes;
    for (const auto& [setting, unused] : Values("modular", metric)) {
      if (!absl::StartsWith(setting, row["target"].get<std::string>())) continue;
      double best = std::numeric_limits<double>::infinity();
      for (const std::string& model : models) {
        best = std::min(best, Values(model, metric).at(setting));
      }
      std::vector<std::string> winners;
      for (const std::string& model : models) {
        if (Values(model, metric).at(setting) == best) winners.push_back(model);
      }
      for (const std::string& model : winners)
        votes[model] += 1.0 / static_cast<double>(winners.size());
    }
    for (const std::string& model : models) EXPECT_NEAR(row[model], votes[model], 1e-12) << model;
  }
}

TEST_F(CompareTest, SettingsWithMissingJobsAreNamed) {
  const Json answer = Rank({"--group-by", "rules"});
  EXPECT_EQ(answer["incomplete_total"], 2 * kUndecided);
  ASSERT_EQ(answer["incomplete"].size(), 2u * kUndecided);
  const Json& first = answer["incomplete"][0];
  EXPECT_THAT(first["setting"], ElementsAre("target=regression", "rules=2", "data_seed=3"));
  EXPECT_THAT(first["missing"], ElementsAre("monolithic: model seed 0 not finished",
                                            "modular: model seed 0 not finished",
                                            "gt_modular: model seed 0 not finished"));
  EXPECT_EQ(first["decided"], false);

  const Output table = cluster_->Modlab({"rank", sweep_});
  ASSERT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out, AllOf(HasSubstr("modular_against_monolithic"),
                               HasSubstr("4 settings with missing jobs"),
                               HasSubstr("target=classification rules=4 data_seed=3: monolithic: "
                                         "model seed 0 not finished")));
  const Output csv = cluster_->Modlab({"rank", sweep_, "--format", "csv"});
  EXPECT_THAT(csv.out, StartsWith("architecture,target,contest,metric,monolithic,modular,"
                                  "gt_modular,settings,undecided\r\n"));
  EXPECT_THAT(csv.err, HasSubstr("4 settings"));
}

TEST_F(CompareTest, DifferencesAreThoseOfTheExportedJobs) {
  const Json rows = cluster_->Rows(Compare({}));
  ASSERT_EQ(rows.size(), 2u);
  for (const Json& row : rows) {
    SCOPED_TRACE(row.dump());
    EXPECT_THAT(Keys(row),
                ElementsAre("architecture", "target", "metric", "n", "difference", "sd", "sem",
                            "ci95_low", "ci95_high", "min", "median", "max", "a_mean", "a_sd",
                            "b_mean", "b_sd", "t", "t_test_p", "a_lower", "b_lower", "equal",
                            "sign_test_p", "missing_a", "missing_b", "without_metric_a",
                            "without_metric_b", "without_best_a", "without_best_b"));
    double sum = 0;
    int lower = 0;
    const auto b = Values("monolithic", "ood");
    for (const auto& [setting, value] : Values("modular", "ood")) {
      if (!absl::StartsWith(setting, row["target"].get<std::string>())) continue;
      sum += value - b.at(setting);
      if (value < b.at(setting)) ++lower;
    }
    EXPECT_EQ(row["n"], kDecided);
    EXPECT_NEAR(row["difference"], sum / kDecided, 1e-9);
    EXPECT_NEAR(row["a_mean"].get<double>() - row["b_mean"].get<double>(), sum / kDecided, 1e-9);
    EXPECT_EQ(row["a_lower"], lower);
    EXPECT_EQ(row["missing_a"], kUndecided);
    EXPECT_EQ(row["missing_b"], kUndecided);
    // Models that say the same of every sample have no spread, and no test.
    EXPECT_EQ(row["t"].is_null(), row["sd"] == 0);
    if (row["t"].is_null()) continue;
    // The interval and the test are the same statement.
    const bool excludes = row["ci95_low"] > 0 || row["ci95_high"] < 0;
    EXPECT_EQ(excludes, row["t_test_p"] < 0.05);
  }
}

TEST_F(CompareTest, TheTableSaysInWordsWhichSideIsBetter) {
  const Json row = cluster_->Row(Compare({"--where", "target=regression"}));
  const Output table = cluster_->Modlab(Compare({"--where", "target=regression"}));
  ASSERT_EQ(table.exit_code, 0) << table.err;
  const bool a_is_better = row["difference"] < 0;
  const bool excludes = row["t_test_p"] < 0.05;
  EXPECT_THAT(table.out,
              AllOf(HasSubstr("missing a"),
                    HasSubstr(absl::StrCat("model=", a_is_better ? "modular" : "monolithic",
                                           " has the lower (better) ood")),
                    HasSubstr(absl::StrCat("interval of the difference ",
                                           excludes ? "excludes 0" : "includes 0"))));
  // Sides of a field that groups are made of by default.
  const Output sides = cluster_->Modlab({"compare", sweep_, "--a", "target=regression", "--b",
                                         "target=classification", "--metric", "inverse_mi",
                                         "--where", "model=gt_modular"});
  EXPECT_EQ(sides.exit_code, 0) << sides.err;
  const Output nothing = cluster_->Modlab(Compare({"--where", "data_seed=3"}));
  EXPECT_THAT(nothing.out, HasSubstr("no pairs of finished jobs"));
}

TEST_F(CompareTest, MetricsThatASideDoesNotHaveAreNoMissingJobs) {
  const Output output =
      cluster_->Modlab({"compare", sweep_, "--a", "model=modular", "--b", "model=monolithic",
                        "--metric", "alignment", "--where", "target=regression"});
  EXPECT_EQ(output.exit_code, 0) << output.err;
  EXPECT_THAT(output.out,
              HasSubstr(absl::StrCat(kDecided,
                                     " finished jobs of model=monolithic without the metric "
                                     "alignment.")));
}

TEST_F(CompareTest, TasksCanBeTheUnit) {
  const Json pairs = cluster_->Row(Compare({}));
  const Json tasks = cluster_->Row(Compare({"--per-task"}));
  EXPECT_EQ(tasks["n"], kDecided);  // one model seed each
  EXPECT_EQ(tasks["difference"], pairs["difference"]);
  EXPECT_THAT(cluster_->Modlab(Compare({"--per-task"})).out,
              HasSubstr(absl::StrCat("over ", kDecided, " tasks; ")));
}

TEST_F(CompareTest, WhatEndedWithoutAResultIsCountedAndNotEveryGroupGetsASentence) {
  const std::string sweep = cluster_->Submit(
      SmallSweep("stopped",
                 "{model: [monolithic, modular], rules: 2, learning_rate: [0.1, 0.2], "
                 "data_seed: {from: 10, to: 20}}"));
  ASSERT_EQ(cluster_->Modlab({"cancel", sweep}).exit_code, 0);
  EXPECT_THAT(cluster_->Modlab({"rank", sweep}).out,
              AllOf(HasSubstr("44 jobs cancelled."), HasSubstr("model seed 0 cancelled")));
  EXPECT_THAT(cluster_->Modlab({"results", sweep}).out, HasSubstr("; 44 cancelled"));
  const Output verdicts =
      cluster_->Modlab({"compare", sweep, "--a", "model=modular", "--b", "model=monolithic",
                        "--metric", "ood", "--group-by", "learning_rate,data_seed"});
  EXPECT_THAT(verdicts.out, AllOf(HasSubstr("learning_rate=0.1 data_seed=20: there are no pairs"),
                                  HasSubstr("\nAnd 2 more.\n")));
  // Columns of what tells the jobs apart.
  EXPECT_THAT(Keys(cluster_->Row({"ls", sweep})), testing::Contains("learning_rate"));
  EXPECT_THAT(Keys(cluster_->Row({"ls", sweep_})),
              testing::Not(testing::Contains("learning_rate")));
}

TEST_F(CompareTest, ResultsSayWhatTheyArePooledOver) {
  Output output = cluster_->Modlab({"results", sweep_, "--group-by", "model,rules"});
  EXPECT_THAT(output.out, HasSubstr("\nPooled over: target, data_seed.\n"));
  EXPECT_THAT(output.err,
              AllOf(HasSubstr("mix regression and classification"), HasSubstr("id, ood ")));
  output = cluster_->Modlab({"results", sweep_, "--group-by", "model", "--metrics", "alignment"});
  EXPECT_EQ(output.err, "");
}

TEST_F(CompareTest, AnEmptySelectionSaysSo) {
  const Output output = cluster_->Modlab({"rank", sweep_, "--where", "rules=77"});
  EXPECT_EQ(output.exit_code, 0) << output.err;
  EXPECT_THAT(output.out, HasSubstr("No jobs in this selection."));
}

TEST_F(CompareTest, BadQuestionsSayWhatIsWrong) {
  Output output = cluster_->Modlab({"compare", sweep_, "--a", "model=modular,gt_modular", "--b",
                                    "model=monolithic", "--metric", "ood"});
  EXPECT_EQ(output.exit_code, kExitUsage);
  EXPECT_THAT(output.err, AllOf(HasSubstr("several jobs"), HasSubstr("modular and gt_modular")));
  output = cluster_->Modlab(
      {"compare", sweep_, "--a", "modular", "--b", "model=monolithic", "--metric", "ood"});
  EXPECT_EQ(output.exit_code, kExitUsage);
  EXPECT_THAT(output.err, HasSubstr("--a modular"));
  EXPECT_EQ(cluster_->Modlab({"compare", sweep_, "--metric", "ood"}).exit_code, kExitUsage);
  output = cluster_->Modlab({"rank", sweep_, "--group-by", "model"});
  EXPECT_EQ(output.exit_code, kExitUsage);
  EXPECT_THAT(output.err, HasSubstr("group_by"));
  output = cluster_->Modlab({"rank", sweep_, "--checkpoint", "first"});
  EXPECT_EQ(output.exit_code, kExitUsage);
}

TEST_F(CompareTest, WeightsForPythonAreThoseOfTheArtifact) {
  const Json& job = jobs_[0];
  const std::string id = absl::StrCat(job["job"].get<int64_t>());
  const std::string safetensors = cluster_->dir() + "/weights.safetensors";
  const std::string state_dict = cluster_->dir() + "/weights.pt";
  ASSERT_EQ(cluster_->Modlab({"artifacts", "get", id, "-o", safetensors}).exit_code, 0);
  const Output got = cluster_->Modlab({"artifacts", "get", id, "--weights", state_dict});
  ASSERT_EQ(got.exit_code, 0) << got.err;
  EXPECT_THAT(got.out, HasSubstr(job["checkpoint_sha256"].get<std::string>()));
  // The suffix says as much.
  const std::string by_suffix = cluster_->dir() + "/by-suffix.pt";
  ASSERT_EQ(cluster_->Modlab({"artifacts", "get", id, "-o", by_suffix}).exit_code, 0);
  EXPECT_EQ(ReadFile(by_suffix), ReadFile(state_dict));
  for (const std::string& bad : {std::string(), cluster_->dir(), std::string("/dev/null")}) {
    const Output refused = cluster_->Modlab({"artifacts", "get", id, "-o", bad});
    EXPECT_EQ(refused.exit_code, kExitUsage) << bad;
    EXPECT_THAT(refused.err, HasSubstr("file"));
  }
  const auto expected = DecodeSafetensors(ReadFile(safetensors));
  const auto actual = DecodeStateDict(ReadFile(state_dict));
  ASSERT_TRUE(expected.ok()) << expected.status();
  ASSERT_TRUE(actual.ok()) << actual.status();
  ASSERT_EQ(actual->tensors.size(), expected->tensors.size());
  for (size_t i = 0; i < actual->tensors.size(); ++i) {
    EXPECT_EQ(actual->tensors[i].name, expected->tensors[i].name);
    EXPECT_EQ(actual->tensors[i].shape, expected->tensors[i].shape);
    EXPECT_EQ(actual->tensors[i].values, expected->tensors[i].values);
  }
}

// Every job has one: the last is best where no earlier one is.
TEST_F(CompareTest, BestCheckpointsAnswerEverywhere) {
  const Json best = cluster_->Row(
      {"results", sweep_, "--checkpoint", "best", "--group-by", "target", "--metrics", "id"});
  EXPECT_EQ(best["n"], 3 * kDecided) << best.dump();
  const Json rank = Rank({"--checkpoint", "best"});
  EXPECT_EQ(rank["rows"][0]["settings"], kDecided);
  EXPECT_EQ(cluster_->Row(Compare({"--checkpoint", "best"}))["n"], kDecided);

  const std::string id = absl::StrCat(jobs_[0]["job"].get<int64_t>());
  const Json shown = cluster_->Row({"show", id});
  EXPECT_GT(shown["best_iteration"], 0);
  EXPECT_TRUE(shown["best_id"].is_number() && shown["best_ood"].is_number()) << shown.dump();
  const std::string path = cluster_->dir() + "/best.pt";
  const Output got = cluster_->Modlab({"artifacts", "get", id, "--weights", path, "--best"});
  ASSERT_EQ(got.exit_code, 0) << got.err;
  EXPECT_TRUE(DecodeStateDict(ReadFile(path)).ok());
}

}  // namespace
}  // namespace modlab::e2e
