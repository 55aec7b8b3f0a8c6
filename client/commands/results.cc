#include "client/commands/results.h"

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands/command.h"
#include "client/format.h"
#include "client/table.h"
#include "client/text.h"
#include "lib/config/job_metrics.h"
#include "lib/config/words.h"
#include "modlab/v1/results.grpc.pb.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  std::string sweep;
  std::string group_by = kGroupByDefault;
  std::string metrics = kMetricsDefault;
  std::vector<std::string> where;
  v1::Checkpoint checkpoint = v1::LAST;
  Format format = Format::kTable;
};

void PrintRows(const v1::QueryResultsRequest& request, const v1::QueryResultsResponse& response,
               Format format) {
  std::vector<std::string> columns(request.group_by().begin(), request.group_by().end());
  columns.push_back("metric");
  for (std::string& column : SummaryColumns()) columns.push_back(std::move(column));
  RowWriter writer(format, columns, &std::cout);
  for (const v1::ResultRow& row : response.rows()) {
    std::vector<Cell> cells;
    for (int i = 0; i < row.group_size(); ++i) {
      cells.push_back(WordCell(request.group_by(i), row.group(i)));
    }
    cells.push_back(MetricName(row.metric()));
    for (Cell& cell : SummaryCells(row.summary())) cells.push_back(std::move(cell));
    writer.Add(cells);
  }
  writer.Finish();
}

// `mean ± half of its interval`, metrics side by side.
void PrintSideBySide(const v1::QueryResultsRequest& request,
                     const v1::QueryResultsResponse& response) {
  Table table;
  for (const std::string& field : request.group_by()) table.columns.push_back({field, false});
  table.columns.push_back({"n", true});
  const size_t metrics_at = table.columns.size();
  for (const std::string& metric : request.metrics()) table.columns.push_back({metric, false});

  std::vector<std::string> group;
  int64_t n = 0;
  for (const v1::ResultRow& row : response.rows()) {
    std::vector<std::string> words(row.group().begin(), row.group().end());
    if (table.rows.empty() || words != group) {
      group = words;
      n = 0;
      std::replace(words.begin(), words.end(), std::string(), std::string("-"));
      words.resize(table.columns.size(), "-");
      table.rows.push_back(std::move(words));
    }
    std::vector<std::string>& cells = table.rows.back();
    n = std::max(n, row.summary().n());
    cells[metrics_at - 1] = CountText(n);
    const std::string name = MetricName(row.metric());
    for (size_t i = metrics_at; i < cells.size(); ++i) {
      if (table.columns[i].name == name) cells[i] = MeanText(row.summary());
    }
  }
  std::cout << TableText(table);
}

// The jobs without figures, by why: "3 not finished yet".
std::vector<std::string> LeftOut(const v1::QueryResultsResponse& response) {
  std::vector<std::string> parts;
  const auto add = [&parts](int64_t jobs, const char* what) {
    if (jobs > 0) parts.push_back(absl::StrCat(CountText(jobs), " ", what));
  };
  add(response.jobs_unfinished(), "not finished yet");
  add(response.jobs_failed(), "failed");
  add(response.jobs_cancelled(), "cancelled");
  add(response.jobs_without_best(), "finished without a best checkpoint");
  return parts;
}

// Mean L1 error and error in percent have no mean.
void WarnOfMixedTargets(const v1::QueryResultsResponse& response) {
  const auto& pooled = response.pooled_over();
  if (std::find(pooled.begin(), pooled.end(), "target") == pooled.end()) return;
  std::vector<std::string> mixed;
  for (const v1::ResultRow& row : response.rows()) {
    std::string name = MetricName(row.metric());
    if (!IsInUnitsOfTarget(row.metric())) continue;
    if (std::find(mixed.begin(), mixed.end(), name) == mixed.end()) mixed.push_back(name);
  }
  if (mixed.empty()) return;
  std::cout.flush();
  std::cerr << "modlab: warning: groups mix regression and classification, which measure "
            << absl::StrJoin(mixed, ", ") << " in different units; group by target, or filter\n";
}

absl::StatusOr<int> Results(const Options& options) {
  auto filters = ParseWhere(options.where);
  if (!filters.ok()) return filters.status();
  v1::QueryResultsRequest request;
  request.set_sweep(options.sweep);
  request.mutable_filters()->Assign(filters->begin(), filters->end());
  for (std::string& field : SplitList(options.group_by)) request.add_group_by(std::move(field));
  for (const std::string& metric : SplitList(options.metrics)) {
    request.add_metrics(absl::AsciiStrToLower(metric));  // as the answer is compared with
  }
  request.set_checkpoint(options.checkpoint);
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  const absl::Status printed = PrintResults(**connection, request, options.format);
  if (!printed.ok()) return printed;
  return kExitOk;
}

}  // namespace

std::vector<std::string> SummaryColumns() {
  return {"n", "mean", "sd", "sem", "ci95_low", "ci95_high", "min", "median", "max"};
}

std::vector<Cell> SummaryCells(const v1::Summary& summary) {
  const auto if_there = [](bool has, double value) { return has ? Cell(value) : Cell(); };
  return {summary.n(),
          summary.mean(),
          if_there(summary.has_sd(), summary.sd()),
          if_there(summary.has_sem(), summary.sem()),
          if_there(summary.has_ci95_low(), summary.ci95_low()),
          if_there(summary.has_ci95_high(), summary.ci95_high()),
          summary.min(),
          summary.median(),
          summary.max()};
}

absl::Status PrintResults(const Connection& connection, const v1::QueryResultsRequest& request,
                          Format format) {
  auto response = connection.Call(&v1::ResultsService::Stub::QueryResults, request);
  if (!response.ok()) return response.status();
  if (format == Format::kTable) {
    PrintSideBySide(request, *response);
    std::cout << CountText(response->jobs_finished(), "finished job");
    for (const std::string& part : LeftOut(*response)) std::cout << "; " << part;
    std::cout << (response->rows().empty()
                      ? ".\n"
                      : ". Mean ± half the width of its 95% interval over n jobs.\n");
    if (!response->pooled_over().empty()) {
      std::cout << "Pooled over: " << absl::StrJoin(response->pooled_over(), ", ") << ".\n";
    }
  } else {
    PrintRows(request, *response, format);
    const std::vector<std::string> left_out = LeftOut(*response);
    if (!left_out.empty()) {
      std::cerr << "modlab: of the jobs of this selection " << absl::StrJoin(left_out, ", ")
                << "\n";
    }
  }
  WarnOfMixedTargets(*response);
  return absl::OkStatus();
}

void AddResults(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command =
      app->add_subcommand("results", "Metrics of finished jobs, with statistics over groups");
  AddSweepArgument(command, &options->sweep);
  command
      ->add_option("--group-by", options->group_by,
                   std::string("Fields that make a group; default ") + kGroupByDefault)
      ->type_name("FIELD,...");
  command
      ->add_option("--metrics", options->metrics,
                   std::string(kMetricNames) + "; default " + kMetricsDefault)
      ->type_name("METRIC,...");
  AddWhereOption(command, &options->where);
  AddCheckpointOption(command, &options->checkpoint);
  AddConnectionOptions(command, &options->choice);
  AddFormatOption(command, &options->format);
  command->footer(
      "Example:\n  modlab results quickstart --group-by model,rules --metrics id,ood --format "
      "json\n  modlab results quickstart --checkpoint best");
  command->callback([=] { *action = [=] { return Results(*options); }; });
}

}  // namespace modlab
