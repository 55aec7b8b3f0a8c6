#include "server/query/results_query.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/metrics/specialisation.h"
#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ResultsQueryTest : public StoreFixture {
 protected:
  ResultsQueryTest() {
    Begin();
    sweep_ = AddSweep("s");
  }

  int64_t AddFinished(const v1::JobConfig& config,
                      std::initializer_list<std::pair<v1::Metric, double>> metrics) {
    const int64_t id = AddJob(sweep_, config);
    Start(id);
    Finish(id, metrics);
    return id;
  }

  static v1::QueryResultsRequest Request(std::vector<std::string> group_by,
                                         std::vector<std::string> metrics) {
    v1::QueryResultsRequest request;
    request.set_sweep("s");
    request.mutable_group_by()->Assign(group_by.begin(), group_by.end());
    request.mutable_metrics()->Assign(metrics.begin(), metrics.end());
    return request;
  }

  v1::QueryResultsResponse Query(const v1::QueryResultsRequest& request) {
    if (open_) Commit();
    open_ = false;
    const auto response = QueryResults(store_.get(), request);
    EXPECT_EQ(response.status(), absl::OkStatus());
    return response.ok() ? *response : v1::QueryResultsResponse();
  }

  absl::Status Error(const v1::QueryResultsRequest& request) {
    return QueryResults(store_.get(), request).status();
  }

  // "gt_modular/2 id n=3 mean=0.5" for each row.
  static std::vector<std::string> Rows(const v1::QueryResultsResponse& response) {
    std::vector<std::string> rows;
    for (const v1::ResultRow& row : response.rows()) {
      rows.push_back(absl::StrCat(absl::StrJoin(row.group(), "/"), " ", MetricName(row.metric()),
                                  " n=", row.summary().n(), " mean=", row.summary().mean()));
    }
    return rows;
  }

  std::string sweep_;
  bool open_ = true;
};

TEST_F(ResultsQueryTest, GroupsComeByNumberAndByValue) {
  // Neither the order of insertion nor that of the words.
  for (const char* rules : {"16", "2", "8"}) {
    for (const char* model : {"modular_op", "gt_modular", "monolithic", "modular"}) {
      AddFinished(Config({{"model", model}, {"rules", rules}, {"model_dim", "64"}}), {{v1::ID, 1}});
    }
  }
  EXPECT_THAT(Rows(Query(Request({"rules", "model"}, {"id"}))),
              ElementsAre("2/monolithic id n=1 mean=1", "2/modular id n=1 mean=1",
                          "2/modular_op id n=1 mean=1", "2/gt_modular id n=1 mean=1",
                          "8/monolithic id n=1 mean=1", "8/modular id n=1 mean=1",
                          "8/modular_op id n=1 mean=1", "8/gt_modular id n=1 mean=1",
                          "16/monolithic id n=1 mean=1", "16/modular id n=1 mean=1",
                          "16/modular_op id n=1 mean=1", "16/gt_modular id n=1 mean=1"));
}

TEST_F(ResultsQueryTest, ValuesOfAGroupAreSummarised) {
  const double values[] = {0.5, 0.25, 0.75};
  for (int i = 0; i < 3; ++i) {
    AddFinished(Config({{"model_seed", std::to_string(i).c_str()}}),
                {{v1::ID, values[i]}, {v1::OOD, 2 * values[i]}});
  }
  const v1::QueryResultsResponse response = Query(Request({"rules"}, {"ood", "id"}));
  EXPECT_THAT(Rows(response), ElementsAre("2 ood n=3 mean=1", "2 id n=3 mean=0.5"));
  EXPECT_EQ(response.rows(1).summary().min(), 0.25);
  EXPECT_EQ(response.rows(1).summary().sd(), 0.25);
  EXPECT_EQ(response.jobs_finished(), 3);
}

TEST_F(ResultsQueryTest, WithoutGroupsThereIsOne) {
  AddFinished(Config({}), {{v1::ID, 1}});
  AddFinished(Config({{"rules", "4"}}), {{v1::ID, 2}});
  EXPECT_THAT(Rows(Query(Request({}, {"id"}))), ElementsAre(" id n=2 mean=1.5"));
}

TEST_F(ResultsQueryTest, OnlyFinishedJobsCount) {
  AddFinished(Config({}), {{v1::ID, 1}});
  AddJob(sweep_, Config({{"model_seed", "1"}}));
  Start(AddJob(sweep_, Config({{"model_seed", "2"}})));
  const int64_t failed = AddJob(sweep_, Config({{"model_seed", "3"}}));
  ASSERT_EQ(writer()->FailJob(failed, v1::Failure(), 1), absl::OkStatus());
  const int64_t cancelled = AddJob(sweep_, Config({{"model_seed", "4"}}));
  ASSERT_EQ(writer()->CancelJob(cancelled, "", 1), absl::OkStatus());
  const v1::QueryResultsResponse response = Query(Request({}, {"id"}));
  EXPECT_THAT(Rows(response), ElementsAre(" id n=1 mean=1"));
  EXPECT_EQ(response.jobs_finished(), 1);
  EXPECT_EQ(response.jobs_unfinished(), 2);
  EXPECT_EQ(response.jobs_failed(), 1);
  EXPECT_EQ(response.jobs_cancelled(), 1);
}

TEST_F(ResultsQueryTest, WhatFiguresArePooledOverIsNamed) {
  AddFinished(Config({}), {{v1::ID, 1}});
  AddFinished(Config({{"rules", "4"}}), {{v1::ID, 1}});
  AddFinished(Config({{"rules", "4"}, {"scorer", "separate"}, {"model_seed", "1"}}), {{v1::ID, 1}});
  AddJob(sweep_, Config({{"data_seed", "7"}}));  // not finished
  EXPECT_THAT(Query(Request({"model"}, {"id"})).pooled_over(),
              ElementsAre("rules", "scorer", "model_seed"));
  EXPECT_THAT(Query(Request({"rules", "model_seed"}, {"id"})).pooled_over(), IsEmpty());
}

TEST_F(ResultsQueryTest, FiltersAndSweepsChoose) {
  AddFinished(Config({}), {{v1::ID, 1}});
  AddFinished(Config({{"rules", "4"}}), {{v1::ID, 2}});
  sweep_ = AddSweep("other");
  AddFinished(Config({{"rules", "8"}}), {{v1::ID, 3}});
  v1::QueryResultsRequest request = Request({"rules"}, {"id"});
  *request.add_filters() = Filter("rules", {"4", "8"});
  EXPECT_THAT(Rows(Query(request)), ElementsAre("4 id n=1 mean=2"));
  request.clear_sweep();
  EXPECT_THAT(Rows(Query(request)), ElementsAre("4 id n=1 mean=2", "8 id n=1 mean=3"));
}

TEST_F(ResultsQueryTest, TheDefaultMetricsAreSeven) {
  AddFinished(Config({}), {{v1::INVERSE_MI, 7},
                           {v1::ADAPTATION, 6},
                           {v1::ALIGNMENT, 5},
                           {v1::COLLAPSE_WORST, 4},
                           {v1::COLLAPSE_AVG, 3},
                           {v1::OOD, 2},
                           {v1::ID, 1},
                           {v1::PARAMETERS, 99}});
  EXPECT_THAT(Rows(Query(Request({}, {}))),
              ElementsAre(" id n=1 mean=1", " ood n=1 mean=2", " collapse_avg n=1 mean=3",
                          " collapse_worst n=1 mean=4", " alignment n=1 mean=5",
                          " adaptation n=1 mean=6", " inverse_mi n=1 mean=7"));
}

TEST_F(ResultsQueryTest, BestCheckpointsHaveTheirOwnFigures) {
  const auto add = [this](const char* seed, double last, int64_t iteration, double best) {
    v1::JobResult result;
    v1::MetricValue* value = result.add_metrics();
    value->set_metric(v1::ID);
    value->set_value(last);
    result.mutable_best()->set_iteration(iteration);
    if (iteration < 100) {
      value = result.mutable_best()->add_metrics();
      value->set_metric(v1::ID);
      value->set_value(best);
    }
    const int64_t job = AddJob(sweep_, Config({{"model_seed", seed}}));
    Start(job);
    EXPECT_EQ(writer()->FinishJob(job, result, 4000), absl::OkStatus());
  };
  add("0", 8, 50, 2);
  add("1", 4, 100, 0);
  AddFinished(Config({{"model_seed", "2"}}), {{v1::ID, 1}});  // kept none
  v1::QueryResultsRequest request = Request({}, {"id"});
  request.set_checkpoint(v1::LAST);
  EXPECT_THAT(Rows(Query(request)), ElementsAre(" id n=3 mean=4.33333"));
  request.set_checkpoint(v1::BEST);
  const v1::QueryResultsResponse response = Query(request);
  EXPECT_THAT(Rows(response), ElementsAre(" id n=2 mean=3"));
  EXPECT_EQ(response.jobs_finished(), 2);
  EXPECT_EQ(response.jobs_without_best(), 1);
  request.set_checkpoint(static_cast<v1::Checkpoint>(7));
  EXPECT_THAT(Error(request), IsStatus(absl::StatusCode::kInvalidArgument));
}

TEST_F(ResultsQueryTest, FiguresByLengthAreMetricsLikeOthers) {
  AddFinished(Config({}), {{v1::ID_L3, 1}, {v1::OOD_LOSS_L50, 2}});
  EXPECT_THAT(Rows(Query(Request({}, {"ood_loss_l50", "id_l3", "ood_l30"}))),
              ElementsAre(" ood_loss_l50 n=1 mean=2", " id_l3 n=1 mean=1"));
}

TEST_F(ResultsQueryTest, RandomEndsEveryCombinationOfTheOthers) {
  AddFinished(Config({{"model", "monolithic"}}), {{v1::ID, 1}});
  AddFinished(Config({}), {{v1::ID, 1}, {v1::ALIGNMENT, 0.25}});
  AddFinished(Config({{"model", "gt_modular"}}), {{v1::ID, 1}, {v1::ALIGNMENT, 0}});
  AddFinished(Config({{"rules", "4"}}), {{v1::ID, 1}, {v1::ALIGNMENT, 0.5}});
  // No modular jobs, so nothing to compare with chance.
  AddFinished(Config({{"model", "monolithic"}, {"rules", "8"}}), {{v1::ID, 1}});
  EXPECT_THAT(Rows(Query(Request({"rules", "model"}, {"id", "alignment"}))),
              ElementsAre("2/monolithic id n=1 mean=1", "2/modular id n=1 mean=1",
                          "2/modular alignment n=1 mean=0.25", "2/gt_modular id n=1 mean=1",
                          "2/gt_modular alignment n=1 mean=0", "2/random alignment n=1 mean=0.5",
                          "4/modular id n=1 mean=1", "4/modular alignment n=1 mean=0.5",
                          "4/random alignment n=1 mean=0.75", "8/monolithic id n=1 mean=1"));
  // After the models, too, where the model comes first.
  EXPECT_THAT(Rows(Query(Request({"model", "rules"}, {"alignment"}))),
              ElementsAre("modular/2 alignment n=1 mean=0.25", "modular/4 alignment n=1 mean=0.5",
                          "gt_modular/2 alignment n=1 mean=0", "random/2 alignment n=1 mean=0.5",
                          "random/4 alignment n=1 mean=0.75"));
  // One value a rule count.
  EXPECT_THAT(Rows(Query(Request({"model"}, {"alignment"}))),
              ElementsAre("modular alignment n=2 mean=0.375", "gt_modular alignment n=1 mean=0",
                          "random alignment n=2 mean=0.625"));
  // Not where the model is not asked for.
  EXPECT_THAT(Rows(Query(Request({"rules"}, {"alignment"}))),
              ElementsAre("2 alignment n=2 mean=0.125", "4 alignment n=1 mean=0.5"));
}

TEST_F(ResultsQueryTest, RandomHasTheFiveMetricsOfTheUniformMatrix) {
  AddFinished(Config({{"rules", "4"}}), {});
  const v1::QueryResultsResponse response = Query(Request({"model"}, {}));
  ASSERT_EQ(response.rows_size(), 5);
  EXPECT_EQ(response.rows(0).metric(), v1::COLLAPSE_AVG);
  EXPECT_EQ(response.rows(0).summary().mean(), 0);
  EXPECT_EQ(response.rows(1).metric(), v1::COLLAPSE_WORST);
  EXPECT_EQ(response.rows(1).summary().mean(), 0);
  EXPECT_EQ(response.rows(2).metric(), v1::ALIGNMENT);
  EXPECT_DOUBLE_EQ(response.rows(2).summary().mean(), 0.75);
  EXPECT_EQ(response.rows(3).metric(), v1::ADAPTATION);
  EXPECT_EQ(response.rows(3).summary().mean(),
            ExpectedAdaptation(UniformActivation(4, 4), AdaptationDraws(4, 100)));
  EXPECT_EQ(response.rows(4).metric(), v1::INVERSE_MI);
  EXPECT_NEAR(response.rows(4).summary().mean(), 1, 1e-6);
}

TEST_F(ResultsQueryTest, EveryFieldOfAConfigCanBeGroupedBy) {
  const v1::JobConfig config = Config({{"learning_rate", "0.003"}, {"data_seed", "4294967295"}});
  AddFinished(config, {{v1::ID, 1}});
  for (const std::string& field : JobFieldNames()) {
    const v1::QueryResultsResponse response = Query(Request({field}, {"id"}));
    ASSERT_EQ(response.rows_size(), 1) << field;
    EXPECT_EQ(response.rows(0).group(0), JobFieldWord(config, field));
  }
}

TEST_F(ResultsQueryTest, BadQuestionsAreRefused) {
  Query(Request({}, {}));
  const absl::Status field = Error(Request({"modle"}, {}));
  EXPECT_THAT(field, IsStatus(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(field.message()), HasSubstr("model"));
  const absl::Status metric = Error(Request({}, {"colapse_avg"}));
  EXPECT_THAT(metric, IsStatus(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(metric.message()), HasSubstr("collapse_avg"));
  EXPECT_THAT(Error(Request({"rules", "rules"}, {})), IsStatus(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Error(Request({}, {"id", "ID"})), IsStatus(absl::StatusCode::kInvalidArgument));
  std::vector<std::string> many(JobFieldNames().begin(), JobFieldNames().begin() + 17);
  EXPECT_THAT(Error(Request(many, {})), IsStatus(absl::StatusCode::kInvalidArgument));
  v1::QueryResultsRequest request = Request({}, {});
  request.set_sweep("none");
  EXPECT_THAT(Error(request), IsStatus(absl::StatusCode::kNotFound));
  request = Request({}, {});
  *request.add_filters() = Filter("rules", {"x"});
  EXPECT_THAT(Error(request), IsStatus(absl::StatusCode::kInvalidArgument));
}

TEST_F(ResultsQueryTest, NoJobsGiveNoRows) {
  const v1::QueryResultsResponse response = Query(Request({"model"}, {}));
  EXPECT_THAT(Rows(response), IsEmpty());
  EXPECT_EQ(response.jobs_finished(), 0);
}

}  // namespace
}  // namespace modlab
