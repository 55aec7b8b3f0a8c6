#include "server/query/rank_query.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Fields = std::vector<std::pair<std::string, std::string>>;

class RankQueryTest : public StoreFixture {
 protected:
  RankQueryTest() {
    Begin();
    sweep_ = AddSweep("s");
  }

  // Needs no trainer that knows the config.
  static v1::JobConfig Make(const std::string& model, const Fields& fields) {
    v1::JobConfig config = Config({{"model", model.c_str()}});
    for (const auto& [field, word] : fields) {
      EXPECT_EQ(SetJobField(field, word, &config), absl::OkStatus());
    }
    // What follows from other fields may have changed.
    if (config.model() != v1::MONOLITHIC) config.set_modules(config.rules());
    return config;
  }

  int64_t AddUnfinished(const std::string& model, const Fields& fields) {
    return AddJob(sweep_, Make(model, fields));
  }
  void AddFinished(const std::string& model, const Fields& fields, double id, double ood) {
    const int64_t job = AddUnfinished(model, fields);
    Start(job);
    Finish(job, {{v1::ID, id}, {v1::OOD, ood}});
  }
  // With a best checkpoint after `iteration`.
  void AddBest(const std::string& model, double last, int64_t iteration, double best) {
    v1::JobResult result;
    for (const v1::Metric metric : {v1::ID, v1::OOD}) {
      v1::MetricValue* value = result.add_metrics();
      value->set_metric(metric);
      value->set_value(last);
      result.mutable_best()->set_iteration(iteration);
      if (iteration == 100) continue;
      value = result.mutable_best()->add_metrics();
      value->set_metric(metric);
      value->set_value(best);
    }
    const int64_t job = AddUnfinished(model, {});
    Start(job);
    EXPECT_EQ(writer()->FinishJob(job, result, 4000), absl::OkStatus());
  }

  v1::RankModelsResponse Rank(const v1::RankModelsRequest& request) {
    if (open_) Commit();
    open_ = false;
    const auto response = RankModels(store_.get(), request);
    EXPECT_EQ(response.status(), absl::OkStatus());
    return response.ok() ? *response : v1::RankModelsResponse();
  }

  static v1::RankModelsRequest Request(std::vector<std::string> group_by = {}) {
    v1::RankModelsRequest request;
    request.set_sweep("s");
    request.mutable_group_by()->Assign(group_by.begin(), group_by.end());
    return request;
  }

  // "regression all id monolithic=1 modular=0.5 of 3+1".
  static std::vector<std::string> Rows(const v1::RankModelsResponse& response) {
    std::vector<std::string> rows;
    for (const v1::RankRow& row : response.rows()) {
      std::string text = absl::StrCat(absl::StrJoin(row.group(), "/"),
                                      row.contest() == v1::ALL_MODELS ? " all " : " two ",
                                      MetricName(row.metric()));
      for (const v1::Votes& votes : row.votes()) {
        absl::StrAppend(&text, " ", v1::ModelType_Name(votes.model()), "=", votes.votes());
      }
      rows.push_back(absl::StrCat(text, " of ", row.settings(), "+", row.settings_undecided()));
    }
    return rows;
  }
  static std::vector<std::string> Incomplete(const v1::RankModelsResponse& response) {
    std::vector<std::string> rows;
    for (const v1::IncompleteSetting& setting : response.incomplete()) {
      rows.push_back(absl::StrCat(absl::StrJoin(setting.setting(), " "), " | ",
                                  absl::StrJoin(setting.missing(), "; "),
                                  setting.decided() ? " | decided" : ""));
    }
    return rows;
  }

  std::string sweep_;
  bool open_ = true;
};

TEST_F(RankQueryTest, TheBestMeanOverSeedsGetsTheVoteOfItsSetting) {
  for (const char* task : {"0", "1"}) {
    // The second seed turns the first one's outcome round.
    AddFinished("modular", {{"data_seed", task}, {"model_seed", "0"}}, 1, 2);
    AddFinished("modular", {{"data_seed", task}, {"model_seed", "1"}}, 5, 2);
    AddFinished("monolithic", {{"data_seed", task}, {"model_seed", "0"}}, 2, 1);
    AddFinished("monolithic", {{"data_seed", task}, {"model_seed", "1"}}, 2, 4);
    for (const char* seed : {"0", "1"}) {
      AddFinished("gt_modular", {{"data_seed", task}, {"model_seed", seed}}, task[0] == '0' ? 0 : 9,
                  3);
    }
  }
  const v1::RankModelsResponse response = Rank(Request());
  EXPECT_THAT(Rows(response), ElementsAre(" all id MONOLITHIC=1 MODULAR=0 GT_MODULAR=1 of 2+0",
                                          " all ood MONOLITHIC=0 MODULAR=2 GT_MODULAR=0 of 2+0",
                                          " two id MONOLITHIC=2 MODULAR=0 of 2+0",
                                          " two ood MONOLITHIC=0 MODULAR=2 of 2+0"));
  EXPECT_THAT(Incomplete(response), IsEmpty());
  EXPECT_EQ(response.incomplete_total(), 0);
}

TEST_F(RankQueryTest, EqualsShareTheVoteWhateverTheOrderOfTheirSeeds) {
  AddFinished("modular", {{"model_seed", "0"}}, 0.1, 1);
  AddFinished("modular", {{"model_seed", "1"}}, 0.7, 1);
  AddFinished("modular", {{"model_seed", "2"}}, 0.3, 1);
  AddFinished("monolithic", {{"model_seed", "0"}}, 0.7, 1);
  AddFinished("monolithic", {{"model_seed", "1"}}, 0.3, 1);
  AddFinished("monolithic", {{"model_seed", "2"}}, 0.1, 1);
  EXPECT_THAT(Rows(Rank(Request()))[0], " all id MONOLITHIC=0.5 MODULAR=0.5 of 1+0");
}

TEST_F(RankQueryTest, MeansThatDifferByRoundingAreEqual) {
  AddFinished("modular", {}, 0.1 + 0.2, 1);
  AddFinished("monolithic", {}, 0.3, 1 + 1e-11);
  const v1::RankModelsResponse response = Rank(Request());
  EXPECT_EQ(Rows(response)[0], " all id MONOLITHIC=0.5 MODULAR=0.5 of 1+0");
  EXPECT_EQ(Rows(response)[1], " all ood MONOLITHIC=0 MODULAR=1 of 1+0");
}

// The grid of the README: all models, and modular with both scorers.
TEST_F(RankQueryTest, VariantsThatFewModelsHaveAreLeftOutAndNamed) {
  for (const char* task : {"0", "1"}) {
    AddFinished("monolithic", {{"data_seed", task}}, 2, 2);
    AddFinished("modular_op", {{"data_seed", task}}, 3, 3);
    AddFinished("modular", {{"data_seed", task}}, 4, 4);
    AddFinished("modular", {{"data_seed", task}, {"scorer", "separate"}}, 1, 1);
  }
  const v1::RankModelsResponse response = Rank(Request());
  EXPECT_EQ(Rows(response)[0], " all id MONOLITHIC=2 MODULAR=0 MODULAR_OP=0 of 2+0");
  EXPECT_THAT(Incomplete(response), IsEmpty());
  ASSERT_EQ(response.left_out_size(), 1);
  EXPECT_EQ(response.left_out(0).model(), v1::MODULAR);
  EXPECT_THAT(response.left_out(0).choices(), ElementsAre("scorer=separate"));
  EXPECT_EQ(response.left_out(0).jobs(), 2);
}

TEST_F(RankQueryTest, AVariantIsNotTakenForTheDefaultThatIsMissing) {
  AddFinished("modular", {{"scorer", "separate"}}, 1, 1);
  AddFinished("monolithic", {}, 2, 2);
  const v1::RankModelsResponse response = Rank(Request());
  EXPECT_EQ(Rows(response)[0], " all id MONOLITHIC=0 MODULAR=0 of 0+2");
  EXPECT_THAT(Incomplete(response),
              ElementsAre(" | modular: no jobs", "scorer=separate | monolithic: no jobs"));
}

// Of 2 rules: monolithic has 4 heads by default, modular 2.
TEST_F(RankQueryTest, HeadsThatAllModelsHaveMakeSettings) {
  const auto add = [&](const char* model, const char* heads, double id) {
    const int64_t job =
        AddJob(sweep_, Config({{"architecture", "mha"}, {"model", model}, {"heads", heads}}));
    Start(job);
    Finish(job, {{v1::ID, id}, {v1::OOD, id}});
  };
  add("modular", "2", 1);
  add("modular", "4", 3);
  add("monolithic", "2", 2);
  add("monolithic", "4", 2);
  const v1::RankModelsResponse response = Rank(Request());
  EXPECT_EQ(Rows(response)[0], " all id MONOLITHIC=1 MODULAR=1 of 2+0");
  EXPECT_THAT(Incomplete(response), IsEmpty());
  EXPECT_EQ(response.left_out_size(), 0);
}

TEST_F(RankQueryTest, TheVoteIsOverTheModelSeedsThatAllHave) {
  for (const char* seed : {"0", "1", "2", "3"}) {
    AddFinished("monolithic", {{"model_seed", seed}}, 2, 2);
  }
  AddFinished("modular", {{"model_seed", "0"}}, 3, 1);
  AddFinished("modular", {{"model_seed", "5"}}, 0, 9);
  AddUnfinished("modular", {{"model_seed", "1"}});
  ASSERT_EQ(writer()->FailJob(AddUnfinished("modular", {{"model_seed", "2"}}), v1::Failure(), 1),
            absl::OkStatus());
  ASSERT_EQ(writer()->CancelJob(AddUnfinished("modular", {{"model_seed", "6"}}), "", 1),
            absl::OkStatus());
  const v1::RankModelsResponse response = Rank(Request());
  EXPECT_EQ(Rows(response)[0], " all id MONOLITHIC=1 MODULAR=0 of 1+0");
  EXPECT_EQ(Rows(response)[1], " all ood MONOLITHIC=0 MODULAR=1 of 1+0");
  EXPECT_THAT(Incomplete(response),
              ElementsAre(" | monolithic: model seeds 5, 6 never asked for; modular: model seeds 1 "
                          "not finished, 2 failed, 6 cancelled, 3 never asked for | decided"));
  EXPECT_EQ(response.jobs_failed(), 1);
  EXPECT_EQ(response.jobs_cancelled(), 1);
}

TEST_F(RankQueryTest, WithoutACommonModelSeedNothingIsDecided) {
  AddFinished("modular", {{"model_seed", "0"}}, 3, 1);
  AddFinished("monolithic", {{"model_seed", "1"}}, 3, 1);
  const v1::RankModelsResponse response = Rank(Request());
  EXPECT_EQ(Rows(response)[0], " all id MONOLITHIC=0 MODULAR=0 of 0+1");
  EXPECT_THAT(Incomplete(response),
              ElementsAre(" | monolithic: model seed 0 never asked for; modular: model seed 1 "
                          "never asked for"));
}

TEST_F(RankQueryTest, ManySeedsAreNotAllNamed) {
  for (int i = 0; i < 13; ++i) AddUnfinished("modular", {{"model_seed", absl::StrCat(i)}});
  EXPECT_THAT(Incomplete(Rank(Request())),
              ElementsAre(" | modular: model seeds 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 3 more not "
                          "finished"));
}

TEST_F(RankQueryTest, ContestantsAreThoseOfTheGroup) {
  AddFinished("modular", {{"rules", "2"}}, 1, 1);
  AddFinished("monolithic", {{"rules", "2"}}, 2, 2);
  AddFinished("modular", {{"rules", "4"}}, 1, 1);
  AddFinished("gt_modular", {{"rules", "4"}}, 0, 0);
  const v1::RankModelsResponse response = Rank(Request({"rules"}));
  EXPECT_THAT(Rows(response), ElementsAre("2 all id MONOLITHIC=0 MODULAR=1 of 1+0",
                                          "2 all ood MONOLITHIC=0 MODULAR=1 of 1+0",
                                          "2 two id MONOLITHIC=0 MODULAR=1 of 1+0",
                                          "2 two ood MONOLITHIC=0 MODULAR=1 of 1+0",
                                          "4 all id MODULAR=0 GT_MODULAR=1 of 1+0",
                                          "4 all ood MODULAR=0 GT_MODULAR=1 of 1+0"));
  EXPECT_THAT(Incomplete(response), IsEmpty());
}

TEST_F(RankQueryTest, VotesAreCountedGroupByGroup) {
  for (const char* rules : {"8", "2"}) {
    AddFinished("modular", {{"rules", rules}}, rules[0] == '8' ? 3 : 1, 1);
    AddFinished("monolithic", {{"rules", rules}}, 2, 2);
  }
  v1::RankModelsRequest request = Request({"target", "rules"});
  const std::vector<std::string> rows = Rows(Rank(request));
  ASSERT_EQ(rows.size(), 8u);
  EXPECT_EQ(rows[0], "regression/2 all id MONOLITHIC=0 MODULAR=1 of 1+0");
  EXPECT_EQ(rows[4], "regression/8 all id MONOLITHIC=1 MODULAR=0 of 1+0");
  *request.add_filters() = Filter("model", {"modular"});
  EXPECT_THAT(
      Rows(Rank(request)),
      ElementsAre("regression/2 all id MODULAR=1 of 1+0", "regression/2 all ood MODULAR=1 of 1+0",
                  "regression/8 all id MODULAR=1 of 1+0", "regression/8 all ood MODULAR=1 of 1+0"));
}

TEST_F(RankQueryTest, SettingsThatLackJobsAreNamed) {
  for (const char* task : {"10", "9", "0"}) {
    AddFinished("modular", {{"data_seed", task}, {"rules", "4"}}, 1, 1);
    AddFinished("monolithic", {{"data_seed", task}, {"rules", "4"}}, 2, 2);
  }
  AddUnfinished("modular", {{"data_seed", "9"}, {"rules", "4"}, {"model_seed", "1"}});
  AddUnfinished("modular", {{"data_seed", "9"}, {"rules", "4"}, {"model_seed", "2"}});
  AddFinished("modular", {{"data_seed", "0"}, {"rules", "2"}}, 1, 1);
  AddUnfinished("gt_modular", {{"data_seed", "10"}, {"rules", "4"}});
  v1::RankModelsRequest request = Request();
  *request.add_filters() = Filter("model", {"modular", "monolithic"});
  v1::RankModelsResponse response = Rank(request);
  EXPECT_THAT(
      Incomplete(response),
      ElementsAre("rules=2 data_seed=0 | monolithic: no jobs",
                  "rules=4 data_seed=9 | monolithic: model seeds 1, 2 never asked for; modular: "
                  "model seeds 1, 2 not finished | decided"));
  EXPECT_EQ(response.incomplete_total(), 2);
  EXPECT_EQ(Rows(response)[0], " all id MONOLITHIC=0 MODULAR=3 of 3+1");
  // A contestant that no setting has finished leaves all of them open.
  response = Rank(Request());
  EXPECT_EQ(Rows(response)[0], " all id MONOLITHIC=0 MODULAR=0 GT_MODULAR=0 of 0+4");
  EXPECT_EQ(Rows(response)[2], " two id MONOLITHIC=0 MODULAR=3 of 3+1");
  EXPECT_THAT(Incomplete(response)[3],
              "rules=4 data_seed=10 | gt_modular: model seed 0 not finished");
}

TEST_F(RankQueryTest, AtMostAThousandSettingsAreNamed) {
  for (int i = 0; i < 1001; ++i) AddUnfinished("modular", {{"data_seed", absl::StrCat(i)}});
  const v1::RankModelsResponse response = Rank(Request());
  EXPECT_EQ(response.incomplete_size(), 1000);
  EXPECT_EQ(response.incomplete_total(), 1001);
  EXPECT_EQ(response.incomplete(999).setting(0), "data_seed=999");
}

TEST_F(RankQueryTest, BestCheckpointsAreRankedByTheirOwnFigures) {
  AddBest("modular", 1, 50, 9);
  AddBest("monolithic", 2, 100, 0);  // the best is the last
  AddFinished("gt_modular", {}, 0, 0);
  v1::RankModelsRequest request = Request();
  *request.add_filters() = Filter("model", {"modular", "monolithic"});
  EXPECT_EQ(Rows(Rank(request))[0], " all id MONOLITHIC=0 MODULAR=1 of 1+0");
  request.set_checkpoint(v1::BEST);
  EXPECT_EQ(Rows(Rank(request))[0], " all id MONOLITHIC=1 MODULAR=0 of 1+0");
  request.clear_filters();
  const v1::RankModelsResponse response = Rank(request);
  EXPECT_EQ(Rows(response)[0], " all id MONOLITHIC=0 MODULAR=0 GT_MODULAR=0 of 0+1");
  EXPECT_THAT(Incomplete(response),
              ElementsAre(" | gt_modular: model seed 0 without a best checkpoint"));
}

TEST_F(RankQueryTest, BadQuestionsAreRefused) {
  Rank(Request());
  for (const char* field : {"model", "model_seed", "modules", "scorer", "heads", "nothing"}) {
    const absl::Status status = RankModels(store_.get(), Request({field})).status();
    EXPECT_THAT(status, IsStatus(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(std::string(status.message()), HasSubstr(field));
    EXPECT_THAT(std::string(status.message()), testing::StartsWith("group_by: \""));
  }
  v1::RankModelsRequest request = Request();
  request.clear_sweep();
  EXPECT_THAT(RankModels(store_.get(), request).status(),
              IsStatus(absl::StatusCode::kInvalidArgument));
  request.set_sweep("none");
  EXPECT_THAT(RankModels(store_.get(), request).status(), IsStatus(absl::StatusCode::kNotFound));
  request = Request();
  request.set_checkpoint(static_cast<v1::Checkpoint>(7));
  EXPECT_THAT(RankModels(store_.get(), request).status(),
              IsStatus(absl::StatusCode::kInvalidArgument));
}

TEST_F(RankQueryTest, NoJobsGiveNoRows) { EXPECT_THAT(Rows(Rank(Request())), IsEmpty()); }

// As many as the largest sweep of the benchmark's, twice.
TEST_F(RankQueryTest, TwentyThousandJobsTakeNoTime) {
  const char* const models[] = {"monolithic", "modular", "modular_op", "gt_modular"};
  for (int i = 0; i < 20'000; ++i) {
    AddFinished(models[i % 4],
                {{"model_seed", absl::StrCat(i / 4 % 5)}, {"data_seed", absl::StrCat(i / 20)}},
                i % 7, i % 11);
  }
  Commit();
  open_ = false;
  const auto start = std::chrono::steady_clock::now();
  const v1::RankModelsResponse response = Rank(Request({"architecture", "target"}));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(response.rows(0).settings(), 1000);
  RecordProperty("milliseconds", static_cast<int>(seconds.count() * 1000));
  EXPECT_LT(seconds.count(), 5);  // far less on an idle machine
}

}  // namespace
}  // namespace modlab
