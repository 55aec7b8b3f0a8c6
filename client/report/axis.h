// Axes of plots: which stretch of numbers they show, and where ticks stand.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_REPORT_AXIS_H_
#define MODLAB_CLIENT_REPORT_AXIS_H_

#include <optional>
#include <string>
#include <vector>

namespace modlab {

enum class Scale { kLinear, kLog2, kLog10 };

struct Axis {
  std::string label;
  Scale scale = Scale::kLinear;
  // Where the axis ends; chosen from the data where not given, or not positive
  // on a logarithmic scale.
  std::optional<double> min;
  std::optional<double> max;
};

struct Tick {
  double at = 0;
  // "" for a minor tick.
  std::string label;
};

// An axis with its data known: min < max, and ticks between them in rising order.
struct Ruler {
  Scale scale = Scale::kLinear;
  double min = 0;
  double max = 1;
  std::vector<Tick> ticks;
};

// The ruler that shows all of `values` and a little more, with about `ticks_max`
// labels at most. What is not finite, or not positive on a logarithmic scale,
// does not count; without any value it is 0..1, or 1..10 if logarithmic. A linear
// axis begins at 0 rather than a little above, and never below where no value is.
Ruler MakeRuler(const Axis& axis, const std::vector<double>& values, int ticks_max);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_AXIS_H_
