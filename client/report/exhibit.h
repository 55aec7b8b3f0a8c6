// An exhibit: a figure of a report with what must be said about it; and readings,
// the numbers of which figures with axes are made.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_REPORT_EXHIBIT_H_
#define MODLAB_CLIENT_REPORT_EXHIBIT_H_

#include <google/protobuf/repeated_field.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/report/axis.h"
#include "client/report/figure.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/results.pb.h"

namespace modlab {

struct Exhibit {
  // Of its files, NAME.svg and NAME.csv: letters, digits and '-'.
  std::string name;
  std::string caption;
  // What prints its numbers.
  std::vector<std::string> commands;
  Figure figure;
};

// One number of an answer, and where it goes: there is a panel for each column,
// target and metric.
struct Reading {
  std::string column;  // "MLP"
  std::string target;  // a word, or "" for all together
  v1::Metric metric = v1::METRIC_UNSPECIFIED;
  std::string series;
  double x = kNoNumber;  // in line panels
  std::string category;  // in bar panels
  Estimate y;
};

// Panels in a column an architecture and a row a target and metric; if all are of
// one architecture, in a row a target and a column a metric. Metrics in the order given,
// all else in that of the readings.
Figure LineFigure(const std::string& title, const std::vector<Reading>& readings,
                  const std::vector<v1::Metric>& metrics, const Axis& x,
                  Scale y_scale = Scale::kLinear);
// The same with bars; what a panel lacks of its series is a gap.
Figure BarFigure(const std::string& title, const std::vector<Reading>& readings,
                 const std::vector<v1::Metric>& metrics, const std::string& category_label);

using Words = google::protobuf::RepeatedPtrField<std::string>;

// The word of `field` in a group; "" where groups are not made by it.
std::string GroupWord(const Words& group_by, const Words& group, absl::string_view field);

Estimate EstimateOf(const v1::Summary& summary);

// "MLP" for "mlp".
std::string ArchitectureText(absl::string_view word);

// "OoD" for OOD.
std::string MetricTitle(v1::Metric metric);
// What it is measured in, for axes: "L1 error", "" for metrics from 0 to 1.
std::string UnitLabel(v1::Metric metric, absl::string_view target);

// How many jobs are behind the points, bars or pies of a figure that know it, the series
// "random" apart; nothing where none does.
struct JobRange {
  int64_t least = 0;
  int64_t most = 0;
};
std::optional<JobRange> JobsBehind(const Figure& figure);

// "n = 4 jobs a point.", "n = 2 to 8 jobs a bar.".
std::string JobsText(const Figure& figure, absl::string_view what);

// " Pooled over data_seed, model_seed. 3 finished jobs kept no best checkpoint, and are
// not in it.", of these what is true of the answer.
std::string SelectionText(const v1::QueryResultsResponse& response);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_EXHIBIT_H_
