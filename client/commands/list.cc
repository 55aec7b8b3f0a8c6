#include <algorithm>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/commands/command.h"
#include "client/format.h"
#include "client/text.h"
#include "lib/config/varying_fields.h"
#include "lib/config/words.h"
#include "modlab/v1/sweep.grpc.pb.h"

namespace modlab {
namespace {

constexpr int kPageSize = 500;

struct Options {
  Connection::Choice choice;
  std::string sweep;
  std::vector<std::string> where;
  Format format = Format::kTable;
};

// For people, what is as by default is not there.
Cell PriorityCell(const v1::SweepPolicy& policy, Format format) {
  if (format == Format::kTable && policy.priority() == 0) return {};
  return int64_t{policy.priority()};
}

Cell PausedCell(const v1::SweepPolicy& policy, Format format) {
  if (format == Format::kTable && !policy.paused()) return {};
  return std::string(policy.paused() ? "yes" : "no");
}

absl::Status ListSweeps(const Connection& connection, Format format) {
  RowWriter writer(format,
                   {"id", "created", "queued", "running", "succeeded", "failed", "cancelled",
                    "iterations_done", "iterations_total", "user", "priority", "paused"},
                   &std::cout);
  writer.HideIfEmpty({"user", "priority", "paused"});
  v1::ListSweepsRequest request;
  request.set_page_size(kPageSize);
  do {
    auto page = connection.Call(&v1::SweepService::Stub::ListSweeps, request);
    if (!page.ok()) return page.status();
    for (const v1::Sweep& sweep : page->sweeps()) {
      const v1::JobCounts& counts = sweep.counts();
      writer.Add({sweep.id(), TextCell(TimeText(sweep.created_us())), counts.queued(),
                  counts.running(), counts.succeeded(), counts.failed(), counts.cancelled(),
                  sweep.iterations_done(), sweep.iterations_total(), TextCell(sweep.user()),
                  PriorityCell(sweep.policy(), format), PausedCell(sweep.policy(), format)});
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  writer.Finish();
  return absl::OkStatus();
}

absl::Status ListJobs(const Connection& connection, const Options& options) {
  auto filters = ParseWhere(options.where);
  if (!filters.ok()) return filters.status();
  VaryingFields varying;
  absl::Status visited = VisitJobs(connection, options.sweep, *filters, [&](const v1::Job& job) {
    varying.Add(job.config());
    return true;
  });
  if (!visited.ok()) return visited;
  std::vector<std::string> fields = {"architecture", "target",    "model",
                                     "rules",        "modules",   "encoder_dim",
                                     "model_dim",    "data_seed", "model_seed"};
  for (std::string& name : varying.Names()) {
    const bool is_there = std::find(fields.begin(), fields.end(), name) != fields.end();
    if (!is_there && name != "iterations") fields.push_back(std::move(name));
  }
  std::vector<std::string> columns = {"job", "state"};
  columns.insert(columns.end(), fields.begin(), fields.end());
  for (const char* column : {"iteration", "iterations", "attempt", "worker", "failure"}) {
    columns.emplace_back(column);
  }
  RowWriter writer(options.format, columns, &std::cout);
  visited = VisitJobs(connection, options.sweep, *filters, [&](const v1::Job& job) {
    std::vector<Cell> cells = {job.id(), StateName(job.state())};
    for (const std::string& field : fields) {
      cells.push_back(WordCell(field, JobFieldWord(job.config(), field)));
    }
    cells.push_back(job.iteration());
    cells.push_back(job.config().iterations());
    cells.push_back(int64_t{job.attempt()});
    cells.push_back(TextCell(job.worker()));
    cells.push_back(TextCell(job.failure().message()));
    writer.Add(cells);
    return std::cout.good();
  });
  if (visited.ok()) writer.Finish();
  return visited;
}

absl::StatusOr<int> List(const Options& options) {
  if (options.sweep.empty() && !options.where.empty()) {
    return absl::InvalidArgumentError("--where selects jobs: name their sweep, `modlab ls SWEEP`");
  }
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  const absl::Status listed = options.sweep.empty() ? ListSweeps(**connection, options.format)
                                                    : ListJobs(**connection, options);
  if (!listed.ok()) return listed;
  return kExitOk;
}

}  // namespace

void AddList(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand(
      "ls", "List sweeps, or the jobs of one with every field that tells them apart");
  command->add_option("SWEEP", options->sweep, "List the jobs of this sweep")->type_name("");
  AddWhereOption(command, &options->where);
  AddConnectionOptions(command, &options->choice);
  AddFormatOption(command, &options->format);
  command->footer("Example:\n  modlab ls\n  modlab ls quickstart --where state=failed");
  command->callback([=] { *action = [=] { return List(*options); }; });
}

}  // namespace modlab
