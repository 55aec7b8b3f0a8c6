// Panels of shares, which have no axes: heat maps and pies.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/report/canvas.h"
#include "client/report/figure.h"
#include "client/report/palette.h"
#include "client/report/panel.h"
#include "client/report/panel_frame.h"
#include "client/text.h"

namespace modlab {
namespace {

constexpr uint32_t kMissing = 0xD9D9D9;
// Cells at least so large show their number; names closer than this are left out.
constexpr double kNumberPixels = 26;
constexpr double kNamePixels = 13;
// Names of columns wider than this stand upright.
constexpr double kLevelPixels = 22;
// A wedge of a smaller share has no room for its number.
constexpr double kWedgeShareMin = 0.08;

double NamesWidth(const std::vector<std::string>& names) {
  double width = 0;
  for (const std::string& name : names) width = std::max(width, TextWidth(name, kSmallFontSize));
  return width;
}

double CellPixels(const HeatPanel& panel, double width, double height) {
  return std::min({width / static_cast<double>(std::max<size_t>(panel.columns.size(), 1)),
                   height / static_cast<double>(std::max<size_t>(panel.rows.size(), 1)), 60.0});
}

// Every how many names one fits.
size_t Stride(double needed, double cell) {
  return static_cast<size_t>(std::max(1.0, std::ceil(needed / cell)));
}

void DrawCell(double value, const Box& cell, Canvas* canvas) {
  const bool exists = std::isfinite(value);
  const uint32_t rgb = exists ? HeatColour(value) : kMissing;
  canvas->Rectangle(cell, rgb);
  if (cell.width < kNumberPixels) return;
  canvas->Text(cell.left + cell.width / 2, cell.top + cell.height / 2,
               exists ? absl::StrFormat("%.2f", value) : "–", Align::kCenter, 9,
               IsDark(rgb) ? 0xFFFFFF : kInk);
}

}  // namespace

std::string SideLabel(const HeatPanel& panel) { return panel.row_label; }
std::string SideLabel(const PiePanel& /*panel*/) { return ""; }

std::vector<std::string> Names(const HeatPanel& /*panel*/) { return {}; }

std::vector<std::string> Names(const PiePanel& panel) {
  std::vector<std::string> names;
  for (const PiePanel::Share& share : panel.shares) names.push_back(share.name);
  return names;
}

Extent Measure(const HeatPanel& panel, int columns, bool with_side_label) {
  Extent extent;
  const double side = columns == 1 ? 320 : columns == 2 ? 260 : 190;
  const double cell = CellPixels(panel, side, side);
  extent.width = std::max(cell * static_cast<double>(panel.columns.size()), 60.0);
  extent.height = std::max(cell * static_cast<double>(panel.rows.size()), 60.0);
  extent.left =
      NamesWidth(panel.rows) + 10 + (with_side_label && !panel.row_label.empty() ? 18 : 0);
  extent.right = 16;
  extent.top = TitleRoom(panel.title);
  const double names = NamesWidth(panel.columns);
  extent.bottom = (names > kLevelPixels ? names + 12 : 20) + (panel.column_label.empty() ? 2 : 20);
  return extent;
}

void Draw(const HeatPanel& panel, const Box& box, double side_x, const StyleMap& /*styles*/,
          Canvas* canvas) {
  DrawFrame(panel.title, panel.row_label, box, side_x, canvas);
  if (panel.rows.empty() || panel.columns.empty()) return DrawNoData(box, canvas);
  const double cell = CellPixels(panel, box.width, box.height);
  const double right = box.left + cell * static_cast<double>(panel.columns.size());
  const double bottom = box.top + cell * static_cast<double>(panel.rows.size());
  for (size_t row = 0; row < panel.rows.size(); ++row) {
    const double top = box.top + cell * static_cast<double>(row);
    for (size_t i = 0; i < panel.columns.size(); ++i) {
      DrawCell(panel.values[row][i], {box.left + cell * static_cast<double>(i), top, cell, cell},
               canvas);
    }
    if (row % Stride(kNamePixels, cell) != 0) continue;
    canvas->Text(box.left - 6, top + cell / 2, panel.rows[row], Align::kRight, kSmallFontSize);
  }
  canvas->Line(box.left, box.top, right, box.top, kFaintInk, 0.8, false);
  canvas->Line(box.left, bottom, right, bottom, kFaintInk, 0.8, false);
  canvas->Line(box.left, box.top, box.left, bottom, kFaintInk, 0.8, false);
  canvas->Line(right, box.top, right, bottom, kFaintInk, 0.8, false);

  const double names = NamesWidth(panel.columns);
  const bool upright = names > kLevelPixels;
  const size_t stride = Stride(upright ? kNamePixels : names + 4, cell);
  for (size_t i = 0; i < panel.columns.size(); i += stride) {
    canvas->Text(box.left + cell * (static_cast<double>(i) + 0.5), bottom + (upright ? 6 : 11),
                 panel.columns[i], upright ? Align::kRight : Align::kCenter, kSmallFontSize, kInk,
                 upright ? 90 : 0);
  }
  canvas->Text((box.left + right) / 2, bottom + (upright ? names + 20 : 28), panel.column_label,
               Align::kCenter, kFontSize);
}

Extent Measure(const PiePanel& panel, int columns, bool /*with_side_label*/) {
  Extent extent;
  extent.width = extent.height = columns == 1 ? 220 : columns == 2 ? 180 : 140;
  extent.left = 20;
  extent.right = 20;
  extent.top = TitleRoom(panel.title);
  extent.bottom = 26;
  return extent;
}

void Draw(const PiePanel& panel, const Box& box, double /*side_x*/, const StyleMap& styles,
          Canvas* canvas) {
  DrawFrame(panel.title, "", box, -1, canvas);
  double total = 0;
  for (const PiePanel::Share& share : panel.shares) total += share.count;
  if (!(total > 0)) return DrawNoData(box, canvas);
  const double x = box.left + box.width / 2;
  const double y = box.top + box.height / 2;
  const double radius = std::min(box.width, box.height) / 2;
  double from = 0;
  for (const PiePanel::Share& share : panel.shares) {
    if (share.count == 0) continue;
    const double part = share.count / total;
    const double to = from + 360 * part;
    const uint32_t rgb = styles.at(share.name).rgb;
    canvas->Wedge(x, y, radius, from, to, rgb);
    if (part >= kWedgeShareMin) {
      const double middle = (from + to) / 2 * M_PI / 180;
      const double out = part == 1 ? 0 : 0.64 * radius;
      canvas->Text(x + out * std::sin(middle), y - out * std::cos(middle),
                   absl::StrFormat("%.0f%%", 100 * part), Align::kCenter, kFontSize,
                   IsDark(rgb) ? 0xFFFFFF : kInk);
    }
    from = to;
  }
  canvas->Text(x, box.top + box.height + 13, absl::StrCat("n = ", CountText(std::llround(total))),
               Align::kCenter, kSmallFontSize, kFaintInk);
}

}  // namespace modlab
