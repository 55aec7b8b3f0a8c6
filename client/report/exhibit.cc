#include "client/report/exhibit.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <tuple>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/text.h"
#include "lib/config/words.h"

namespace modlab {
namespace {

constexpr int kColumnsMax = 3;

void AddOnce(const std::string& word, std::vector<std::string>* words) {
  if (std::find(words->begin(), words->end(), word) == words->end()) words->push_back(word);
}

// The panels that readings need, empty, and which reading belongs to which.
template <typename Panel>
struct PanelGrid {
  using Key = std::tuple<std::string, std::string, v1::Metric>;

  int columns = 1;
  std::vector<Panel> panels;
  std::map<Key, size_t> places;

  PanelGrid(const std::vector<Reading>& readings, const std::vector<v1::Metric>& metrics) {
    std::vector<std::string> heads;
    std::vector<std::string> targets;
    for (const Reading& reading : readings) {
      AddOnce(reading.column, &heads);
      AddOnce(reading.target, &targets);
    }
    if (heads.size() == 1) {
      columns = static_cast<int>(metrics.size() == 1 ? targets.size() : metrics.size());
    } else {
      columns = static_cast<int>(heads.size());
    }
    columns = std::clamp(columns, 1, kColumnsMax);
    for (const std::string& target : targets) {
      for (const v1::Metric metric : metrics) {
        for (const std::string& head : heads) {
          Panel panel;
          std::vector<std::string> title = {head, target};
          title.erase(std::remove(title.begin(), title.end(), ""), title.end());
          panel.title = absl::StrJoin(title, " ");
          if (metrics.size() > 1) {
            absl::StrAppend(&panel.title, title.empty() ? "" : ", ", MetricTitle(metric));
          }
          panel.y.label = UnitLabel(metric, target);
          places[{head, target, metric}] = panels.size();
          panels.push_back(std::move(panel));
        }
      }
    }
  }

  // Null for a metric that is not shown.
  Panel* Find(const Reading& reading) {
    const auto at = places.find({reading.column, reading.target, reading.metric});
    return at == places.end() ? nullptr : &panels[at->second];
  }
};

template <typename Series>
Series* FindOrAdd(const std::string& name, std::vector<Series>* series) {
  const auto at = std::find_if(series->begin(), series->end(),
                               [&](const Series& one) { return one.name == name; });
  if (at != series->end()) return &*at;
  series->emplace_back();
  series->back().name = name;
  return &series->back();
}

// Calls `visit` for every count.
template <typename Visit>
void VisitCounts(const std::vector<LinePanel>& panels, const Visit& visit) {
  for (const LinePanel& panel : panels) {
    for (const auto& series : panel.series) {
      for (const auto& point : series.points) {
        if (point.y.n && series.name != "random") visit(*point.y.n);
      }
    }
  }
}

template <typename Visit>
void VisitCounts(const std::vector<BarPanel>& panels, const Visit& visit) {
  for (const BarPanel& panel : panels) {
    for (const auto& series : panel.series) {
      for (const Estimate& value : series.values) {
        if (value.n && series.name != "random") visit(*value.n);
      }
    }
  }
}

template <typename Visit>
void VisitCounts(const std::vector<PiePanel>& panels, const Visit& visit) {
  for (const PiePanel& panel : panels) {
    double votes = 0;
    for (const PiePanel::Share& share : panel.shares) votes += share.count;
    visit(std::llround(votes));
  }
}

template <typename Visit>
void VisitCounts(const std::vector<HeatPanel>& /*panels*/, const Visit& /*visit*/) {}

}  // namespace

Figure LineFigure(const std::string& title, const std::vector<Reading>& readings,
                  const std::vector<v1::Metric>& metrics, const Axis& x, Scale y_scale) {
  PanelGrid<LinePanel> grid(readings, metrics);
  for (LinePanel& panel : grid.panels) {
    panel.x = x;
    panel.y.scale = y_scale;
  }
  for (const Reading& reading : readings) {
    LinePanel* const panel = grid.Find(reading);
    if (panel == nullptr) continue;
    FindOrAdd(reading.series, &panel->series)->points.push_back({reading.x, reading.y});
  }
  return {title, grid.columns, std::move(grid.panels)};
}

Figure BarFigure(const std::string& title, const std::vector<Reading>& readings,
                 const std::vector<v1::Metric>& metrics, const std::string& category_label) {
  PanelGrid<BarPanel> grid(readings, metrics);
  for (const Reading& reading : readings) {
    BarPanel* const panel = grid.Find(reading);
    if (panel == nullptr) continue;
    panel->category_label = category_label;
    AddOnce(reading.category, &panel->categories);
    FindOrAdd(reading.series, &panel->series);
  }
  for (BarPanel& panel : grid.panels) {
    for (auto& series : panel.series) series.values.resize(panel.categories.size());
  }
  for (const Reading& reading : readings) {
    BarPanel* const panel = grid.Find(reading);
    if (panel == nullptr) continue;
    const auto& all = panel->categories;
    const auto at = std::find(all.begin(), all.end(), reading.category) - all.begin();
    FindOrAdd(reading.series, &panel->series)->values[static_cast<size_t>(at)] = reading.y;
  }
  return {title, grid.columns, std::move(grid.panels)};
}

std::string GroupWord(const Words& group_by, const Words& group, absl::string_view field) {
  for (int i = 0; i < group_by.size() && i < group.size(); ++i) {
    if (group_by[i] == field) return group[i];
  }
  return "";
}

Estimate EstimateOf(const v1::Summary& summary) {
  Estimate estimate;
  estimate.value = summary.mean();
  if (summary.has_ci95_low()) estimate.low = summary.ci95_low();
  if (summary.has_ci95_high()) estimate.high = summary.ci95_high();
  estimate.n = summary.n();
  return estimate;
}

std::string ArchitectureText(absl::string_view word) { return absl::AsciiStrToUpper(word); }

std::string MetricTitle(v1::Metric metric) {
  switch (metric) {
    case v1::ID:
      return "ID";
    case v1::OOD:
      return "OoD";
    case v1::COLLAPSE_AVG:
      return "Collapse-Avg";
    case v1::COLLAPSE_WORST:
      return "Collapse-Worst";
    case v1::ALIGNMENT:
      return "Alignment";
    case v1::ADAPTATION:
      return "Adaptation";
    case v1::INVERSE_MI:
      return "Inverse MI";
    default:
      return MetricName(metric);
  }
}

std::string UnitLabel(v1::Metric metric, absl::string_view target) {
  switch (metric) {
    case v1::ID:
    case v1::OOD:
      return target == "classification" ? "Error in %" : "L1 error";
    case v1::EVAL_LOSS:
      return target == "classification" ? "Cross-entropy" : "L1 loss";
    case v1::EVAL_ACCURACY:
      return "Accuracy in %";
    default:
      return "";
  }
}

std::optional<JobRange> JobsBehind(const Figure& figure) {
  std::optional<JobRange> range;
  std::visit(
      [&](const auto& panels) {
        VisitCounts(panels, [&](int64_t n) {
          if (!range) range = JobRange{n, n};
          range->least = std::min(range->least, n);
          range->most = std::max(range->most, n);
        });
      },
      figure.panels);
  return range;
}

std::string JobsText(const Figure& figure, absl::string_view what) {
  const std::optional<JobRange> range = JobsBehind(figure);
  if (!range) return "";
  if (range->least == range->most) {
    return absl::StrCat("n = ", CountText(range->most, "job"), " a ", what, ".");
  }
  return absl::StrCat("n = ", CountText(range->least), " to ", CountText(range->most, "job"), " a ",
                      what, ".");
}

std::string SelectionText(const v1::QueryResultsResponse& response) {
  std::string text;
  if (!response.pooled_over().empty()) {
    absl::StrAppend(&text, " Pooled over ", absl::StrJoin(response.pooled_over(), ", "), ".");
  }
  if (const int64_t jobs = response.jobs_without_best(); jobs > 0) {
    absl::StrAppend(&text, " ", CountText(jobs, "finished job"), " kept no best checkpoint, and ",
                    jobs == 1 ? "is" : "are", " not in it.");
  }
  return text;
}

}  // namespace modlab
