// Panels with axes: lines and bars.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/report/axis.h"
#include "client/report/canvas.h"
#include "client/report/figure.h"
#include "client/report/panel.h"
#include "client/report/panel_frame.h"

namespace modlab {
namespace {

// Lines of more points than this show no marks.
constexpr size_t kMarksMax = 24;
// Of a category's width, what its bars fill.
constexpr double kGroupShare = 0.8;
constexpr double kBarPixels = 11;
constexpr int kCategoryAngle = 35;

Extent PlotExtent(int columns) {
  Extent extent;
  extent.width = columns == 1 ? 460 : columns == 2 ? 330 : 235;
  extent.height = columns == 1 ? 290 : columns == 2 ? 215 : 165;
  extent.right = 16;
  return extent;
}

Ruler XRuler(const LinePanel& panel, double width) {
  std::vector<double> values;
  for (const auto& series : panel.series) {
    for (const auto& point : series.points) values.push_back(point.x);
  }
  return MakeRuler(panel.x, values, static_cast<int>(width / 45));
}

Ruler YRuler(const LinePanel& panel, double height) {
  std::vector<Estimate> estimates;
  for (const auto& series : panel.series) {
    for (const auto& point : series.points) estimates.push_back(point.y);
  }
  return EstimateRuler(panel.y, estimates, height);
}

Ruler YRuler(const BarPanel& panel, double height) {
  std::vector<Estimate> estimates;
  for (const auto& series : panel.series) {
    estimates.insert(estimates.end(), series.values.begin(), series.values.end());
  }
  Axis axis = panel.y;
  Ruler ruler = EstimateRuler(axis, estimates, height);
  if (axis.scale == Scale::kLinear && (ruler.min > 0 || ruler.max < 0)) {
    // Bars stand on 0.
    if (ruler.min > 0 && !axis.min.has_value()) axis.min = 0;
    if (ruler.max < 0 && !axis.max.has_value()) axis.max = 0;
    ruler = EstimateRuler(axis, estimates, height);
  }
  return ruler;
}

double CategoryWidth(const BarPanel& panel) {
  double width = 0;
  for (const std::string& name : panel.categories) {
    width = std::max(width, TextWidth(name, kFontSize));
  }
  return width;
}

// Whether the names of categories, with `pitch` pixels each, have to be turned.
bool IsTurned(const BarPanel& panel, double pitch) { return CategoryWidth(panel) + 6 > pitch; }

// The room that they take below the plot.
double CategoryRoom(const BarPanel& panel, double pitch) {
  if (!IsTurned(panel, pitch)) return 24;
  return 18 + CategoryWidth(panel) * std::sin(kCategoryAngle * M_PI / 180);
}

using Rows = std::vector<std::vector<double>>;  // each x, y, low, high

// What is drawn of one series: its points, parted where one does not exist.
std::vector<Rows> Runs(const LinePanel::Series& series, const Ruler& x, const Ruler& y) {
  std::vector<Rows> runs;
  bool open = false;
  for (const LinePanel::Point& point : series.points) {
    const bool drawn = IsDrawn(x, point.x) && IsDrawn(y, point.y.value);
    if (drawn) {
      if (!open) runs.emplace_back();
      const Estimate estimate = Clip(y, point.y);
      runs.back().push_back({point.x, estimate.value, estimate.low, estimate.high});
    }
    open = drawn;
  }
  return runs;
}

Rows IntervalRows(const LinePanel::Series& series, const Ruler& x, const Ruler& y) {
  Rows rows;
  for (const LinePanel::Point& point : series.points) {
    if (!IsDrawn(x, point.x) || !IsDrawn(y, point.y.value) || !HasInterval(point.y)) continue;
    const Estimate estimate = Clip(y, point.y);
    rows.push_back({point.x, estimate.value, estimate.low, estimate.high});
  }
  return rows;
}

// Plain lines: gnuplot's error bars keep clear of their points.
std::string Intervals(const std::string& data, uint32_t rgb) {
  return absl::StrCat(data, " using 1:3:(0):($4-$3) with vectors nohead lw 1 dt solid",
                      LineColour(rgb));
}

}  // namespace

std::string SideLabel(const LinePanel& panel) { return panel.y.label; }
std::string SideLabel(const BarPanel& panel) { return panel.y.label; }

std::vector<std::string> Names(const LinePanel& panel) {
  std::vector<std::string> names;
  for (const auto& series : panel.series) names.push_back(series.name);
  return names;
}

std::vector<std::string> Names(const BarPanel& panel) {
  std::vector<std::string> names;
  for (const auto& series : panel.series) names.push_back(series.name);
  return names;
}

Extent Measure(const LinePanel& panel, int columns, bool with_side_label) {
  Extent extent = PlotExtent(columns);
  extent.left = LabelRoom(YRuler(panel, extent.height)) +
                (with_side_label && !panel.y.label.empty() ? 20 : 0);
  extent.top = TitleRoom(panel.title);
  extent.bottom = panel.x.label.empty() ? 24 : 40;
  return extent;
}

Extent Measure(const BarPanel& panel, int columns, bool with_side_label) {
  Extent extent = PlotExtent(columns);
  const double categories = static_cast<double>(panel.categories.size());
  const double bars = static_cast<double>(panel.series.size()) / kGroupShare;
  extent.width = std::clamp(categories * bars * kBarPixels, extent.width, 6 * extent.width);
  extent.left = LabelRoom(YRuler(panel, extent.height)) +
                (with_side_label && !panel.y.label.empty() ? 20 : 0);
  extent.top = TitleRoom(panel.title);
  const double pitch = extent.width / std::max(categories, 1.0);
  if (IsTurned(panel, pitch)) {
    // The first name must not leave the picture.
    const double name = CategoryWidth(panel) * std::cos(kCategoryAngle * M_PI / 180);
    extent.left = std::max(extent.left, name - pitch / 2);
  }
  extent.bottom = CategoryRoom(panel, pitch) + (panel.category_label.empty() ? 0 : 16);
  return extent;
}

void Draw(const LinePanel& panel, const Box& box, double side_x, const StyleMap& styles,
          Canvas* canvas) {
  const Ruler x = XRuler(panel, box.width);
  const Ruler y = YRuler(panel, box.height);
  std::vector<std::string> shades;
  std::vector<std::string> bars;
  std::vector<std::string> lines;
  for (const LinePanel::Series& series : panel.series) {
    const Style& style = styles.at(series.name);
    const std::string colour = LineColour(style.rgb);
    for (const Rows& run : Runs(series, x, y)) {
      const std::string data = canvas->AddData(run);
      if (panel.interval == Interval::kBand && run.size() > 1) {
        shades.push_back(absl::StrCat(
            data, " using 1:3:4 with filledcurves fs transparent solid 0.17 noborder", colour));
      } else if (panel.interval == Interval::kBand) {
        bars.push_back(Intervals(data, style.rgb));
      }
      lines.push_back(absl::StrCat(data, " using 1:2 with lines lw 1.8",
                                   style.dashed ? " dt (6,4)" : " dt solid", colour));
      if (series.points.size() > kMarksMax && run.size() > 1) continue;
      lines.push_back(
          absl::StrCat(data, " using 1:2 with points pt ", style.mark, " ps 0.55", colour));
    }
    if (panel.interval != Interval::kBar) continue;
    const auto rows = IntervalRows(series, x, y);
    if (!rows.empty()) bars.push_back(Intervals(canvas->AddData(rows), style.rgb));
  }
  std::vector<std::string> elements = shades;
  elements.insert(elements.end(), bars.begin(), bars.end());
  elements.insert(elements.end(), lines.begin(), lines.end());
  canvas->Plot(box, x, y, elements);
  if (elements.empty()) DrawNoData(box, canvas);
  DrawFrame(panel.title, panel.y.label, box, side_x, canvas);
  canvas->Text(box.left + box.width / 2, box.top + box.height + 30, panel.x.label, Align::kCenter,
               kFontSize);
}

void Draw(const BarPanel& panel, const Box& box, double side_x, const StyleMap& styles,
          Canvas* canvas) {
  const Ruler y = YRuler(panel, box.height);
  const size_t categories = panel.categories.size();
  Ruler x;
  x.min = -0.5;
  x.max = std::max(static_cast<double>(categories), 1.0) - 0.5;
  const double width = kGroupShare / static_cast<double>(std::max<size_t>(panel.series.size(), 1));
  const double base = std::clamp(y.scale == Scale::kLinear ? 0.0 : y.min, y.min, y.max);
  std::vector<std::string> elements;
  std::vector<std::vector<double>> intervals;
  for (size_t i = 0; i < panel.series.size(); ++i) {
    const BarPanel::Series& series = panel.series[i];
    std::vector<std::vector<double>> rows;
    for (size_t category = 0; category < categories; ++category) {
      const Estimate& value = series.values[category];
      if (!IsDrawn(y, value.value)) continue;
      const double left =
          static_cast<double>(category) - kGroupShare / 2 + width * static_cast<double>(i);
      const double top = std::clamp(value.value, y.min, y.max);
      rows.push_back({left + width / 2, top, left, left + width, base, top});
      if (!HasInterval(value)) continue;
      const Estimate estimate = Clip(y, value);
      intervals.push_back({left + width / 2, top, estimate.low, estimate.high});
    }
    if (rows.empty()) continue;
    elements.push_back(
        absl::StrCat(canvas->AddData(rows),
                     " using 1:2:3:4:5:6 with boxxyerror fs solid border lc rgb '#FFFFFF'",
                     LineColour(styles.at(series.name).rgb)));
  }
  if (!intervals.empty()) elements.push_back(Intervals(canvas->AddData(intervals), kInk));
  canvas->Plot(box, x, y, elements);
  if (elements.empty()) DrawNoData(box, canvas);
  DrawFrame(panel.title, panel.y.label, box, side_x, canvas);

  const double pitch = box.width / static_cast<double>(std::max<size_t>(categories, 1));
  const bool turned = IsTurned(panel, pitch);
  for (size_t i = 0; i < categories; ++i) {
    canvas->Text(box.left + (static_cast<double>(i) + 0.5) * pitch, box.top + box.height + 12,
                 panel.categories[i], turned ? Align::kRight : Align::kCenter, kFontSize, kInk,
                 turned ? kCategoryAngle : 0);
  }
  canvas->Text(box.left + box.width / 2, box.top + box.height + CategoryRoom(panel, pitch) + 6,
               panel.category_label, Align::kCenter, kFontSize);
}

}  // namespace modlab
