// What a figure shows, as plain data: panels of one kind side by side, under one
// legend. Nothing here knows how it is drawn (drawing.h does).
//
// Pure and thread-safe. A number that is not finite does not exist: it leaves a
// gap in the drawing and an empty cell in the table. Drawings cut names and titles
// after 60 characters; a title wider than its panel runs into the next one's.

#ifndef MODLAB_CLIENT_REPORT_FIGURE_H_
#define MODLAB_CLIENT_REPORT_FIGURE_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "client/format.h"
#include "client/report/axis.h"

namespace modlab {

inline constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

// A value with its interval; without `low` and `high` it has none.
struct Estimate {
  double value = kNoNumber;
  double low = kNoNumber;
  double high = kNoNumber;
  // How many jobs are behind it, where that is known.
  std::optional<int64_t> n = std::nullopt;
};

// How the intervals of lines are drawn.
enum class Interval { kBand, kBar };

// Lines through points. A point whose value does not exist parts its line.
struct LinePanel {
  struct Point {
    double x = kNoNumber;
    Estimate y;
  };
  struct Series {
    std::string name;
    std::vector<Point> points;
  };
  std::string title;
  Axis x;
  Axis y;
  Interval interval = Interval::kBand;
  std::vector<Series> series;
};

// Bars from 0 (or from the end of a logarithmic axis), a group for each category.
struct BarPanel {
  struct Series {
    std::string name;
    std::vector<Estimate> values;  // as long as categories
  };
  std::string title;
  std::string category_label;  // what a category is
  Axis y;
  std::vector<std::string> categories;
  std::vector<Series> series;
};

// Shades for shares from 0 to 1, first row on top.
struct HeatPanel {
  std::string title;
  std::string row_label;     // what a row is
  std::string column_label;  // what a column is
  std::vector<std::string> rows;
  std::vector<std::string> columns;
  std::vector<std::vector<double>> values;  // [rows][columns]
};

// Shares of a whole, from 12 o'clock clockwise.
struct PiePanel {
  struct Share {
    std::string name;
    double count = 0;  // halves and so on where votes are shared
  };
  std::string title;
  std::vector<Share> shares;
};

struct Figure {
  std::string title;
  // Panels side by side; more of them go on below.
  int columns = 3;
  std::variant<std::vector<LinePanel>, std::vector<BarPanel>, std::vector<HeatPanel>,
               std::vector<PiePanel>>
      panels;
};

// A table of a figure's numbers: a row for each point, bar, cell or share.
struct Sheet {
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> rows;  // each as long as columns
};

// Columns: panel, series, x, y, low, high, n for lines; panel, category, series, y,
// low, high, n for bars; panel, row, column, share for heat maps; panel, name,
// count for pies. x, y, category, row and column are called by their labels where all
// panels agree on one.
Sheet MakeSheet(const Figure& figure);

// The sheet as CSV (RFC 4180), numbers with all their digits.
std::string Csv(const Sheet& sheet);

// INVALID_ARGUMENT where lists differ in length that must not, a count is not in
// 0..10^12, or there is more than anybody can look at: 64 panels; 1,000 series,
// categories, rows, columns or shares a panel; 1,000,000 points a figure.
absl::Status CheckFigure(const Figure& figure);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_FIGURE_H_
