#include "client/report/performance_exhibits.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "lib/config/words.h"

namespace modlab {
namespace {

// A line with more points than this has some left out.
constexpr size_t kCurvePointsMax = 200;

double Number(const std::string& word) {
  double number = kNoNumber;
  return absl::SimpleAtod(word, &number) ? number : kNoNumber;
}

// A row as a reading: all but its x and category.
template <typename Request, typename Row>
Reading ReadingOf(const Request& request, const Row& row, v1::Metric metric) {
  Reading reading;
  const auto word = [&](absl::string_view field) {
    return GroupWord(request.group_by(), row.group(), field);
  };
  reading.column = ArchitectureText(word("architecture"));
  reading.target = word("target");
  reading.metric = metric;
  reading.series = word("model");
  reading.y = EstimateOf(row.summary());
  return reading;
}

constexpr char kBand[] =
    "Mean and 95% interval (Student's t) over jobs; a mean of one job has no interval. ";

// Metrics ID_L3 .. OOD_L50 are 100 and 200 more than their length.
constexpr int kLengths[] = {3, 5, 10, 20, 30, 40, 50};

// Every k-th point of a line, with k as small as can be, and its last.
std::vector<Reading> Thinned(const std::vector<Reading>& readings) {
  std::map<std::tuple<std::string, std::string, v1::Metric, std::string>, std::vector<size_t>>
      lines;
  for (size_t i = 0; i < readings.size(); ++i) {
    const Reading& reading = readings[i];
    lines[{reading.column, reading.target, reading.metric, reading.series}].push_back(i);
  }
  std::vector<bool> kept(readings.size(), false);
  for (const auto& [key, line] : lines) {
    const size_t step = (line.size() + kCurvePointsMax - 1) / kCurvePointsMax;
    for (size_t i = 0; i < line.size(); i += step) kept[line[i]] = true;
    kept[line.back()] = true;
  }
  std::vector<Reading> few;
  for (size_t i = 0; i < readings.size(); ++i) {
    if (kept[i]) few.push_back(readings[i]);
  }
  return few;
}

std::optional<Exhibit> ByIteration(const Curves& curves, const std::string& name,
                                   const std::string& title, const std::string& what,
                                   const std::vector<v1::Metric>& metrics, Scale y_scale) {
  std::vector<Reading> readings;
  std::vector<std::string> commands;
  for (size_t i = 0; i < curves.requests.size(); ++i) {
    const v1::QueryCurvesRequest& request = curves.requests[i];
    commands.push_back(CommandText(request));
    const auto metric = ParseMetric(request.metric());
    if (!metric.ok()) continue;
    for (const v1::CurveRow& row : curves.responses[i].rows()) {
      readings.push_back(ReadingOf(request, row, *metric));
      readings.back().x = static_cast<double>(row.iteration());
    }
  }
  if (readings.empty()) return std::nullopt;
  const std::vector<Reading> few = Thinned(readings);
  Exhibit exhibit;
  exhibit.name = name;
  exhibit.commands = commands;
  exhibit.figure = LineFigure(title, few, metrics, {"Iteration", Scale::kLinear, {}, {}}, y_scale);
  exhibit.caption = absl::StrCat(
      what, " ", kBand,
      "Averaged over all settings of a model type, jobs that still run included; ",
      JobsText(exhibit.figure, "point"),
      few.size() < readings.size() ? " Of long curves only some points are shown." : "");
  return exhibit;
}

}  // namespace

v1::QueryResultsRequest AskPerformanceByRules(const Scope& scope) {
  return AskResults(scope, {"architecture", "target", "model", "rules"}, {"id", "ood"});
}

std::optional<Exhibit> PerformanceByRules(const v1::QueryResultsRequest& request,
                                          const v1::QueryResultsResponse& response) {
  std::vector<Reading> readings;
  for (const v1::ResultRow& row : response.rows()) {
    readings.push_back(ReadingOf(request, row, row.metric()));
    readings.back().x = Number(GroupWord(request.group_by(), row.group(), "rules"));
  }
  if (readings.empty()) return std::nullopt;
  Exhibit exhibit;
  exhibit.name = "performance-rules";
  exhibit.commands = {CommandText(request)};
  exhibit.figure = LineFigure("Performance against the number of rules", readings,
                              {v1::ID, v1::OOD}, {"Number of rules", Scale::kLog2, {}, {}});
  exhibit.caption =
      absl::StrCat("Error in distribution (ID) and out of it (OoD), lower is better. ", kBand,
                   JobsText(exhibit.figure, "point"), SelectionText(response));
  return exhibit;
}

v1::QueryResultsRequest AskPerformanceBySize(const Scope& scope) {
  return AskResults(scope, {"architecture", "target", "encoder_dim", "model_dim", "model"},
                    {"id", "ood"});
}

std::optional<Exhibit> PerformanceBySize(const v1::QueryResultsRequest& request,
                                         const v1::QueryResultsResponse& response) {
  std::vector<Reading> readings;
  std::map<std::string, std::set<std::string>> sizes;  // of an architecture
  bool several = false;
  for (const v1::ResultRow& row : response.rows()) {
    readings.push_back(ReadingOf(request, row, row.metric()));
    Reading& reading = readings.back();
    reading.category = absl::StrCat(GroupWord(request.group_by(), row.group(), "encoder_dim"), ", ",
                                    GroupWord(request.group_by(), row.group(), "model_dim"));
    std::set<std::string>& known = sizes[reading.column];
    known.insert(reading.category);
    several = several || known.size() > 1;
  }
  if (!several) return std::nullopt;
  readings.erase(
      std::remove_if(readings.begin(), readings.end(),
                     [&](const Reading& reading) { return sizes[reading.column].size() < 2; }),
      readings.end());
  Exhibit exhibit;
  exhibit.name = "performance-size";
  exhibit.commands = {CommandText(request)};
  exhibit.figure = BarFigure("Performance against the size of the model", readings,
                             {v1::ID, v1::OOD}, "encoder_dim, model_dim");
  exhibit.caption = absl::StrCat(
      "Error in distribution (ID) and out of it (OoD) by the widths of encoder and model; lower is "
      "better. ",
      kBand, JobsText(exhibit.figure, "bar"), SelectionText(response));
  return exhibit;
}

v1::QueryResultsRequest AskPerformanceByLength(const Scope& scope) {
  std::vector<std::string> metrics;
  for (const int base : {100, 200}) {
    for (const int length : kLengths) {
      metrics.push_back(MetricName(static_cast<v1::Metric>(base + length)));
    }
  }
  Scope sequences = scope;
  v1::FieldFilter& filter = sequences.filters.emplace_back();
  filter.set_field("architecture");
  filter.add_values("mha");
  filter.add_values("rnn");
  return AskResults(sequences, {"architecture", "target", "sequence_length", "model"}, metrics);
}

std::optional<Exhibit> PerformanceByLength(const v1::QueryResultsRequest& request,
                                           const v1::QueryResultsResponse& response) {
  const auto trained_at = [&](const v1::ResultRow& row) {
    return GroupWord(request.group_by(), row.group(), "sequence_length");
  };
  std::set<std::string> trained;
  for (const v1::ResultRow& row : response.rows()) trained.insert(trained_at(row));
  std::vector<Reading> readings;
  for (const v1::ResultRow& row : response.rows()) {
    const int metric = row.metric();
    const bool out = metric >= 200;
    readings.push_back(ReadingOf(request, row, out ? v1::OOD : v1::ID));
    Reading& reading = readings.back();
    reading.x = metric - (out ? 200 : 100);
    if (trained.size() > 1) absl::StrAppend(&reading.column, ", trained at ", trained_at(row), ",");
  }
  if (readings.empty()) return std::nullopt;
  Exhibit exhibit;
  exhibit.name = "performance-length";
  exhibit.commands = {CommandText(request)};
  exhibit.figure = LineFigure("Performance against the length of sequences", readings,
                              {v1::ID, v1::OOD}, {"Sequence length", Scale::kLinear, {}, {}});
  exhibit.caption =
      absl::StrCat("Error in distribution (ID) and out of it (OoD) of models trained at length ",
                   absl::StrJoin(trained, " or "), "; lower is better. ", kBand,
                   JobsText(exhibit.figure, "point"), SelectionText(response));
  return exhibit;
}

std::vector<v1::QueryCurvesRequest> AskCurvesOf(const Scope& scope,
                                                const std::vector<std::string>& metrics) {
  std::vector<v1::QueryCurvesRequest> requests;
  for (const std::string& metric : metrics) {
    requests.push_back(AskCurves(scope, {"architecture", "target", "model"}, metric));
  }
  return requests;
}

std::optional<Exhibit> LossByIteration(const Curves& curves) {
  return ByIteration(curves, "training-loss", "Loss while training",
                     "Loss on fresh samples in distribution.", {v1::EVAL_LOSS}, Scale::kLog10);
}

std::optional<Exhibit> AccuracyByIteration(const Curves& curves) {
  return ByIteration(curves, "training-accuracy", "Accuracy while training",
                     "Correct labels on fresh samples in distribution.", {v1::EVAL_ACCURACY},
                     Scale::kLinear);
}

std::optional<Exhibit> CollapseByIteration(const Curves& curves) {
  return ByIteration(curves, "training-collapse", "Collapse and alignment while training",
                     "0 is best for both: no module is left unused (collapse), each rule has a "
                     "module of its own (alignment).",
                     {v1::COLLAPSE_AVG, v1::ALIGNMENT}, Scale::kLinear);
}

}  // namespace modlab
