#include "client/report/figure.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/format.h"

namespace modlab {
namespace {

constexpr size_t kPanelsMax = 64;
constexpr size_t kListMax = 1000;
constexpr size_t kPointsMax = 1000000;
constexpr double kCountMax = 1e12;

// The label that all panels share, else `otherwise`.
template <typename Panel, typename LabelOf>
std::string CommonLabel(const std::vector<Panel>& panels, const LabelOf& label_of,
                        const std::string& otherwise) {
  if (panels.empty() || label_of(panels[0]).empty()) return otherwise;
  for (const Panel& panel : panels) {
    if (label_of(panel) != label_of(panels[0])) return otherwise;
  }
  return label_of(panels[0]);
}

Cell CountCell(const std::optional<int64_t>& count) {
  if (!count.has_value()) return std::monostate();
  return *count;
}

Sheet SheetOf(const std::vector<LinePanel>& panels) {
  Sheet sheet;
  sheet.columns = {"panel",
                   "series",
                   CommonLabel(
                       panels, [](const LinePanel& panel) { return panel.x.label; }, "x"),
                   CommonLabel(
                       panels, [](const LinePanel& panel) { return panel.y.label; }, "y"),
                   "low",
                   "high",
                   "n"};
  for (const LinePanel& panel : panels) {
    for (const LinePanel::Series& series : panel.series) {
      for (const auto& [x, y] : series.points) {
        sheet.rows.push_back({TextCell(panel.title), TextCell(series.name), x, y.value, y.low,
                              y.high, CountCell(y.n)});
      }
    }
  }
  return sheet;
}

Sheet SheetOf(const std::vector<BarPanel>& panels) {
  Sheet sheet;
  sheet.columns = {
      "panel",
      CommonLabel(
          panels, [](const BarPanel& panel) { return panel.category_label; }, "category"),
      "series",
      CommonLabel(
          panels, [](const BarPanel& panel) { return panel.y.label; }, "y"),
      "low",
      "high",
      "n"};
  for (const BarPanel& panel : panels) {
    for (size_t i = 0; i < panel.categories.size(); ++i) {
      for (const BarPanel::Series& series : panel.series) {
        if (i >= series.values.size()) continue;
        const Estimate& y = series.values[i];
        sheet.rows.push_back({TextCell(panel.title), TextCell(panel.categories[i]),
                              TextCell(series.name), y.value, y.low, y.high, CountCell(y.n)});
      }
    }
  }
  return sheet;
}

Sheet SheetOf(const std::vector<HeatPanel>& panels) {
  Sheet sheet;
  sheet.columns = {"panel",
                   CommonLabel(
                       panels, [](const HeatPanel& panel) { return panel.row_label; }, "row"),
                   CommonLabel(
                       panels, [](const HeatPanel& panel) { return panel.column_label; }, "column"),
                   "share"};
  for (const HeatPanel& panel : panels) {
    for (size_t row = 0; row < panel.values.size() && row < panel.rows.size(); ++row) {
      for (size_t i = 0; i < panel.values[row].size() && i < panel.columns.size(); ++i) {
        sheet.rows.push_back({TextCell(panel.title), TextCell(panel.rows[row]),
                              TextCell(panel.columns[i]), panel.values[row][i]});
      }
    }
  }
  return sheet;
}

Sheet SheetOf(const std::vector<PiePanel>& panels) {
  Sheet sheet;
  sheet.columns = {"panel", "name", "count"};
  for (const PiePanel& panel : panels) {
    for (const PiePanel::Share& share : panel.shares) {
      sheet.rows.push_back({TextCell(panel.title), TextCell(share.name), share.count});
    }
  }
  return sheet;
}

absl::Status CheckCount(const std::string& what, size_t count, size_t most) {
  if (count <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(what, " ", count, ", at most ", most));
}

// As long as `wanted` says, and that not too long.
absl::Status CheckLength(const std::string& what, size_t length, size_t wanted) {
  if (length == wanted) return CheckCount(what, length, kListMax);
  return absl::InvalidArgumentError(absl::StrCat(what, " ", length, ", must be ", wanted));
}

absl::Status CheckPanel(const LinePanel& panel, size_t* points) {
  for (const auto& series : panel.series) *points += series.points.size();
  return CheckCount("series:", panel.series.size(), kListMax);
}

absl::Status CheckPanel(const BarPanel& panel, size_t* points) {
  for (const auto& series : panel.series) {
    *points += series.values.size();
    const auto status = CheckLength(absl::StrCat("values of series ", series.name, ":"),
                                    series.values.size(), panel.categories.size());
    if (!status.ok()) return status;
  }
  return CheckCount("series:", panel.series.size(), kListMax);
}

absl::Status CheckPanel(const HeatPanel& panel, size_t* points) {
  auto status = CheckLength("rows of values:", panel.values.size(), panel.rows.size());
  for (size_t i = 0; status.ok() && i < panel.values.size(); ++i) {
    *points += panel.values[i].size();
    status = CheckLength(absl::StrCat("values of row ", i, ":"), panel.values[i].size(),
                         panel.columns.size());
  }
  return status;
}

absl::Status CheckPanel(const PiePanel& panel, size_t* points) {
  *points += panel.shares.size();
  for (const PiePanel::Share& share : panel.shares) {
    if (share.count >= 0 && share.count <= kCountMax) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("count of ", share.name, ": ", share.count, ", allowed are 0..10^12"));
  }
  return CheckCount("shares:", panel.shares.size(), kListMax);
}

}  // namespace

Sheet MakeSheet(const Figure& figure) {
  return std::visit([](const auto& panels) { return SheetOf(panels); }, figure.panels);
}

std::string Csv(const Sheet& sheet) {
  std::ostringstream text;
  RowWriter writer(Format::kCsv, sheet.columns, &text);
  for (const auto& row : sheet.rows) writer.Add(row);
  writer.Finish();
  return std::move(text).str();
}

absl::Status CheckFigure(const Figure& figure) {
  const auto check = [](const auto& panels) {
    absl::Status status = CheckCount("panels:", panels.size(), kPanelsMax);
    size_t points = 0;
    for (size_t i = 0; status.ok() && i < panels.size(); ++i) {
      const absl::Status one = CheckPanel(panels[i], &points);
      if (!one.ok()) {
        status = absl::InvalidArgumentError(
            absl::StrCat("panel ", i, " (", panels[i].title, "): ", one.message()));
      }
    }
    if (status.ok()) status = CheckCount("points:", points, kPointsMax);
    return status;
  };
  const absl::Status status = std::visit(check, figure.panels);
  if (status.ok()) return status;
  return absl::InvalidArgumentError(
      absl::StrCat("figure \"", figure.title, "\": ", status.message()));
}

}  // namespace modlab
