#include "server/query/curves_query.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class CurvesQueryTest : public StoreFixture {
 protected:
  CurvesQueryTest() {
    Begin();
    sweep_ = AddSweep("s");
  }

  // A running job with its evaluation loss at 0, 50, 100, ...
  int64_t AddCurve(const v1::JobConfig& config, const std::vector<double>& losses) {
    const int64_t id = AddJob(sweep_, config);
    Start(id);
    for (size_t i = 0; i < losses.size(); ++i) {
      AddPoint(id, static_cast<int64_t>(50 * i), v1::EVAL_LOSS, losses[i]);
    }
    return id;
  }

  static v1::QueryCurvesRequest Request(std::vector<std::string> group_by,
                                        const std::string& metric) {
    v1::QueryCurvesRequest request;
    request.set_sweep("s");
    request.set_metric(metric);
    request.mutable_group_by()->Assign(group_by.begin(), group_by.end());
    return request;
  }

  absl::Status Error(const v1::QueryCurvesRequest& request) {
    return QueryCurves(store_.get(), request).status();
  }

  // "modular @50 n=2 mean=0.5" for each row.
  std::vector<std::string> Rows(const v1::QueryCurvesRequest& request) {
    const auto response = QueryCurves(store_.get(), request);
    EXPECT_EQ(response.status(), absl::OkStatus());
    std::vector<std::string> rows;
    if (!response.ok()) return rows;
    for (const v1::CurveRow& row : response->rows()) {
      rows.push_back(absl::StrCat(absl::StrJoin(row.group(), "/"), " @", row.iteration(),
                                  " n=", row.summary().n(), " mean=", row.summary().mean()));
    }
    return rows;
  }

  std::string sweep_;
};

TEST_F(CurvesQueryTest, PointsAreSummarisedByGroupAndIteration) {
  AddCurve(Config({{"model", "gt_modular"}}), {8, 4});
  AddCurve(Config({}), {4, 3, 2});
  AddCurve(Config({{"model_seed", "1"}}), {6, 5});  // not yet as far
  Commit();
  EXPECT_THAT(
      Rows(Request({"model"}, "eval_loss")),
      ElementsAre("modular @0 n=2 mean=5", "modular @50 n=2 mean=4", "modular @100 n=1 mean=2",
                  "gt_modular @0 n=1 mean=8", "gt_modular @50 n=1 mean=4"));
  EXPECT_THAT(Rows(Request({}, "EVAL_LOSS")),
              ElementsAre(" @0 n=3 mean=6", " @50 n=3 mean=4", " @100 n=1 mean=2"));
}

TEST_F(CurvesQueryTest, JobsOfEveryStateCount) {
  AddJob(sweep_, Config({{"model_seed", "9"}}));
  Finish(AddCurve(Config({}), {1}), {});
  const int64_t failed = AddCurve(Config({{"model_seed", "1"}}), {3});
  ASSERT_EQ(writer()->FailJob(failed, v1::Failure(), 1), absl::OkStatus());
  AddCurve(Config({{"model_seed", "2"}}), {5});
  Commit();
  EXPECT_THAT(Rows(Request({}, "eval_loss")), ElementsAre(" @0 n=3 mean=3"));
}

TEST_F(CurvesQueryTest, FiltersChoose) {
  AddCurve(Config({}), {1});
  AddCurve(Config({{"rules", "4"}}), {2});
  Commit();
  v1::QueryCurvesRequest request = Request({"rules"}, "eval_loss");
  *request.add_filters() = Filter("rules", {"4"});
  EXPECT_THAT(Rows(request), ElementsAre("4 @0 n=1 mean=2"));
}

TEST_F(CurvesQueryTest, AMetricThatNoPointHasGivesNoRows) {
  AddCurve(Config({}), {1});
  Commit();
  EXPECT_THAT(Rows(Request({}, "alignment")), IsEmpty());
}

TEST_F(CurvesQueryTest, BadQuestionsAreRefused) {
  Commit();
  v1::QueryCurvesRequest request = Request({}, "eval_loss");
  request.clear_sweep();
  EXPECT_THAT(Error(request), IsStatus(absl::StatusCode::kInvalidArgument));
  request.set_sweep("none");
  EXPECT_THAT(Error(request), IsStatus(absl::StatusCode::kNotFound));
  EXPECT_THAT(Error(Request({}, "")), IsStatus(absl::StatusCode::kInvalidArgument));
  for (const char* only_at_the_end : {"id", "ood_loss", "parameters", "id_l3", "ood_loss_l50"}) {
    EXPECT_THAT(Error(Request({}, only_at_the_end)), IsStatus(absl::StatusCode::kInvalidArgument));
  }
  for (const char* on_curves : {"train_loss", "validation_accuracy", "inverse_mi"}) {
    EXPECT_THAT(Error(Request({}, on_curves)), IsStatus(absl::StatusCode::kOk));
  }
  const absl::Status metric = Error(Request({}, "eval_los"));
  EXPECT_THAT(metric, IsStatus(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(metric.message()), HasSubstr("eval_loss"));
  EXPECT_THAT(Error(Request({"modle"}, "eval_loss")), IsStatus(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace modlab
