// One panel of a figure: how much room it takes, and drawing it.
//
// Not thread-safe.

#ifndef MODLAB_CLIENT_REPORT_PANEL_H_
#define MODLAB_CLIENT_REPORT_PANEL_H_

#include <map>
#include <string>
#include <vector>

#include "client/report/canvas.h"
#include "client/report/figure.h"
#include "client/report/palette.h"

namespace modlab {

inline constexpr int kFontSize = 11;
inline constexpr int kSmallFontSize = 10;
inline constexpr int kTitleFontSize = 12;

// The styles of all names in a figure.
using StyleMap = std::map<std::string, Style>;

// The plot itself, and the room for text on its sides; all in pixels.
struct Extent {
  double width = 0;
  double height = 0;
  double left = 0;
  double right = 0;
  double top = 0;
  double bottom = 0;
};

// What stands at the left of a panel, "" if nothing.
std::string SideLabel(const LinePanel& panel);
std::string SideLabel(const BarPanel& panel);
std::string SideLabel(const HeatPanel& panel);
std::string SideLabel(const PiePanel& panel);

// The names that a legend explains.
std::vector<std::string> Names(const LinePanel& panel);
std::vector<std::string> Names(const BarPanel& panel);
std::vector<std::string> Names(const HeatPanel& panel);
std::vector<std::string> Names(const PiePanel& panel);

// `columns` is how many panels stand side by side; with_side_label, whether the
// panel shows its SideLabel.
Extent Measure(const LinePanel& panel, int columns, bool with_side_label);
Extent Measure(const BarPanel& panel, int columns, bool with_side_label);
Extent Measure(const HeatPanel& panel, int columns, bool with_side_label);
Extent Measure(const PiePanel& panel, int columns, bool with_side_label);

// Draws the panel with its plot in `box`, `side_x` being the middle of the side
// label, if it is to be shown (not below 0).
void Draw(const LinePanel& panel, const Box& box, double side_x, const StyleMap& styles,
          Canvas* canvas);
void Draw(const BarPanel& panel, const Box& box, double side_x, const StyleMap& styles,
          Canvas* canvas);
void Draw(const HeatPanel& panel, const Box& box, double side_x, const StyleMap& styles,
          Canvas* canvas);
void Draw(const PiePanel& panel, const Box& box, double side_x, const StyleMap& styles,
          Canvas* canvas);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_PANEL_H_
