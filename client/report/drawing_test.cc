#include "client/report/drawing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace modlab {
namespace {

using testing::HasSubstr;
using testing::Not;

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// "" if every tag of `svg` is closed in its order, else where it is not.
std::string Unbalanced(absl::string_view svg) {
  std::vector<std::string> open;
  for (size_t at = svg.find('<'); at != absl::string_view::npos; at = svg.find('<', at + 1)) {
    const size_t end = svg.find('>', at);
    if (end == absl::string_view::npos) return "a tag without an end";
    const absl::string_view tag = svg.substr(at + 1, end - at - 1);
    const std::string name(tag.substr(0, tag.find_first_of(" \n\t")));
    if (absl::StartsWith(tag, "?") || absl::EndsWith(tag, "/")) continue;
    if (!absl::StartsWith(name, "/")) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name.substr(1)) {
      return "unexpected " + name;
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : "not closed: " + open.back();
}

// The picture, checked for what all pictures have.
std::string Render(const Figure& figure) {
  const auto svg = RenderSvg(figure);
  EXPECT_TRUE(svg.ok()) << svg.status();
  if (!svg.ok()) return "";
  EXPECT_THAT(*svg, HasSubstr("<svg"));
  EXPECT_EQ(Unbalanced(*svg), "");
  return *svg;
}

std::string TextOf(const std::string& content) { return "<text>" + content + "</text>"; }

LinePanel Lines(const std::string& title) {
  LinePanel panel;
  panel.title = title;
  panel.x = {"Number of rules", Scale::kLog2, {}, {}};
  panel.y = {"Error", Scale::kLinear, {}, {}};
  for (const char* name : {"monolithic", "modular"}) {
    LinePanel::Series series;
    series.name = name;
    for (double x = 2; x <= 32; x *= 2) series.points.push_back({x, {x / 10, x / 12, x / 8, 4}});
    panel.series.push_back(series);
  }
  return panel;
}

template <typename Panel>
Figure FigureOf(std::vector<Panel> panels) {
  Figure figure;
  figure.title = "A figure";
  figure.panels = std::move(panels);
  return figure;
}

TEST(DrawingTest, PanelsShareOneLegendAndSayEachLabelWhereItIsNeeded) {
  const std::string svg =
      Render(FigureOf<LinePanel>({Lines("MLP"), Lines("MHA"), Lines("RNN"), Lines("all")}));
  for (const char* title : {"MLP", "MHA", "RNN", "all"}) {
    EXPECT_EQ(Count(svg, TextOf(title)), 1) << title;
  }
  EXPECT_EQ(Count(svg, TextOf("monolithic")), 1);
  EXPECT_EQ(Count(svg, TextOf("modular")), 1);
  EXPECT_EQ(Count(svg, TextOf("Number of rules")), 4);
  EXPECT_EQ(Count(svg, TextOf("Error")), 2);  // at the left of both rows
  EXPECT_EQ(Count(svg, TextOf("32")), 4);
  EXPECT_EQ(Count(svg, "fill-opacity = '0.17"), 8);  // a band a series and panel
  EXPECT_EQ(Count(svg, "<title>"), 1);
  EXPECT_THAT(svg, HasSubstr("<title>A figure</title>"));
}

TEST(DrawingTest, AMissingPointPartsItsLine) {
  LinePanel panel = Lines("");
  panel.series.resize(1);
  EXPECT_EQ(Count(Render(FigureOf<LinePanel>({panel})), "fill-opacity = '0.17"), 1);
  panel.series[0].points[2].y.value = kNoNumber;
  EXPECT_EQ(Count(Render(FigureOf<LinePanel>({panel})), "fill-opacity = '0.17"), 2);
}

TEST(DrawingTest, IntervalsMayBeBars) {
  LinePanel panel = Lines("");
  panel.interval = Interval::kBar;
  EXPECT_EQ(Count(Render(FigureOf<LinePanel>({panel})), "fill-opacity = '0.17"), 0);
}

TEST(DrawingTest, WhatHasNoPlaceOnALogarithmicAxisIsLeftOut) {
  LinePanel panel = Lines("");
  panel.y.scale = Scale::kLog10;
  panel.series[0].points[0].y = {0.5, -3, 1e9, 2};
  panel.series[0].points[1].y = {0, 0, 0, 2};
  panel.series[1].points[1].y = {-1, -2, 3, 2};
  Render(FigureOf<LinePanel>({panel}));
}

TEST(DrawingTest, BarsHaveCategoriesAndALegend) {
  BarPanel panel;
  panel.title = "MLP";
  panel.category_label = "Metric";
  panel.y.label = "Value";
  panel.categories = {"collapse_avg", "a category whose name is much too long for its bars"};
  panel.series = {{"modular", {{0.5, 0.4, 0.6, 3}, {0.7, 0.6, 0.8, 3}}},
                  {"random", {{0.875, kNoNumber, kNoNumber, {}}, {}}}};
  const std::string svg = Render(FigureOf<BarPanel>({panel, panel}));
  EXPECT_EQ(Count(svg, TextOf("collapse_avg")), 2);
  EXPECT_EQ(Count(svg, TextOf(panel.categories[1])), 2);
  EXPECT_EQ(Count(svg, TextOf("modular")), 1);
  EXPECT_EQ(Count(svg, TextOf("random")), 1);
  EXPECT_EQ(Count(svg, TextOf("Metric")), 2);
  EXPECT_EQ(Count(svg, TextOf("Value")), 1);
}

TEST(DrawingTest, HeatMapsTellTheirNumbersAndWhatIsMissing) {
  HeatPanel panel;
  panel.title = "modular";
  panel.row_label = "Rule";
  panel.column_label = "Module";
  panel.rows = {"first rule", "second rule"};
  panel.columns = {"m0", "m1"};
  panel.values = {{0.125, 1}, {kNoNumber, 0}};
  const std::string svg = Render(FigureOf<HeatPanel>({panel}));
  for (const char* text : {"modular", "Rule", "Module", "first rule", "second rule", "m0", "m1",
                           "0.12", "1.00", "0.00", "–"}) {
    EXPECT_EQ(Count(svg, TextOf(text)), 1) << text;
  }
}

TEST(DrawingTest, PiesTellShares) {
  PiePanel panel;
  panel.title = "Best";
  panel.shares = {{"modular", 1}, {"modular_op", 3}, {"monolithic", 0}};
  PiePanel whole;
  whole.shares = {{"modular_op", 1234}};
  const std::string svg = Render(FigureOf<PiePanel>({panel, whole}));
  for (const char* text :
       {"25%", "75%", "100%", "n = 4", "n = 1,234", "modular_op", "monolithic"}) {
    EXPECT_EQ(Count(svg, TextOf(text)), 1) << text;
  }
}

TEST(DrawingTest, WithoutDataThePictureSaysSo) {
  EXPECT_EQ(Count(Render(Figure()), TextOf("no data")), 1);
  EXPECT_EQ(Count(Render(FigureOf<LinePanel>({{}, Lines("")})), TextOf("no data")), 1);
  EXPECT_EQ(Count(Render(FigureOf<BarPanel>({{}, {}})), TextOf("no data")), 2);
  EXPECT_EQ(Count(Render(FigureOf<HeatPanel>({{}})), TextOf("no data")), 1);
  EXPECT_EQ(Count(Render(FigureOf<PiePanel>({{}})), TextOf("no data")), 1);
}

TEST(DrawingTest, NoNameCanBecomeACommandOrATag) {
  const std::string evil = "'\"\n`echo pwned` $data1 <script>x</script> \\";
  const std::string shown = "'\" `echo pwned` $data1 &lt;script>x&lt;/script> \\";
  LinePanel panel = Lines(evil);
  panel.x.label = evil;
  panel.y.label = evil;
  panel.series[0].name = evil;
  Figure figure = FigureOf<LinePanel>({panel});
  figure.title = evil;
  const std::string svg = Render(figure);
  EXPECT_EQ(Count(svg, shown), 4);
  EXPECT_THAT(svg, Not(HasSubstr("<script")));

  BarPanel bars;
  bars.categories = {evil};
  bars.series = {{evil, {Estimate{1}}}};
  EXPECT_EQ(Count(Render(FigureOf<BarPanel>({bars})), shown), 2);
  HeatPanel heat;
  heat.rows = {evil};
  heat.columns = {evil};
  heat.values = {{1}};
  EXPECT_EQ(Count(Render(FigureOf<HeatPanel>({heat})), shown), 2);
  PiePanel pie;
  pie.shares = {{evil, 1}};
  EXPECT_EQ(Count(Render(FigureOf<PiePanel>({pie})), shown), 1);
}

TEST(DrawingTest, ExtremeNumbersAreDrawn) {
  LinePanel panel;
  panel.series = {{"a", {{-1e300, {1e-300, 0, 1e300, 2}}, {1e300, {2e-300, 1e-300, 3e-300, 2}}}}};
  Render(FigureOf<LinePanel>({panel}));
  panel.x.scale = Scale::kLog10;
  panel.y.scale = Scale::kLog10;
  Render(FigureOf<LinePanel>({panel}));
  panel.x.scale = Scale::kLog2;
  panel.series = {{"a", {{5e-324, {5e-324, {}, {}, {}}}, {1e308, {1.7e308, {}, {}, {}}}}}};
  Render(FigureOf<LinePanel>({panel}));
}

TEST(DrawingTest, AFigureThatDoesNotFitTogetherIsRefused) {
  HeatPanel panel;
  panel.rows = {"0"};
  EXPECT_EQ(RenderSvg(FigureOf<HeatPanel>({panel})).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(DrawingTest, WithoutGnuplotTheErrorNamesTheFigureAndThePackage) {
  const std::string path = std::getenv("PATH");
  setenv("PATH", "", 1);
  const auto svg = RenderSvg(FigureOf<LinePanel>({Lines("MLP")}));
  setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(svg.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(svg.status().message()), HasSubstr("cannot draw figure \"A figure\""));
  EXPECT_THAT(std::string(svg.status().message()), HasSubstr("gnuplot-nox"));
}

}  // namespace
}  // namespace modlab
