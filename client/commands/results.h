// Tables of results, for `results` and `run`.

#ifndef MODLAB_CLIENT_COMMANDS_RESULTS_H_
#define MODLAB_CLIENT_COMMANDS_RESULTS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/connection.h"
#include "client/format.h"
#include "modlab/v1/results.pb.h"

namespace modlab {

inline constexpr char kGroupByDefault[] = "architecture,target,model,rules";
inline constexpr char kMetricsDefault[] =
    "id,ood,collapse_avg,collapse_worst,alignment,adaptation,inverse_mi";

// What --metrics and --metric may name, for help texts.
inline constexpr char kMetricNames[] =
    "id, ood, id_loss, ood_loss; collapse_avg, collapse_worst, alignment, adaptation, inverse_mi; "
    "parameters; mha and rnn by length: id_l3 .. id_l50, ood_l3 .. ood_l50, id_loss_l3 .., "
    "ood_loss_l3 .. ood_loss_l50";

// A table has one row a group and one column a metric; json and csv have one row
// a group and metric, with all statistics. On standard output.
absl::Status PrintResults(const Connection& connection, const v1::QueryResultsRequest& request,
                          Format format);

// The statistics of a row, for results and curves.
std::vector<std::string> SummaryColumns();
std::vector<Cell> SummaryCells(const v1::Summary& summary);

}  // namespace modlab

#endif  // MODLAB_CLIENT_COMMANDS_RESULTS_H_
