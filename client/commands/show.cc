#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands/command.h"
#include "client/format.h"
#include "client/job_row.h"
#include "client/table.h"
#include "client/text.h"
#include "lib/config/job_metrics.h"
#include "lib/config/words.h"
#include "modlab/v1/sweep.grpc.pb.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  std::string what;
  Format format = Format::kTable;
};

// The best checkpoint: when it was, and its figures.
void AddBest(const v1::Job& job, std::vector<std::string>* columns, std::vector<Cell>* cells) {
  const MetricValues* metrics = JobMetrics(job, v1::BEST);
  columns->push_back("best_iteration");
  cells->push_back(job.result().best().iteration());
  for (const v1::Metric metric : {v1::ID, v1::OOD}) {
    const std::optional<double> value = FindMetric(metrics, metric);
    columns->push_back(absl::StrCat("best_", MetricName(metric)));
    cells->push_back(value ? Cell(*value) : Cell());
  }
}

// In and out of distribution, sequence length by sequence length.
std::string LengthsText(const v1::Job& job) {
  const MetricValues& metrics = job.result().metrics();
  const auto text = [&metrics](int number) {
    const std::optional<double> value = FindMetric(&metrics, static_cast<v1::Metric>(number));
    return value ? NumberText(*value) : "-";
  };
  Table table;
  table.columns = {{"length", true}, {"id", true}, {"ood", true}};
  for (const v1::Metric metric : MetricsByLength(job)) {
    // ID and OOD at length n are the metrics 100 + n and 200 + n.
    const int length = metric - 100;
    if (length >= 100) break;
    table.rows.push_back({absl::StrCat(length), text(metric), text(metric + 100)});
  }
  return TableText(table);
}

absl::Status ShowJob(const Connection& connection, int64_t id, Format format) {
  v1::GetJobRequest request;
  request.set_id(id);
  auto job = connection.Call(&v1::SweepService::Stub::GetJob, request);
  if (!job.ok()) return job.status();
  const std::set<v1::Metric> by_length = MetricsByLength(*job);
  // People get those as a table of their own.
  const std::set<v1::Metric> in_row = format == Format::kTable ? std::set<v1::Metric>() : by_length;
  std::vector<std::string> columns = JobColumns(in_row);
  std::vector<Cell> cells = JobCells(*job, in_row);
  if (job->result().has_best()) AddBest(*job, &columns, &cells);
  WriteRecord(format, columns, cells, &std::cout);
  if (format == Format::kTable && !by_length.empty()) std::cout << "\n" << LengthsText(*job);
  return absl::OkStatus();
}

// "model=[modular gt_modular] rules=[2 4]; ...", grid by grid.
std::string GridsText(const v1::SweepSpec& spec) {
  std::vector<std::string> grids;
  for (const v1::Grid& grid : spec.grids()) {
    std::vector<std::string> axes;
    for (const v1::Axis& axis : grid.axes()) {
      axes.push_back(absl::StrCat(axis.field(), "=[", absl::StrJoin(axis.values(), " "), "]"));
    }
    grids.push_back(absl::StrJoin(axes, " "));
  }
  return absl::StrJoin(grids, "; ");
}

std::string DefaultsText(const v1::JobConfig& defaults) {
  std::vector<std::string> words;
  for (const std::string& field : JobFieldNames()) {
    const std::string word = JobFieldWord(defaults, field);
    if (!word.empty()) words.push_back(absl::StrCat(field, "=", word));
  }
  return absl::StrJoin(words, " ");
}

absl::Status ShowSweep(const Connection& connection, const std::string& id, Format format) {
  v1::GetSweepRequest request;
  request.set_sweep(id);
  auto sweep = connection.Call(&v1::SweepService::Stub::GetSweep, request);
  if (!sweep.ok()) return sweep.status();
  const v1::JobCounts& counts = sweep->counts();
  WriteRecord(
      format,
      {"id", "name", "created", "cancelled_at", "queued", "running", "succeeded", "failed",
       "cancelled", "iterations_done", "iterations_total", "iterations_per_second", "defaults",
       "grids"},
      {sweep->id(), sweep->name(), TextCell(TimeText(sweep->created_us())),
       TextCell(TimeText(sweep->cancelled_us())), counts.queued(), counts.running(),
       counts.succeeded(), counts.failed(), counts.cancelled(), sweep->iterations_done(),
       sweep->iterations_total(), sweep->iterations_per_second(),
       TextCell(DefaultsText(sweep->spec().defaults())), TextCell(GridsText(sweep->spec()))},
      &std::cout);
  return absl::OkStatus();
}

absl::StatusOr<int> Show(const Options& options) {
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  // Names of sweeps begin with a letter.
  int64_t job = 0;
  const absl::Status shown = absl::SimpleAtoi(options.what, &job)
                                 ? ShowJob(**connection, job, options.format)
                                 : ShowSweep(**connection, options.what, options.format);
  if (!shown.ok()) return shown;
  return kExitOk;
}

}  // namespace

void AddShow(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand("show", "All that is known of one sweep or one job");
  command->add_option("SWEEP|JOB", options->what, "A sweep's id or name, or a job's number")
      ->type_name("")
      ->required();
  AddConnectionOptions(command, &options->choice);
  AddFormatOption(command, &options->format);
  command->footer("Example:\n  modlab show quickstart\n  modlab show 42");
  command->callback([=] { *action = [=] { return Show(*options); }; });
}

}  // namespace modlab
