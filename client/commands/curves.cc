#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/commands/command.h"
#include "client/commands/results.h"
#include "client/format.h"
#include "client/text.h"
#include "modlab/v1/results.grpc.pb.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  std::string sweep;
  std::string metric = "eval_loss";
  std::string group_by = kGroupByDefault;
  std::vector<std::string> where;
  Format format = Format::kTable;
};

absl::StatusOr<int> Curves(const Options& options) {
  auto filters = ParseWhere(options.where);
  if (!filters.ok()) return filters.status();
  v1::QueryCurvesRequest request;
  request.set_sweep(options.sweep);
  request.set_metric(options.metric);
  request.mutable_filters()->Assign(filters->begin(), filters->end());
  for (std::string& field : SplitList(options.group_by)) request.add_group_by(std::move(field));
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  auto response = (*connection)->Call(&v1::ResultsService::Stub::QueryCurves, request);
  if (!response.ok()) return response.status();

  const bool table = options.format == Format::kTable;
  std::vector<std::string> columns(request.group_by().begin(), request.group_by().end());
  columns.push_back("iteration");
  if (table) {
    columns.push_back("n");
    columns.push_back(options.metric);
  } else {
    columns.push_back("metric");
    for (std::string& column : SummaryColumns()) columns.push_back(std::move(column));
  }
  RowWriter writer(options.format, columns, &std::cout);
  for (const v1::CurveRow& row : response->rows()) {
    std::vector<Cell> cells;
    for (int i = 0; i < row.group_size(); ++i) {
      cells.push_back(WordCell(request.group_by(i), row.group(i)));
    }
    cells.push_back(row.iteration());
    if (table) {
      cells.push_back(row.summary().n());
      cells.push_back(MeanText(row.summary()));
    } else {
      cells.push_back(options.metric);
      for (Cell& cell : SummaryCells(row.summary())) cells.push_back(std::move(cell));
    }
    writer.Add(cells);
  }
  writer.Finish();
  return kExitOk;
}

}  // namespace

void AddCurves(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand(
      "curves", "A metric by iteration, with statistics over groups; running jobs included");
  AddSweepArgument(command, &options->sweep);
  command
      ->add_option("--metric", options->metric,
                   "train_loss, eval_loss (default), eval_accuracy, validation_loss, "
                   "validation_accuracy, iterations_per_second, collapse_avg, collapse_worst, "
                   "alignment, adaptation, inverse_mi")
      ->type_name("METRIC");
  command
      ->add_option("--group-by", options->group_by,
                   std::string("Fields that make a group; default ") + kGroupByDefault)
      ->type_name("FIELD,...");
  AddWhereOption(command, &options->where);
  AddConnectionOptions(command, &options->choice);
  AddFormatOption(command, &options->format);
  command->footer(
      "Example:\n  modlab curves quickstart --metric eval_loss --group-by model "
      "--where rules=8 --format csv");
  command->callback([=] { *action = [=] { return Curves(*options); }; });
}

}  // namespace modlab
