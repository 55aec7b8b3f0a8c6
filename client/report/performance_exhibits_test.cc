#include "client/report/performance_exhibits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

void AddRow(const std::vector<std::string>& group, v1::Metric metric, double mean,
            v1::QueryResultsResponse* response) {
  v1::ResultRow* row = response->add_rows();
  row->mutable_group()->Assign(group.begin(), group.end());
  row->set_metric(metric);
  row->mutable_summary()->set_mean(mean);
  row->mutable_summary()->set_n(4);
}

const std::vector<LinePanel>& Lines(const Exhibit& exhibit) {
  return std::get<std::vector<LinePanel>>(exhibit.figure.panels);
}

TEST(PerformanceExhibitsTest, RulesAreTheAxis) {
  const auto request = AskPerformanceByRules({"s-1", {}, v1::LAST});
  v1::QueryResultsResponse response;
  EXPECT_FALSE(PerformanceByRules(request, response).has_value());
  AddRow({"mlp", "regression", "modular", "2"}, v1::ID, 0.5, &response);
  AddRow({"mlp", "regression", "modular", "2"}, v1::OOD, 0.75, &response);
  AddRow({"mlp", "regression", "modular", "16"}, v1::ID, 1, &response);
  const std::optional<Exhibit> exhibit = PerformanceByRules(request, response);
  ASSERT_TRUE(exhibit.has_value());
  EXPECT_THAT(exhibit->caption, EndsWith("n = 4 jobs a point."));
  EXPECT_THAT(exhibit->commands[0], HasSubstr("modlab results s-1 --group-by architecture,target"));
  ASSERT_EQ(Lines(*exhibit).size(), 2u);
  const LinePanel& id = Lines(*exhibit)[0];
  EXPECT_EQ(id.title, "MLP regression, ID");
  EXPECT_EQ(id.series[0].name, "modular");
  ASSERT_EQ(id.series[0].points.size(), 2u);
  EXPECT_EQ(id.series[0].points[1].x, 16);
  EXPECT_EQ(id.series[0].points[1].y.value, 1);
  EXPECT_EQ(Lines(*exhibit)[1].series[0].points[0].y.value, 0.75);
}

TEST(PerformanceExhibitsTest, CaptionsSayWhatIsPooledAndWhatIsNotThere) {
  const auto request = AskPerformanceByRules({"s-1", {}, v1::BEST});
  v1::QueryResultsResponse response;
  AddRow({"mlp", "regression", "modular", "2"}, v1::ID, 0.5, &response);
  response.add_pooled_over("data_seed");
  response.add_pooled_over("scorer");
  response.set_jobs_without_best(3);
  EXPECT_THAT(PerformanceByRules(request, response)->caption,
              EndsWith(" a point. Pooled over data_seed, scorer. 3 finished jobs kept no best "
                       "checkpoint, and are not in it."));
}

TEST(PerformanceExhibitsTest, OneSizeIsNoFigure) {
  const auto request = AskPerformanceBySize({"s-1", {}, v1::LAST});
  v1::QueryResultsResponse response;
  AddRow({"mlp", "regression", "32", "128", "modular"}, v1::ID, 1, &response);
  AddRow({"mlp", "regression", "32", "128", "monolithic"}, v1::ID, 1, &response);
  AddRow({"rnn", "regression", "64", "256", "modular"}, v1::ID, 1, &response);
  EXPECT_FALSE(PerformanceBySize(request, response).has_value());
  AddRow({"mlp", "regression", "64", "256", "modular"}, v1::ID, 2, &response);
  const auto exhibit = PerformanceBySize(request, response);
  ASSERT_TRUE(exhibit.has_value());
  const auto& panels = std::get<std::vector<BarPanel>>(exhibit->figure.panels);
  ASSERT_EQ(panels.size(), 2u);  // of MLP alone
  EXPECT_THAT(panels[0].categories, ElementsAre("32, 128", "64, 256"));
}

TEST(PerformanceExhibitsTest, LengthsComeFromTheMetrics) {
  const auto request = AskPerformanceByLength({"s-1", {}, v1::LAST});
  EXPECT_EQ(request.metrics(0), "id_l3");
  EXPECT_EQ(request.metrics(request.metrics_size() - 1), "ood_l50");
  v1::QueryResultsResponse response;
  AddRow({"mha", "regression", "10", "modular"}, v1::ID_L3, 1, &response);
  AddRow({"mha", "regression", "10", "modular"}, v1::ID_L30, 2, &response);
  AddRow({"mha", "regression", "10", "modular"}, v1::OOD_L5, 3, &response);
  auto exhibit = PerformanceByLength(request, response);
  ASSERT_TRUE(exhibit.has_value());
  ASSERT_EQ(Lines(*exhibit).size(), 2u);
  EXPECT_EQ(Lines(*exhibit)[0].series[0].points[1].x, 30);
  EXPECT_EQ(Lines(*exhibit)[1].series[0].points[0].x, 5);
  EXPECT_THAT(exhibit->caption, HasSubstr("trained at length 10;"));

  // Other lengths of training are other panels.
  AddRow({"mha", "regression", "20", "modular"}, v1::ID_L30, 2, &response);
  exhibit = PerformanceByLength(request, response);
  ASSERT_EQ(Lines(*exhibit).size(), 4u);
  EXPECT_EQ(Lines(*exhibit)[1].title, "MHA, trained at 20, regression, ID");
}

TEST(PerformanceExhibitsTest, LongCurvesKeepTheirEnds) {
  Curves curves;
  curves.requests = AskCurvesOf({"s-1", {}, v1::LAST}, {"eval_loss"});
  curves.responses.resize(1);
  EXPECT_FALSE(LossByIteration(curves).has_value());
  const auto add = [&](int points) {
    curves.responses[0].clear_rows();
    for (int i = 0; i < points; ++i) {
      v1::CurveRow* row = curves.responses[0].add_rows();
      for (const char* word : {"mlp", "regression", "modular"}) row->add_group(word);
      row->set_iteration(i);
      row->mutable_summary()->set_mean(1);
    }
    return *LossByIteration(curves);
  };
  const Exhibit small = add(200);
  EXPECT_EQ(Lines(small)[0].series[0].points.size(), 200u);
  EXPECT_THAT(small.caption, Not(HasSubstr("only some points")));
  const Exhibit large = add(1000);
  const auto& points = Lines(large)[0].series[0].points;
  EXPECT_EQ(points.size(), 201u);
  EXPECT_EQ(points.front().x, 0);
  EXPECT_EQ(points.back().x, 999);
  EXPECT_THAT(large.caption, HasSubstr("only some points"));
}

}  // namespace
}  // namespace modlab
