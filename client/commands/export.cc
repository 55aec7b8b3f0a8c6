#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/commands/command.h"
#include "client/format.h"
#include "client/job_row.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  std::string sweep;
  std::vector<std::string> where;
  Format format = Format::kCsv;
};

absl::StatusOr<int> Export(const Options& options) {
  auto filters = ParseWhere(options.where);
  if (!filters.ok()) return filters.status();
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  // Made with the first job, so that an unknown sweep writes nothing.
  std::unique_ptr<RowWriter> writer;
  const auto begin = [&] {
    if (!writer) writer = std::make_unique<RowWriter>(options.format, JobColumns(), &std::cout);
  };
  const absl::Status visited =
      VisitJobs(**connection, options.sweep, *filters, [&](const v1::Job& job) {
        begin();
        writer->Add(JobCells(job));
        return std::cout.good();
      });
  if (!visited.ok()) return visited;
  begin();
  writer->Finish();
  return kExitOk;
}

}  // namespace

void AddExport(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand(
      "export", "One row a job: every config field, state, times, every metric");
  AddSweepArgument(command, &options->sweep);
  AddWhereOption(command, &options->where);
  AddConnectionOptions(command, &options->choice);
  AddFormatOption(command, &options->format);
  command->footer("Example:\n  modlab export quickstart --where state=succeeded > jobs.csv");
  command->callback([=] { *action = [=] { return Export(*options); }; });
}

}  // namespace modlab
