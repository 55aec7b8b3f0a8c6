// A sheet to draw on: shapes and text at pixels, counted from its top left
// corner, and plots with axes. It becomes a script for gnuplot.
//
// Not thread-safe. No text can become a command: every text goes through
// GnuplotString.

#ifndef MODLAB_CLIENT_REPORT_CANVAS_H_
#define MODLAB_CLIENT_REPORT_CANVAS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/report/axis.h"
#include "client/report/palette.h"

namespace modlab {

// A rectangle; all in pixels.
struct Box {
  double left = 0;
  double top = 0;
  double width = 0;
  double height = 0;
};

enum class Align { kLeft, kCenter, kRight };

inline constexpr uint32_t kInk = 0x222222;
inline constexpr uint32_t kFaintInk = 0x666666;

// About how wide `text` will be: fonts differ.
double TextWidth(absl::string_view text, int font_size);

class Canvas {
 public:
  Canvas(double width, double height) : width_(width), height_(height) {}

  // `y` is where the middle of the line is; the text turns around (x, y). Long text
  // is cut.
  void Text(double x, double y, absl::string_view text, Align align, int font_size,
            uint32_t rgb = kInk, int angle_degrees = 0);
  void Rectangle(const Box& box, uint32_t rgb);
  void Line(double x1, double y1, double x2, double y2, uint32_t rgb, double width, bool dashed);
  void Mark(double x, double y, const Style& style);
  // Degrees run clockwise from 12 o'clock.
  void Wedge(double x, double y, double radius, double from, double to, uint32_t rgb);

  // Adds rows of numbers, and returns the name by which plots know them.
  std::string AddData(const std::vector<std::vector<double>>& rows);
  // Axes around `box` and in them `elements`, what a plot command of gnuplot's lists.
  // x without ticks gets none.
  void Plot(const Box& box, const Ruler& x, const Ruler& y,
            const std::vector<std::string>& elements);

  // The script that draws it all, shapes and text above the plots.
  std::string Script() const;

 private:
  const double width_;
  const double height_;
  int blocks_ = 0;
  std::string plots_;
  std::string overlay_;
  std::vector<std::vector<double>> rectangles_;
  std::vector<std::vector<double>> wedges_;
};

// " lc rgb '#0072B2'"
std::string LineColour(uint32_t rgb);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_CANVAS_H_
