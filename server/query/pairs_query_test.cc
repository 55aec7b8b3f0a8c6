#include "server/query/pairs_query.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Fields = std::vector<std::pair<std::string, std::string>>;

class PairsQueryTest : public StoreFixture {
 protected:
  PairsQueryTest() {
    Begin();
    sweep_ = AddSweep("s");
  }

  int64_t AddUnfinished(const v1::JobConfig& config) { return AddJob(sweep_, config); }
  void AddFinished(const v1::JobConfig& config, double ood) {
    const int64_t job = AddUnfinished(config);
    Start(job);
    Finish(job, {{v1::OOD, ood}});
  }
  // A modular and a monolithic job of one task.
  void AddPair(const std::string& task, double modular, double monolithic) {
    AddFinished(Config({{"model", "modular"}, {"data_seed", task.c_str()}}), modular);
    AddFinished(Config({{"model", "monolithic"}, {"data_seed", task.c_str()}}), monolithic);
  }

  static v1::ComparePairsRequest Request(std::vector<std::string> group_by = {}) {
    v1::ComparePairsRequest request;
    request.set_sweep("s");
    *request.add_a() = Filter("model", {"modular"});
    *request.add_b() = Filter("model", {"monolithic"});
    request.set_metric("ood");
    request.mutable_group_by()->Assign(group_by.begin(), group_by.end());
    return request;
  }

  absl::StatusOr<v1::ComparePairsResponse> Ask(const v1::ComparePairsRequest& request) {
    if (open_) Commit();
    open_ = false;
    return ComparePairs(store_.get(), request);
  }
  v1::ComparePairsResponse Compare(const v1::ComparePairsRequest& request) {
    const auto response = Ask(request);
    EXPECT_EQ(response.status(), absl::OkStatus());
    return response.ok() ? *response : v1::ComparePairsResponse();
  }
  std::string Refusal(const v1::ComparePairsRequest& request) {
    const absl::Status status = Ask(request).status();
    EXPECT_THAT(status, IsStatus(absl::StatusCode::kInvalidArgument));
    return std::string(status.message());
  }

  // "2 n=3 mean=0.5 lower=2/1/0 missing=0/1".
  static std::vector<std::string> Rows(const v1::ComparePairsResponse& response) {
    std::vector<std::string> rows;
    for (const v1::PairRow& row : response.rows()) {
      rows.push_back(absl::StrCat(absl::StrJoin(row.group(), "/"), " n=", row.difference().n(),
                                  " mean=", row.difference().mean(), " lower=", row.a_lower(), "/",
                                  row.b_lower(), "/", row.equal(), " missing=", row.missing_a(),
                                  "/", row.missing_b()));
    }
    return rows;
  }

  std::string sweep_;
  bool open_ = true;
};

// Student's sleep data (1908), as any book on statistics has it.
TEST_F(PairsQueryTest, DifferencesAreTestedPairByPair) {
  const double a[] = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
  const double b[] = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
  for (int i = 0; i < 10; ++i) AddPair(absl::StrCat(i), a[i], b[i]);
  const v1::ComparePairsResponse response = Compare(Request());
  ASSERT_EQ(response.rows_size(), 1);
  const v1::PairRow& row = response.rows(0);
  EXPECT_EQ(row.difference().n(), 10);
  EXPECT_NEAR(row.difference().mean(), -1.58, 1e-12);
  EXPECT_NEAR(row.difference().ci95_low(), -2.4598858, 1e-7);
  EXPECT_NEAR(row.difference().ci95_high(), -0.7001142, 1e-7);
  EXPECT_NEAR(row.a().mean(), 0.75, 1e-12);
  EXPECT_NEAR(row.b().mean(), 2.33, 1e-12);
  EXPECT_NEAR(row.t(), -4.0621, 5e-5);
  EXPECT_NEAR(row.t_test_p(), 0.002833, 5e-7);
  EXPECT_EQ(row.a_lower(), 9);
  EXPECT_EQ(row.b_lower(), 0);
  EXPECT_EQ(row.equal(), 1);
  EXPECT_DOUBLE_EQ(row.sign_test_p(), 2.0 / 512);
}

TEST_F(PairsQueryTest, WithoutSpreadThereIsNoTest) {
  AddPair("0", 1, 3);
  v1::ComparePairsResponse response = Compare(Request());
  EXPECT_FALSE(response.rows(0).has_t());
  EXPECT_EQ(response.rows(0).sign_test_p(), 1);
  Begin();
  AddPair("1", 5, 7);
  Commit();
  response = Compare(Request());
  EXPECT_EQ(response.rows(0).difference().n(), 2);
  EXPECT_FALSE(response.rows(0).has_t());
  EXPECT_FALSE(response.rows(0).has_t_test_p());
  v1::ComparePairsRequest request = Request();
  *request.add_filters() = Filter("data_seed", {"0"});
  EXPECT_EQ(Compare(request).rows(0).difference().n(), 1);
}

TEST_F(PairsQueryTest, DifferencesThatAreRoundingAreEqualAndHaveNoTest) {
  AddPair("0", 0.1 + 0.2, 0.3);
  AddPair("1", 0.7, 0.7 + 1e-16);
  v1::ComparePairsResponse response = Compare(Request());
  EXPECT_EQ(response.rows(0).equal(), 2);
  EXPECT_EQ(response.rows(0).difference().mean(), 0);
  EXPECT_FALSE(response.rows(0).has_t());
  Begin();
  // Differences of 1 that are equal but for their last bits.
  AddPair("2", 1.3, 0.3);
  AddPair("3", 1.1, 0.1);
  AddPair("4", 1.7, 0.7);
  Commit();
  v1::ComparePairsRequest request = Request();
  *request.add_filters() = Filter("data_seed", {"2", "3", "4"});
  EXPECT_EQ(Compare(request).rows(0).b_lower(), 3);
  EXPECT_FALSE(Compare(request).rows(0).has_t());
}

// Of 2 rules: monolithic has 4 heads by default, modular 2.
TEST_F(PairsQueryTest, WhatOneModelChoseMayBeTheOthersDefault) {
  const auto add = [&](const char* model, const char* heads, double ood) {
    AddFinished(Config({{"architecture", "mha"}, {"model", model}, {"heads", heads}}), ood);
  };
  add("modular", "2", 1);
  add("monolithic", "2", 3);
  EXPECT_THAT(Rows(Compare(Request())), ElementsAre(" n=1 mean=-2 lower=1/0/0 missing=0/0"));
  // Now there are pairs by value for all; no pair of defaults that differ.
  Begin();
  add("modular", "4", 1);
  add("monolithic", "4", 8);
  Commit();
  EXPECT_THAT(Rows(Compare(Request())), ElementsAre(" n=2 mean=-4.5 lower=2/0/0 missing=0/0"));
}

TEST_F(PairsQueryTest, DefaultsArePairedWhereThereIsAChoice) {
  const auto add = [&](const char* model, const char* heads, double ood) {
    AddFinished(Config({{"architecture", "mha"}, {"model", model}, {"heads", heads}}), ood);
  };
  add("modular", "2", 1);
  add("monolithic", "4", 3);
  add("monolithic", "2", 9);
  EXPECT_THAT(Rows(Compare(Request())), ElementsAre(" n=1 mean=-2 lower=1/0/0 missing=1/0"));
}

TEST_F(PairsQueryTest, ModelSeedsOfATaskCanBeAveragedFirst) {
  const double modular[][2] = {{1, 3}, {2, 6}, {0, 0}};
  for (int task = 0; task < 3; ++task) {
    for (int seed = 0; seed < 2; ++seed) {
      for (const char* model : {"modular", "monolithic"}) {
        const double ood = model[2] == 'd' ? modular[task][seed] : 1;
        AddFinished(Config({{"model", model},
                            {"data_seed", absl::StrCat(task).c_str()},
                            {"model_seed", absl::StrCat(seed).c_str()}}),
                    ood);
      }
    }
  }
  AddFinished(Config({{"model_seed", "2"}}), 100);
  EXPECT_THAT(Rows(Compare(Request())), ElementsAre(" n=6 mean=1 lower=2/3/1 missing=0/1"));
  v1::ComparePairsRequest request = Request();
  request.set_average_model_seeds(true);
  const v1::ComparePairsResponse response = Compare(request);
  EXPECT_THAT(Rows(response), ElementsAre(" n=3 mean=1 lower=1/2/0 missing=0/1"));
  EXPECT_EQ(response.rows(0).a().max(), 4);
}

TEST_F(PairsQueryTest, JobsWithoutTheMetricAreToldFromMissingOnes) {
  AddPair("0", 1, 2);
  AddUnfinished(Config({{"data_seed", "1"}}));
  v1::ComparePairsRequest request = Request();
  request.set_metric("alignment");
  v1::ComparePairsResponse response = Compare(request);
  EXPECT_THAT(Rows(response), ElementsAre(" n=0 mean=0 lower=0/0/0 missing=2/2"));
  EXPECT_EQ(response.rows(0).without_metric_a(), 1);
  EXPECT_EQ(response.rows(0).without_metric_b(), 1);
  request = Request();
  request.set_checkpoint(v1::BEST);
  response = Compare(request);
  EXPECT_EQ(response.rows(0).without_metric_a(), 0);
  EXPECT_EQ(response.rows(0).without_best_a(), 1);
  EXPECT_EQ(response.rows(0).without_best_b(), 1);
}

TEST_F(PairsQueryTest, TargetsAreNotMixedInFiguresThatHaveTheirUnits) {
  AddPair("0", 1, 2);
  for (const char* model : {"modular", "monolithic"}) {
    AddFinished(Config({{"model", model}, {"target", "classification"}}), 9);
  }
  EXPECT_THAT(Refusal(Request()), AllOf(HasSubstr("ood"), HasSubstr("group by target")));
  EXPECT_EQ(Rows(Compare(Request({"target"}))).size(), 2u);
  v1::ComparePairsRequest request = Request();
  request.set_metric("alignment");
  EXPECT_EQ(Rows(Compare(request)).size(), 1u);
}

TEST_F(PairsQueryTest, MissingSidesAreCounted) {
  AddPair("0", 1, 2);
  AddFinished(Config({{"model", "modular"}, {"data_seed", "1"}}), 5);  // never asked for
  AddFinished(Config({{"model", "modular"}, {"data_seed", "2"}}), 5);
  AddUnfinished(Config({{"model", "monolithic"}, {"data_seed", "2"}}));
  AddUnfinished(Config({{"model", "modular"}, {"data_seed", "3"}}));
  AddUnfinished(Config({{"model", "monolithic"}, {"data_seed", "3"}}));
  AddFinished(Config({{"model", "gt_modular"}, {"data_seed", "4"}}), 5);  // on no side
  EXPECT_THAT(Rows(Compare(Request())), ElementsAre(" n=1 mean=-1 lower=1/0/0 missing=1/3"));
}

TEST_F(PairsQueryTest, GroupsComeByValue) {
  for (const char* rules : {"16", "2", "8"}) {
    AddFinished(Config({{"model", "modular"}, {"rules", rules}}), 1);
    AddFinished(Config({{"model", "monolithic"}, {"rules", rules}}), rules[0] == '8' ? 0 : 2);
  }
  EXPECT_THAT(Rows(Compare(Request({"target", "rules"}))),
              ElementsAre("regression/2 n=1 mean=-1 lower=1/0/0 missing=0/0",
                          "regression/8 n=1 mean=1 lower=0/1/0 missing=0/0",
                          "regression/16 n=1 mean=-1 lower=1/0/0 missing=0/0"));
  // Modules follow from the model: the sides of a pair have different ones.
  EXPECT_THAT(Refusal(Request({"modules"})), AllOf(HasSubstr("group_by"), HasSubstr("modules")));
  EXPECT_THAT(Refusal(Request({"model"})), HasSubstr("model"));
}

TEST_F(PairsQueryTest, OtherFieldsThanTheModelMakeSidesToo) {
  AddFinished(Config({{"rules", "2"}}), 1);
  AddFinished(Config({{"rules", "4"}, {"modules", "4"}}), 3);
  v1::ComparePairsRequest request = Request();
  *request.mutable_a(0) = Filter("rules", {"4"});
  *request.mutable_b(0) = Filter("rules", {"2"});
  EXPECT_THAT(Rows(Compare(request)), ElementsAre(" n=1 mean=2 lower=0/1/0 missing=0/0"));
}

TEST_F(PairsQueryTest, SeveralJobsForOnePairAreNamedWithWhatTellsThemApart) {
  AddPair("0", 1, 2);  // jobs 1 and 2
  AddFinished(Config({{"model", "gt_modular"}}), 3);
  v1::ComparePairsRequest request = Request();
  *request.mutable_a(0) = Filter("model", {"modular", "gt_modular"});
  EXPECT_THAT(Refusal(request),
              AllOf(HasSubstr("side a"), HasSubstr("jobs 1 and 3"),
                    HasSubstr("model (modular and gt_modular), scorer (joint and none)")));
  *request.mutable_a(0) = Filter("model", {"modular", "monolithic"});
  EXPECT_THAT(Refusal(request), AllOf(HasSubstr("job 2"), HasSubstr("both sides")));
}

TEST_F(PairsQueryTest, AJobThatChoseAnotherScorerHasNoPair) {
  AddPair("0", 1, 2);
  AddFinished(Config({{"scorer", "separate"}}), 3);
  EXPECT_THAT(Rows(Compare(Request())), ElementsAre(" n=1 mean=-1 lower=1/0/0 missing=0/1"));
  v1::ComparePairsRequest request = Request();
  *request.mutable_a(0) = Filter("scorer", {"joint"});
  *request.mutable_b(0) = Filter("scorer", {"separate"});
  EXPECT_THAT(Rows(Compare(request)), ElementsAre(" n=1 mean=-2 lower=1/0/0 missing=0/0"));
}

TEST_F(PairsQueryTest, BestCheckpointsHaveTheirOwnFigures) {
  for (const char* model : {"modular", "monolithic"}) {
    const int64_t job = AddUnfinished(Config({{"model", model}}));
    Start(job);
    v1::JobResult result;
    v1::MetricValue* value = result.add_metrics();
    value->set_metric(v1::OOD);
    value->set_value(4);
    result.mutable_best()->set_iteration(model[2] == 'd' ? 50 : 100);
    value = result.mutable_best()->add_metrics();
    value->set_metric(v1::OOD);
    value->set_value(3);
    EXPECT_EQ(writer()->FinishJob(job, result, 4000), absl::OkStatus());
  }
  EXPECT_THAT(Rows(Compare(Request())), ElementsAre(" n=1 mean=0 lower=0/0/1 missing=0/0"));
  v1::ComparePairsRequest request = Request();
  request.set_checkpoint(v1::BEST);
  EXPECT_THAT(Rows(Compare(request)), ElementsAre(" n=1 mean=-1 lower=1/0/0 missing=0/0"));
}

TEST_F(PairsQueryTest, BadQuestionsAreRefused) {
  AddPair("0", 1, 2);
  v1::ComparePairsRequest request = Request();
  request.clear_sweep();
  EXPECT_THAT(Refusal(request), HasSubstr("sweep"));
  request = Request();
  request.clear_metric();
  EXPECT_THAT(Refusal(request), HasSubstr("metric"));
  request.set_metric("eval_loss");
  EXPECT_THAT(Refusal(request), HasSubstr("eval_loss"));
  request.set_metric("odd");
  EXPECT_THAT(Refusal(request), HasSubstr("\"ood\""));
  request = Request();
  request.clear_a();
  EXPECT_THAT(Refusal(request), HasSubstr("a: required"));
  request = Request();
  *request.add_b() = Filter("rules", {"2"});
  EXPECT_THAT(Refusal(request), AllOf(HasSubstr("same fields"), HasSubstr("rules")));
  request = Request();
  *request.add_b() = Filter("model", {"gt_modular"});
  EXPECT_THAT(Refusal(request), AllOf(HasSubstr("b: \"model\""), HasSubstr("twice")));
  request = Request();
  *request.mutable_b(0) = Filter("state", {"failed"});
  EXPECT_THAT(Refusal(request), HasSubstr("b: "));
  request = Request();
  *request.mutable_b(0) = Filter("model", {"modlar"});
  EXPECT_THAT(Refusal(request), AllOf(HasSubstr("b: "), HasSubstr("modular")));
  request = Request();
  request.set_sweep("none");
  EXPECT_THAT(Ask(request).status(), IsStatus(absl::StatusCode::kNotFound));
}

TEST_F(PairsQueryTest, NoJobsGiveNoRows) { EXPECT_THAT(Rows(Compare(Request())), IsEmpty()); }

}  // namespace
}  // namespace modlab
