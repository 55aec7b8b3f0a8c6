#include "client/report/exhibit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

namespace modlab {
namespace {

using testing::ElementsAre;

Reading A(const std::string& column, const std::string& target, v1::Metric metric,
          const std::string& series, double x, double y) {
  Reading reading;
  reading.column = column;
  reading.target = target;
  reading.metric = metric;
  reading.series = series;
  reading.x = x;
  reading.y.value = y;
  return reading;
}

template <typename Panel>
std::vector<std::string> Titles(const Figure& figure) {
  std::vector<std::string> titles;
  for (const Panel& panel : std::get<std::vector<Panel>>(figure.panels)) {
    titles.push_back(panel.title);
  }
  return titles;
}

TEST(ExhibitTest, ArchitecturesStandSideBySide) {
  const Figure figure = LineFigure("",
                                   {A("MLP", "regression", v1::ID, "modular", 2, 1),
                                    A("MLP", "classification", v1::OOD, "modular", 2, 3),
                                    A("RNN", "regression", v1::ID, "modular", 2, 5)},
                                   {v1::ID, v1::OOD}, {"Rules", Scale::kLog2, {}, {}});
  EXPECT_EQ(figure.columns, 2);
  // Those without readings keep their place.
  EXPECT_THAT(Titles<LinePanel>(figure),
              ElementsAre("MLP regression, ID", "RNN regression, ID", "MLP regression, OoD",
                          "RNN regression, OoD", "MLP classification, ID", "RNN classification, ID",
                          "MLP classification, OoD", "RNN classification, OoD"));
  const auto& panels = std::get<std::vector<LinePanel>>(figure.panels);
  EXPECT_EQ(panels[0].y.label, "L1 error");
  EXPECT_EQ(panels[6].y.label, "Error in %");
  ASSERT_EQ(panels[6].series.size(), 1u);
  EXPECT_EQ(panels[6].series[0].points[0].y.value, 3);
  EXPECT_EQ(panels[0].x.scale, Scale::kLog2);
  EXPECT_TRUE(panels[2].series.empty());
}

TEST(ExhibitTest, OneArchitectureFillsARowByMetricsOrTargets) {
  const std::vector<Reading> readings = {A("MLP", "regression", v1::ID, "modular", 2, 1),
                                         A("MLP", "classification", v1::ID, "modular", 2, 3)};
  const Figure both = LineFigure("", readings, {v1::ID, v1::OOD}, {});
  EXPECT_EQ(both.columns, 2);
  EXPECT_THAT(Titles<LinePanel>(both),
              ElementsAre("MLP regression, ID", "MLP regression, OoD", "MLP classification, ID",
                          "MLP classification, OoD"));
  const Figure one = LineFigure("", readings, {v1::ID}, {});
  EXPECT_EQ(one.columns, 2);
  EXPECT_THAT(Titles<LinePanel>(one), ElementsAre("MLP regression", "MLP classification"));
}

TEST(ExhibitTest, SeriesAreLinesOfPoints) {
  const Figure figure =
      LineFigure("",
                 {A("MLP", "", v1::ID, "a", 2, 1), A("MLP", "", v1::ID, "b", 2, 2),
                  A("MLP", "", v1::ID, "a", 4, 3), A("MLP", "", v1::PARAMETERS, "a", 4, 3)},
                 {v1::ID}, {});
  const auto& panels = std::get<std::vector<LinePanel>>(figure.panels);
  ASSERT_EQ(panels.size(), 1u);
  ASSERT_EQ(panels[0].series.size(), 2u);
  EXPECT_EQ(panels[0].series[0].name, "a");
  ASSERT_EQ(panels[0].series[0].points.size(), 2u);
  EXPECT_EQ(panels[0].series[0].points[1].x, 4);
}

TEST(ExhibitTest, BarsThatAreNotThereAreGaps) {
  std::vector<Reading> readings = {A("", "", v1::ALIGNMENT, "modular", 0, 1),
                                   A("", "", v1::ALIGNMENT, "random", 0, 2),
                                   A("", "", v1::ALIGNMENT, "random", 0, 3)};
  readings[0].category = "MLP";
  readings[1].category = "MLP";
  readings[2].category = "RNN";
  const Figure figure = BarFigure("", readings, {v1::ALIGNMENT, v1::ADAPTATION}, "Architecture");
  EXPECT_THAT(Titles<BarPanel>(figure), ElementsAre("Alignment", "Adaptation"));
  EXPECT_TRUE(CheckFigure(figure).ok());
  const BarPanel& panel = std::get<std::vector<BarPanel>>(figure.panels)[0];
  EXPECT_THAT(panel.categories, ElementsAre("MLP", "RNN"));
  EXPECT_EQ(panel.series[0].values[0].value, 1);
  EXPECT_NE(panel.series[0].values[1].value, panel.series[0].values[1].value);  // NaN
  EXPECT_EQ(panel.series[1].values[1].value, 3);
}

TEST(ExhibitTest, JobsBehindAFigureDoNotCountRandom) {
  std::vector<Reading> readings = {A("MLP", "", v1::ALIGNMENT, "modular", 2, 1),
                                   A("MLP", "", v1::ALIGNMENT, "modular", 4, 1),
                                   A("MLP", "", v1::ALIGNMENT, "random", 2, 1)};
  readings[2].y.n = 1;
  const auto figure = [&] { return LineFigure("", readings, {v1::ALIGNMENT}, {}); };
  EXPECT_FALSE(JobsBehind(figure()).has_value());
  EXPECT_EQ(JobsText(figure(), "point"), "");
  readings[0].y.n = 5;
  readings[1].y.n = 5;
  EXPECT_EQ(JobsText(figure(), "point"), "n = 5 jobs a point.");
  readings[1].y.n = 1200;
  EXPECT_EQ(JobsText(figure(), "point"), "n = 5 to 1,200 jobs a point.");
}

TEST(ExhibitTest, AMeanOfOneHasNoInterval) {
  v1::Summary summary;
  summary.set_n(1);
  summary.set_mean(2);
  EXPECT_EQ(EstimateOf(summary).value, 2);
  EXPECT_NE(EstimateOf(summary).low, EstimateOf(summary).low);  // NaN
  summary.set_ci95_low(0);
  summary.set_ci95_high(3);
  EXPECT_EQ(EstimateOf(summary).low, 0);
  EXPECT_EQ(EstimateOf(summary).high, 3);
}

}  // namespace
}  // namespace modlab
