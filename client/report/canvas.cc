#include "client/report/canvas.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "client/report/axis.h"
#include "client/report/gnuplot.h"
#include "client/report/palette.h"

namespace modlab {
namespace {

// Characters of a text that are drawn; tables and captions have it all.
constexpr size_t kTextMax = 60;

std::string Cut(absl::string_view text) {
  std::string plain = PlainText(text);
  size_t characters = 0;
  for (size_t i = 0; i < plain.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(plain[i]) & 0xC0) != 0x80;
    if (begins && ++characters > kTextMax) return plain.substr(0, i) + "…";
  }
  return plain;
}

std::string Position(double x, double y) {
  return absl::StrCat("first ", GnuplotNumber(x), ", first ", GnuplotNumber(y));
}

std::string DataBlock(absl::string_view name, const std::vector<std::vector<double>>& rows) {
  std::string block = absl::StrCat(name, " << EOD\n");
  for (const std::vector<double>& row : rows) {
    absl::StrAppend(&block,
                    absl::StrJoin(row, " ",
                                  [](std::string* out, double number) {
                                    absl::StrAppend(out, GnuplotNumber(number));
                                  }),
                    "\n");
  }
  return absl::StrCat(block, "EOD\n");
}

std::string RangeAndTicks(absl::string_view axis, const Ruler& ruler) {
  std::string script =
      absl::StrCat(ruler.scale == Scale::kLinear ? "unset" : "set", " logscale ", axis, "\nset ",
                   axis, "range [", GnuplotNumber(ruler.min), ":", GnuplotNumber(ruler.max), "]\n");
  if (ruler.ticks.empty()) return absl::StrCat(script, "unset ", axis, "tics\n");
  absl::StrAppend(&script, "set ", axis, "tics (",
                  absl::StrJoin(ruler.ticks, ", ",
                                [](std::string* out, const Tick& tick) {
                                  absl::StrAppend(out, GnuplotString(tick.label), " ",
                                                  GnuplotNumber(tick.at),
                                                  tick.label.empty() ? " 1" : " 0");
                                }),
                  axis == "x" ? ") offset 0,0.4\n" : ")\n");
  return script;
}

}  // namespace

double TextWidth(absl::string_view text, int font_size) {
  // In ems, as in Arial.
  double width = 0;
  size_t characters = 0;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80) continue;
    if (++characters > kTextMax) break;
    width += absl::StrContains(" .,:;'|!ijltfrI()[]", c)          ? 0.3
             : absl::StrContains("mwMW%", c)                      ? 0.85
             : absl::ascii_isupper(static_cast<unsigned char>(c)) ? 0.7
                                                                  : 0.56;
  }
  return width * font_size;
}

std::string LineColour(uint32_t rgb) { return absl::StrFormat(" lc rgb '#%06X'", rgb); }

void Canvas::Text(double x, double y, absl::string_view text, Align align, int font_size,
                  uint32_t rgb, int angle_degrees) {
  if (text.empty()) return;
  const char* const side = align == Align::kLeft     ? "left"
                           : align == Align::kCenter ? "center"
                                                     : "right";
  absl::StrAppend(&overlay_, "set label ", GnuplotString(Cut(text)), " at ", Position(x, y), " ",
                  side, " rotate by ", angle_degrees, " font ',", font_size, "'",
                  absl::StrFormat(" tc rgb '#%06X' front\n", rgb));
}

void Canvas::Rectangle(const Box& box, uint32_t rgb) {
  rectangles_.push_back({box.left, box.top, box.left, box.left + box.width, box.top,
                         box.top + box.height, static_cast<double>(rgb)});
}

void Canvas::Line(double x1, double y1, double x2, double y2, uint32_t rgb, double width,
                  bool dashed) {
  absl::StrAppend(&overlay_, "set arrow from ", Position(x1, y1), " to ", Position(x2, y2),
                  " nohead lw ", GnuplotNumber(width), dashed ? " dt (6,4)" : " dt solid",
                  LineColour(rgb), "\n");
}

void Canvas::Mark(double x, double y, const Style& style) {
  absl::StrAppend(&overlay_, "set label '' at ", Position(x, y), " point pt ", style.mark,
                  " ps 0.8", LineColour(style.rgb), "\n");
}

void Canvas::Wedge(double x, double y, double radius, double from, double to, uint32_t rgb) {
  // gnuplot turns counter-clockwise from 3 o'clock.
  const bool whole = to - from >= 360;
  wedges_.push_back(
      {x, y, radius, whole ? 0 : 90 - to, whole ? 360 : 90 - from, static_cast<double>(rgb)});
}

std::string Canvas::AddData(const std::vector<std::vector<double>>& rows) {
  const std::string name = absl::StrCat("$data", ++blocks_);
  plots_ += DataBlock(name, rows);
  return name;
}

void Canvas::Plot(const Box& box, const Ruler& x, const Ruler& y,
                  const std::vector<std::string>& elements) {
  const auto screen = [](absl::string_view side, double share) {
    return absl::StrCat("set ", side, "margin at screen ", GnuplotNumber(share), "\n");
  };
  absl::StrAppend(&plots_, screen("l", box.left / width_),
                  screen("r", (box.left + box.width) / width_), screen("t", 1 - box.top / height_),
                  screen("b", 1 - (box.top + box.height) / height_), RangeAndTicks("x", x),
                  RangeAndTicks("y", y), "plot ",
                  elements.empty() ? "NaN notitle" : absl::StrJoin(elements, ", "), "\n");
}

std::string Canvas::Script() const {
  std::string script = absl::StrCat(
      "set encoding utf8\n"
      "set terminal svg noenhanced fixed rounded font 'Arial,Helvetica,sans-serif,11' "
      "background rgb '#FFFFFF' size ",
      static_cast<int>(width_ + 0.5), ",", static_cast<int>(height_ + 0.5),
      "\n"
      "set style fill solid noborder\n"
      "set border 3 lw 0.8 lc rgb '#444444'\n"
      "set tics nomirror out scale 0.5,0.25 textcolor rgb '#222222'\n"
      "set grid xtics ytics lt 1 lw 0.6 lc rgb '#E8E8E8'\n"
      "set grid back\n"
      "unset key\n"
      "set multiplot\n",
      plots_,
      // One last plot as large as the sheet, whose units are pixels.
      "unset border\nunset tics\nunset grid\nunset logscale\n"
      "set lmargin at screen 0\nset rmargin at screen 1\n"
      "set tmargin at screen 1\nset bmargin at screen 0\n",
      "set xrange [0:", GnuplotNumber(width_), "]\nset yrange [", GnuplotNumber(height_), ":0]\n",
      overlay_);
  std::vector<std::string> elements;
  if (!rectangles_.empty()) {
    script += DataBlock("$rectangles", rectangles_);
    elements.push_back("$rectangles using 1:2:3:4:5:6:7 with boxxyerror lc rgb variable");
  }
  if (!wedges_.empty()) {
    script += DataBlock("$wedges", wedges_);
    elements.push_back(
        "$wedges using 1:2:3:4:5:6 with circles fs solid border lc rgb '#FFFFFF' lc rgb variable");
  }
  return absl::StrCat(script, "plot ",
                      elements.empty() ? "NaN notitle" : absl::StrJoin(elements, ", "), "\n",
                      "unset multiplot\n");
}

}  // namespace modlab
