#include "client/report/drawing.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/report/canvas.h"
#include "client/report/figure.h"
#include "client/report/gnuplot.h"
#include "client/report/markup.h"
#include "client/report/palette.h"
#include "client/report/panel.h"

namespace modlab {
namespace {

constexpr double kMargin = 6;
constexpr double kRowGap = 8;
constexpr double kLegendLine = 20;
constexpr double kSwatch = 24;
constexpr double kWidthMin = 240;

// One line of a legend: a sample and a name, side by side.
struct Legend {
  bool lines = false;  // samples are lines with marks, else squares
  std::vector<std::string> names;
  StyleMap styles;
  // Where each name stands; the whole takes `height` pixels.
  std::vector<double> left;
  std::vector<double> top;
  double height = 0;

  double EntryWidth(size_t i) const { return kSwatch + 6 + TextWidth(names[i], kFontSize) + 18; }

  // Breaks the names into lines no wider than `width`, each in the middle.
  void Arrange(double width) {
    left.assign(names.size(), 0);
    top.assign(names.size(), 0);
    height = 0;
    for (size_t begin = 0; begin < names.size();) {
      size_t end = begin;
      double used = 0;
      while (end < names.size() && (end == begin || used + EntryWidth(end) <= width)) {
        used += EntryWidth(end++);
      }
      double x = std::max(kMargin, (width - used) / 2 + kMargin);
      for (; begin < end; ++begin) {
        left[begin] = x;
        top[begin] = height;
        x += EntryWidth(begin);
      }
      height += kLegendLine;
    }
  }

  void Draw(Canvas* canvas) const {
    for (size_t i = 0; i < names.size(); ++i) {
      const Style& style = styles.at(names[i]);
      const double y = kMargin + top[i] + kLegendLine / 2;
      if (lines) {
        canvas->Line(left[i], y, left[i] + kSwatch, y, style.rgb, 1.8, style.dashed);
        canvas->Mark(left[i] + kSwatch / 2, y, style);
      } else {
        canvas->Rectangle({left[i] + kSwatch - 12, y - 6, 12, 12}, style.rgb);
      }
      canvas->Text(left[i] + kSwatch + 6, y, names[i], Align::kLeft, kFontSize);
    }
  }
};

// The names of all panels in the order of their first appearance.
template <typename Panel>
Legend MakeLegend(const std::vector<Panel>& panels) {
  Legend legend;
  legend.lines = std::is_same_v<Panel, LinePanel>;
  for (const Panel& panel : panels) {
    for (const std::string& name : Names(panel)) {
      if (!legend.styles.emplace(name, Style()).second) continue;
      legend.names.push_back(name);
    }
  }
  const std::vector<Style> styles = MakeStyles(legend.names);
  for (size_t i = 0; i < styles.size(); ++i) legend.styles[legend.names[i]] = styles[i];
  // What has no name needs no explanation.
  legend.names.erase(std::remove(legend.names.begin(), legend.names.end(), ""), legend.names.end());
  return legend;
}

// The scale of shades, in the middle above heat maps.
void DrawHeatScale(double width, Canvas* canvas) {
  constexpr int kSteps = 60;
  constexpr double kStep = 2;
  const double left = (width - kSteps * kStep) / 2;
  const double top = kMargin + 4;
  for (int i = 0; i < kSteps; ++i) {
    canvas->Rectangle({left + i * kStep, top, kStep, 11}, HeatColour((i + 0.5) / kSteps));
  }
  const double right = left + kSteps * kStep;
  canvas->Line(left, top, right, top, kFaintInk, 0.6, false);
  canvas->Line(left, top + 11, right, top + 11, kFaintInk, 0.6, false);
  canvas->Line(left, top, left, top + 11, kFaintInk, 0.6, false);
  canvas->Line(right, top, right, top + 11, kFaintInk, 0.6, false);
  canvas->Text(left - 6, top + 5.5, "0", Align::kRight, kSmallFontSize);
  canvas->Text(right + 6, top + 5.5, "1", Align::kLeft, kSmallFontSize);
}

// Columns and rows of panels: as wide and high as their largest panel.
struct Grid {
  size_t columns = 1;
  std::vector<bool> with_side_label;  // a panel
  std::vector<Extent> column;         // only width, left and right
  std::vector<Extent> row;            // only height, top and bottom
  std::vector<Extent> panels;
};

template <typename Panel>
Grid MakeGrid(const std::vector<Panel>& panels, int columns) {
  Grid grid;
  grid.columns = std::min<size_t>(static_cast<size_t>(std::clamp(columns, 1, 64)), panels.size());
  grid.column.resize(grid.columns);
  grid.row.resize((panels.size() + grid.columns - 1) / grid.columns);
  for (size_t i = 0; i < panels.size(); ++i) {
    // A label that the panel to the left shows is not said again.
    const bool first = i % grid.columns == 0;
    const std::string label = SideLabel(panels[i]);
    grid.with_side_label.push_back(!label.empty() && (first || SideLabel(panels[i - 1]) != label));
    const Extent extent =
        Measure(panels[i], static_cast<int>(grid.columns), grid.with_side_label.back());
    grid.panels.push_back(extent);
    Extent& column = grid.column[i % grid.columns];
    column.width = std::max(column.width, extent.width);
    column.left = std::max(column.left, extent.left);
    column.right = std::max(column.right, extent.right);
    Extent& row = grid.row[i / grid.columns];
    row.height = std::max(row.height, extent.height);
    row.top = std::max(row.top, extent.top);
    row.bottom = std::max(row.bottom, extent.bottom);
  }
  return grid;
}

template <typename Panel>
std::string MakeScript(const std::vector<Panel>& panels, int columns) {
  if (panels.empty()) {
    Canvas canvas(kWidthMin, 60);
    canvas.Text(kWidthMin / 2, 30, "no data", Align::kCenter, kFontSize, kFaintInk);
    return canvas.Script();
  }
  const Grid grid = MakeGrid(panels, columns);
  double width = 2 * kMargin;
  for (const Extent& column : grid.column) width += column.left + column.width + column.right;
  Legend legend = MakeLegend(panels);
  double width_min = kWidthMin;
  for (size_t i = 0; i < legend.names.size(); ++i) {
    width_min = std::max(width_min, legend.EntryWidth(i) + 2 * kMargin);
  }
  const double indent = std::max(0.0, (width_min - width) / 2);
  width = std::max(width, width_min);
  legend.Arrange(width - 2 * kMargin);
  constexpr bool kHeat = std::is_same_v<Panel, HeatPanel>;
  const double legend_height = kHeat ? kLegendLine : legend.height;
  double height = 2 * kMargin + legend_height;
  for (const Extent& row : grid.row) height += row.top + row.height + row.bottom + kRowGap;
  height -= kRowGap;

  Canvas canvas(width, height);
  if (kHeat) DrawHeatScale(width, &canvas);
  legend.Draw(&canvas);
  double top = kMargin + legend_height;
  for (size_t row = 0; row < grid.row.size(); ++row) {
    double left = kMargin + indent;
    for (size_t i = 0; i < grid.columns; ++i) {
      const size_t index = row * grid.columns + i;
      if (index >= panels.size()) break;
      const Extent& extent = grid.panels[index];
      const Extent& column = grid.column[i];
      Draw(panels[index],
           {left + column.left, top + grid.row[row].top, extent.width, extent.height},
           grid.with_side_label[index] ? left + column.left - extent.left + 8 : -1, legend.styles,
           &canvas);
      left += column.left + column.width + column.right;
    }
    top += grid.row[row].top + grid.row[row].height + grid.row[row].bottom + kRowGap;
  }
  return canvas.Script();
}

}  // namespace

absl::StatusOr<std::string> RenderSvg(const Figure& figure) {
  if (const auto status = CheckFigure(figure); !status.ok()) return status;
  const std::string script = std::visit(
      [&](const auto& panels) { return MakeScript(panels, figure.columns); }, figure.panels);
  const auto svg = RunGnuplot(script);
  if (!svg.ok()) {
    return absl::Status(svg.status().code(), absl::StrCat("cannot draw figure \"", figure.title,
                                                          "\": ", svg.status().message()));
  }
  return TidySvg(*svg, figure.title);
}

}  // namespace modlab
