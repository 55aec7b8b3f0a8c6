#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/commands/command.h"
#include "client/format.h"
#include "client/job_row.h"
#include "lib/config/words.h"
#include "modlab/v1/results.grpc.pb.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  std::string sweep;
  std::vector<std::string> where;
  v1::Checkpoint checkpoint = v1::LAST;
  Format format = Format::kCsv;
};

// The metrics by length that any of the jobs has.
absl::StatusOr<std::set<v1::Metric>> Occurring(const Connection& connection, const Options& options,
                                               const std::vector<v1::FieldFilter>& filters) {
  v1::QueryResultsRequest request;
  request.set_sweep(options.sweep);
  request.set_checkpoint(options.checkpoint);
  request.mutable_filters()->Assign(filters.begin(), filters.end());
  const auto* metrics = v1::Metric_descriptor();
  for (int i = 0; i < metrics->value_count(); ++i) {
    const auto metric = static_cast<v1::Metric>(metrics->value(i)->number());
    if (IsByLength(metric)) request.add_metrics(MetricName(metric));
  }
  const auto response = connection.Call(&v1::ResultsService::Stub::QueryResults, request);
  if (!response.ok()) return response.status();
  std::set<v1::Metric> occurring;
  for (const v1::ResultRow& row : response->rows()) occurring.insert(row.metric());
  return occurring;
}

absl::StatusOr<int> Export(const Options& options) {
  auto filters = ParseWhere(options.where);
  if (!filters.ok()) return filters.status();
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  // Fails, too, where there is nothing to be written.
  const auto by_length = Occurring(**connection, options, *filters);
  if (!by_length.ok()) return by_length.status();
  RowWriter writer(options.format, JobColumns(*by_length), &std::cout);
  const absl::Status visited =
      VisitJobs(**connection, options.sweep, *filters, [&](const v1::Job& job) {
        writer.Add(JobCells(job, *by_length, options.checkpoint));
        return std::cout.good();
      });
  if (!visited.ok()) return visited;
  writer.Finish();
  return kExitOk;
}

}  // namespace

void AddExport(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand(
      "export", "One row a job: every config field, state, times, every metric");
  AddSweepArgument(command, &options->sweep);
  AddWhereOption(command, &options->where);
  AddCheckpointOption(command, &options->checkpoint);
  AddConnectionOptions(command, &options->choice);
  AddFormatOption(command, &options->format);
  command->footer(
      "Example:\n  modlab export quickstart --where state=succeeded > jobs.csv\n"
      "  modlab export quickstart --checkpoint best --format json");
  command->callback([=] { *action = [=] { return Export(*options); }; });
}

}  // namespace modlab
