#include "client/report/panel_frame.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "client/report/axis.h"
#include "client/report/canvas.h"
#include "client/report/figure.h"
#include "client/report/panel.h"

namespace modlab {
namespace {

// From one label of a vertical axis to the next, at least.
constexpr double kLabelPixels = 26;

}  // namespace

bool IsDrawn(const Ruler& ruler, double value) {
  return std::isfinite(value) && (ruler.scale == Scale::kLinear || value > 0);
}

bool HasInterval(const Estimate& estimate) {
  return std::isfinite(estimate.low) && std::isfinite(estimate.high);
}

Ruler EstimateRuler(const Axis& axis, const std::vector<Estimate>& estimates, double height) {
  const bool log = axis.scale != Scale::kLinear;
  double least = INFINITY;
  double largest = -INFINITY;
  for (const Estimate& estimate : estimates) {
    if (!std::isfinite(estimate.value) || (log && estimate.value <= 0)) continue;
    least = std::min(least, estimate.value);
    largest = std::max(largest, estimate.value);
  }
  std::vector<double> values;
  if (least <= largest) {
    const double reach = std::max(largest, 0.0) - std::min(least, 0.0);
    const double floor = log ? least / 10 : least >= 0 ? 0 : least - reach;
    const double ceiling = log ? largest * 10 : largest + reach;
    for (const Estimate& estimate : estimates) {
      values.push_back(estimate.value);
      if (!HasInterval(estimate)) continue;
      values.push_back(std::clamp(estimate.low, floor, ceiling));
      values.push_back(std::clamp(estimate.high, floor, ceiling));
    }
  }
  return MakeRuler(axis, values, static_cast<int>(height / kLabelPixels));
}

Estimate Clip(const Ruler& ruler, const Estimate& estimate) {
  Estimate clipped = estimate;
  clipped.low =
      std::clamp(HasInterval(estimate) ? estimate.low : estimate.value, ruler.min, ruler.max);
  clipped.high =
      std::clamp(HasInterval(estimate) ? estimate.high : estimate.value, ruler.min, ruler.max);
  return clipped;
}

double LabelRoom(const Ruler& ruler) {
  double room = 0;
  for (const Tick& tick : ruler.ticks) room = std::max(room, TextWidth(tick.label, kFontSize));
  return room + 12;
}

double TitleRoom(const std::string& title) { return title.empty() ? 10 : 26; }

void DrawFrame(const std::string& title, const std::string& side_label, const Box& box,
               double side_x, Canvas* canvas) {
  canvas->Text(box.left + box.width / 2, box.top - 13, title, Align::kCenter, kTitleFontSize);
  if (side_x < 0) return;
  canvas->Text(side_x, box.top + box.height / 2, side_label, Align::kCenter, kFontSize, kInk, 90);
}

void DrawNoData(const Box& box, Canvas* canvas) {
  canvas->Text(box.left + box.width / 2, box.top + box.height / 2, "no data", Align::kCenter,
               kFontSize, kFaintInk);
}

}  // namespace modlab
