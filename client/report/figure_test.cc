#include "client/report/figure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(FigureTest, LinesHaveARowAPointWithAllDigits) {
  LinePanel panel;
  panel.title = "MLP";
  panel.x.label = "Rules";
  panel.series = {{"modular", {{2, {0.1 + 0.2, 0.25, 1e-300, 5}}, {4, {}}}}};
  Figure figure;
  figure.panels = std::vector<LinePanel>{panel};
  EXPECT_EQ(Csv(MakeSheet(figure)),
            "panel,series,Rules,y,low,high,n\r\n"
            "MLP,modular,2.0,0.30000000000000004,0.25,1e-300,5\r\n"
            "MLP,modular,4.0,,,,\r\n");
}

TEST(FigureTest, LabelsNameColumnsOnlyWherePanelsAgree) {
  LinePanel first;
  first.x.label = "Rules";
  first.y.label = "Error";
  LinePanel second = first;
  second.y.label = "Alignment";
  Figure figure;
  figure.panels = std::vector<LinePanel>{first, second};
  EXPECT_THAT(MakeSheet(figure).columns,
              ElementsAre("panel", "series", "Rules", "y", "low", "high", "n"));
}

TEST(FigureTest, TextIsQuotedWhereCsvNeedsIt) {
  PiePanel panel;
  panel.title = "a,b";
  panel.shares = {{"say \"hi\"", 3}, {"two\nlines", 4}, {"`$x`'s", 5}};
  Figure figure;
  figure.panels = std::vector<PiePanel>{panel};
  EXPECT_EQ(Csv(MakeSheet(figure)),
            "panel,name,count\r\n"
            "\"a,b\",\"say \"\"hi\"\"\",3.0\r\n"
            "\"a,b\",\"two\nlines\",4.0\r\n"
            "\"a,b\",`$x`'s,5.0\r\n");
}

TEST(FigureTest, BarsHaveARowABar) {
  BarPanel panel;
  panel.category_label = "Metric";
  panel.categories = {"alignment", "adaptation"};
  panel.series = {{"modular", {{0.5, 0.4, 0.6, 3}, {}}}, {"random", {{0.875, {}, {}, {}}, {1}}}};
  panel.series[1].values[0] = Estimate{0.875, kNoNumber, kNoNumber, {}};
  Figure figure;
  figure.panels = std::vector<BarPanel>{panel};
  EXPECT_EQ(Csv(MakeSheet(figure)),
            "panel,Metric,series,y,low,high,n\r\n"
            ",alignment,modular,0.5,0.4,0.6,3\r\n"
            ",alignment,random,0.875,,,\r\n"
            ",adaptation,modular,,,,\r\n"
            ",adaptation,random,1.0,,,\r\n");
}

TEST(FigureTest, HeatMapsHaveARowACell) {
  HeatPanel panel;
  panel.row_label = "rule";
  panel.rows = {"0", "1"};
  panel.columns = {"a"};
  panel.values = {{0.25}, {std::numeric_limits<double>::infinity()}};
  Figure figure;
  figure.panels = std::vector<HeatPanel>{panel};
  EXPECT_EQ(Csv(MakeSheet(figure)), "panel,rule,column,share\r\n,0,a,0.25\r\n,1,a,\r\n");
}

TEST(FigureTest, WithoutPanelsThereIsAHeader) {
  EXPECT_EQ(Csv(MakeSheet(Figure())), "panel,series,x,y,low,high,n\r\n");
  EXPECT_TRUE(CheckFigure(Figure()).ok());
}

TEST(FigureTest, ListsMustFitTogether) {
  Figure figure;
  figure.title = "Metrics";
  BarPanel bars;
  bars.title = "MLP";
  bars.categories = {"a", "b"};
  bars.series = {{"modular", {Estimate{1}}}};
  figure.panels = std::vector<BarPanel>{bars};
  EXPECT_EQ(CheckFigure(figure).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      std::string(CheckFigure(figure).message()),
      HasSubstr("figure \"Metrics\": panel 0 (MLP): values of series modular: 1, must be 2"));

  HeatPanel heat;
  heat.rows = {"0", "1"};
  heat.columns = {"0", "1"};
  heat.values = {{0, 1}, {1}};
  figure.panels = std::vector<HeatPanel>{heat};
  EXPECT_THAT(std::string(CheckFigure(figure).message()),
              HasSubstr("values of row 1: 1, must be 2"));
}

TEST(FigureTest, ThereAreLimits) {
  Figure figure;
  figure.panels = std::vector<LinePanel>(65);
  EXPECT_THAT(std::string(CheckFigure(figure).message()), HasSubstr("panels: 65, at most 64"));

  PiePanel pie;
  pie.shares = {{"a", -1}};
  figure.panels = std::vector<PiePanel>{pie};
  EXPECT_THAT(std::string(CheckFigure(figure).message()),
              HasSubstr("count of a: -1, allowed are 0..10^12"));

  LinePanel lines;
  lines.series.resize(1001);
  figure.panels = std::vector<LinePanel>{lines};
  EXPECT_THAT(std::string(CheckFigure(figure).message()), HasSubstr("series: 1001, at most 1000"));
}

}  // namespace
}  // namespace modlab
