#include "client/report/axis.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace modlab {
namespace {

// Beyond this an axis does not go.
constexpr double kLargest = 1e300;
// Room between the outermost value and the end of the axis, in axis lengths.
constexpr double kPadding = 0.05;
// A linear axis whose least value is below this share of the largest begins at 0.
constexpr double kNearZero = 0.5;

std::string Superscript(int number) {
  static const char* const kDigits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text;
  for (const char c : absl::StrCat(number)) {
    text += c == '-' ? "⁻" : kDigits[c - '0'];
  }
  return text;
}

// `value` in decimals enough for multiples of `step`, in the unit (k, M, powers
// of ten) that suits numbers as large as `largest`.
std::string Label(double value, double step, double largest) {
  if (value == 0) return "0";
  double unit = 1;
  std::string suffix;
  if (largest >= 1e9 || largest < 1e-4) {
    const int power = static_cast<int>(std::floor(std::log10(largest) + 1e-9));
    unit = std::pow(10.0, power);
    suffix = absl::StrCat("×10", Superscript(power));
    if (std::abs(value / unit - 1) < 1e-9) return absl::StrCat("10", Superscript(power));
  } else if (largest >= 1e6) {
    unit = 1e6;
    suffix = "M";
  } else if (largest >= 1e4) {
    unit = 1e3;
    suffix = "k";
  }
  const double digits = -std::floor(std::log10(step / unit) + 1e-9);
  return absl::StrCat(
      absl::StrFormat("%.*f", static_cast<int>(std::clamp(digits, 0.0, 12.0)), value / unit),
      suffix);
}

// Multiples of 1, 2 or 5 times a power of ten.
std::vector<Tick> LinearTicks(double min, double max, int ticks_max) {
  const double rough = (max - min) / ticks_max;
  double step = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {2.0, 2.5, 2.0}) {
    if (step >= rough * (1 - 1e-9)) break;
    step *= factor;
  }
  std::vector<Tick> ticks;
  const double largest = std::max(std::abs(min), std::abs(max));
  const double first = std::ceil(min / step - 1e-9);
  const double last = std::floor(max / step + 1e-9);
  for (int i = 0; first + i <= last && i <= 2 * ticks_max; ++i) {
    ticks.push_back({(first + i) * step, Label((first + i) * step, step, largest)});
  }
  return ticks;
}

// Every how many powers from `first` to `last` there is room for a label.
int Stride(int first, int last, int ticks_max) {
  return std::max(1, (last - first + ticks_max) / ticks_max);
}

std::vector<Tick> Log2Ticks(double min, double max, int ticks_max) {
  const int first = static_cast<int>(std::ceil(std::log2(min) - 1e-9));
  const int last = static_cast<int>(std::floor(std::log2(max) + 1e-9));
  const int stride = Stride(first, last, ticks_max);
  std::vector<Tick> ticks;
  for (int power = first; power <= last; ++power) {
    if (power % stride != 0) continue;
    const double at = std::exp2(power);
    ticks.push_back({at, absl::StrFormat("%.10g", at)});
  }
  return ticks;
}

std::vector<Tick> Log10Ticks(double min, double max, int ticks_max) {
  const int first = static_cast<int>(std::floor(std::log10(min) + 1e-9));
  const int last = static_cast<int>(std::floor(std::log10(max) + 1e-9));
  const bool few = std::log10(max) - std::log10(min) < 1.7;
  const int whole = static_cast<int>(std::ceil(std::log10(min) - 1e-9));
  const int stride = Stride(whole, last, ticks_max);
  std::vector<Tick> ticks;
  for (int power = first; power <= last; ++power) {
    const double decade = std::pow(10.0, power);
    for (int digit = 1; digit <= 9; ++digit) {
      if (stride > 1 && digit > 1) break;
      const double at = digit * decade;
      if (at < min * (1 - 1e-9) || at > max * (1 + 1e-9)) continue;
      const bool major =
          few ? digit == 1 || digit == 2 || digit == 5 : digit == 1 && power % stride == 0;
      ticks.push_back({at, major ? Label(at, decade, at) : ""});
    }
  }
  return ticks;
}

// The stretch to show on a line where equal distances look equal: the numbers
// themselves, or their logarithms.
std::pair<double, double> Stretch(const std::vector<double>& values, bool log) {
  double low = INFINITY;
  double high = -INFINITY;
  for (double value : values) {
    if (log) value = value > 0 ? std::log(value) : NAN;
    if (!std::isfinite(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (low > high) return {0, log ? std::log(10.0) : 1};
  if (high - low <= 1e-9 * std::abs(high)) {
    const double around = log ? std::log(2.0) : high == 0 ? 0.5 : std::abs(high) / 2;
    return {low - around, high + around};
  }
  const double padding = kPadding * (high - low);
  if (!log && low >= 0 && low < kNearZero * high) return {0, high + padding};
  return {!log && low >= 0 ? std::max(0.0, low - padding) : low - padding, high + padding};
}

bool IsLimit(const std::optional<double>& limit, bool log) {
  return limit.has_value() && std::isfinite(*limit) && (!log || *limit > 0);
}

}  // namespace

Ruler MakeRuler(const Axis& axis, const std::vector<double>& values, int ticks_max) {
  const bool log = axis.scale != Scale::kLinear;
  const auto [low, high] = Stretch(values, log);
  Ruler ruler;
  ruler.scale = axis.scale;
  ruler.min = IsLimit(axis.min, log) ? *axis.min : log ? std::exp(low) : low;
  ruler.max = IsLimit(axis.max, log) ? *axis.max : log ? std::exp(high) : high;
  // gnuplot computes with the ends: they must be far from where numbers end.
  ruler.min = std::clamp(ruler.min, log ? 1 / kLargest : -kLargest, kLargest / 2);
  ruler.max = std::clamp(ruler.max, log ? 1 / kLargest : -kLargest, kLargest);
  if (!(ruler.max > ruler.min)) {
    ruler.max = log ? 2 * ruler.min : ruler.min + std::max(1.0, std::abs(ruler.min));
  }

  if (axis.scale == Scale::kLog2) ruler.ticks = Log2Ticks(ruler.min, ruler.max, ticks_max);
  if (axis.scale == Scale::kLog10) ruler.ticks = Log10Ticks(ruler.min, ruler.max, ticks_max);
  const auto labels = std::count_if(ruler.ticks.begin(), ruler.ticks.end(),
                                    [](const Tick& tick) { return !tick.label.empty(); });
  // On a short stretch a logarithmic axis has no round powers to show.
  if (labels < 2) ruler.ticks = LinearTicks(ruler.min, ruler.max, ticks_max);
  return ruler;
}

}  // namespace modlab
