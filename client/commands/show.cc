#include <algorithm>
#include <cstdint>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/commands/command.h"
#include "client/commands/events.h"
#include "client/commands/watch.h"
#include "client/format.h"
#include "client/job_row.h"
#include "client/policy.h"
#include "client/report/module_exhibits.h"
#include "client/table.h"
#include "client/text.h"
#include "lib/config/job_metrics.h"
#include "lib/config/words.h"
#include "modlab/v1/sweep.grpc.pb.h"

namespace modlab {
namespace {

// Of a matrix, so many rules and modules fit a terminal.
constexpr int kMatrixShownMax = 16;

struct Options {
  Connection::Choice choice;
  std::string what;
  bool events = false;
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

// Of a job without a result: where it goes on, and what its failures meant for it.
void AddOutlook(const v1::Job& job, std::vector<std::string>* columns, std::vector<Cell>* cells) {
  const auto add = [&](const char* column, Cell cell) {
    columns->emplace_back(column);
    cells->push_back(std::move(cell));
  };
  add("checkpoint_iteration", job.has_checkpoint() ? Cell(job.checkpoint().iteration()) : Cell());
  add("failures", job.failures() > 0 ? Cell(int64_t{job.failures()}) : Cell());
  add("not_before", TextCell(TimeText(job.not_before_us())));
  add("quarantined", TextCell(job.failure().quarantined() ? "yes" : ""));
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

// Numbers as a person can take in at once: a rule a row, a module a column.
std::string MatrixText(const std::string& title, const v1::ActivationMatrix& activation) {
  const int rules = activation.rules();
  const int modules = activation.modules();
  const std::string head = absl::StrCat("\n", title, ", ", rules, " rules x ", modules, " modules");
  if (rules > kMatrixShownMax || modules > kMatrixShownMax ||
      rules * modules != activation.values_size()) {
    return absl::StrCat(head, ": --format json prints it\n");
  }
  Table table;
  table.columns = {{"rule", true}};
  for (int module = 0; module < modules; ++module) {
    table.columns.push_back({absl::StrCat(module), true});
  }
  for (int rule = 0; rule < rules; ++rule) {
    std::vector<std::string>& row = table.rows.emplace_back();
    row.push_back(absl::StrCat(rule));
    for (int module = 0; module < modules; ++module) {
      row.push_back(absl::StrFormat("%.4f", activation.values(rule * modules + module)));
    }
  }
  return absl::StrCat(head, "; all numbers together make 1\n", TableText(table));
}

// Rule by rule; null where there is none.
nlohmann::ordered_json MatrixJson(const v1::ActivationMatrix* activation) {
  if (activation == nullptr) return nullptr;
  auto rows = nlohmann::ordered_json::array();
  for (int i = 0; i < activation->values_size(); ++i) {
    if (i % std::max(activation->modules(), 1) == 0) {
      rows.push_back(nlohmann::ordered_json::array());
    }
    rows.back().push_back(activation->values(i));
  }
  return rows;
}

// The record as ever, and in it the matrices.
void PrintJson(const v1::Job& job, const std::vector<std::string>& columns,
               const std::vector<Cell>& cells) {
  std::ostringstream record;
  WriteRecord(Format::kJson, columns, cells, &record);
  auto rows = nlohmann::ordered_json::parse(record.str());
  rows[0]["activation"] = MatrixJson(JobActivation(job, v1::LAST));
  if (job.result().has_best()) {
    rows[0]["best_activation"] = MatrixJson(JobActivation(job, v1::BEST));
  }
  std::cout << "[\n  " << rows[0].dump() << "\n]\n";
}

void PrintTables(const v1::Job& job) {
  if (!MetricsByLength(job).empty()) std::cout << "\n" << LengthsText(job);
  const v1::ActivationMatrix* const last = JobActivation(job, v1::LAST);
  const v1::ActivationMatrix* const best = JobActivation(job, v1::BEST);
  if (last != nullptr) std::cout << MatrixText("Activation matrix", *last);
  if (best != nullptr && best != last) {
    std::cout << MatrixText("Activation matrix of the best checkpoint", *best);
  }
}

absl::Status ShowJob(const Connection& connection, int64_t id, Format format) {
  v1::GetJobRequest request;
  request.set_id(id);
  auto job = connection.Call(&v1::SweepService::Stub::GetJob, request);
  if (!job.ok()) return job.status();
  // People get those by length as a table of their own.
  const std::set<v1::Metric> in_row =
      format == Format::kTable ? std::set<v1::Metric>() : MetricsByLength(*job);
  std::vector<std::string> columns = JobColumns(in_row);
  std::vector<Cell> cells = JobCells(*job, in_row);
  if (job->result().has_best()) AddBest(*job, &columns, &cells);
  if (!job->has_result()) AddOutlook(*job, &columns, &cells);
  if (format == Format::kJson) {
    PrintJson(*job, columns, cells);
    return absl::OkStatus();
  }
  WriteRecord(format, columns, cells, &std::cout);
  if (format == Format::kTable) PrintTables(*job);
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
  const v1::SweepPolicy& policy = sweep->policy();
  // For people, what is as by default is not there.
  const bool table = format == Format::kTable;
  const auto number = [table](int64_t value) { return table && value == 0 ? Cell() : Cell(value); };
  const auto answer = [table](bool value) {
    return table && !value ? Cell() : Cell(std::string(value ? "yes" : "no"));
  };
  WriteRecord(format,
              {"id",
               "name",
               "created",
               "cancelled_at",
               "queued",
               "running",
               "succeeded",
               "failed",
               "cancelled",
               "iterations_done",
               "iterations_total",
               "iterations_per_second",
               "user",
               "priority",
               "max_running",
               "paused",
               "preempt",
               "requires",
               "defaults",
               "grids"},
              {sweep->id(),
               sweep->name(),
               TextCell(TimeText(sweep->created_us())),
               TextCell(TimeText(sweep->cancelled_us())),
               counts.queued(),
               counts.running(),
               counts.succeeded(),
               counts.failed(),
               counts.cancelled(),
               sweep->iterations_done(),
               sweep->iterations_total(),
               sweep->iterations_per_second(),
               TextCell(sweep->user()),
               number(policy.priority()),
               number(policy.max_running()),
               answer(policy.paused()),
               answer(policy.preempt()),
               TextCell(RequirementsText(policy.requirements())),
               TextCell(DefaultsText(sweep->spec().defaults())),
               TextCell(GridsText(sweep->spec()))},
              &std::cout);
  const std::string why = table ? WhySweepWaits(connection, *sweep) : "";
  if (!why.empty()) std::cout << why << "\n";
  return absl::OkStatus();
}

absl::StatusOr<int> Show(const Options& options) {
  // Names of sweeps begin with a letter.
  int64_t job = 0;
  const bool is_job = absl::SimpleAtoi(options.what, &job);
  if (options.events && !is_job) {
    return absl::InvalidArgumentError(
        absl::StrCat("--events is of one job: give its number; `modlab ls ", options.what,
                     "` lists those of a sweep"));
  }
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  const absl::Status shown = options.events ? PrintJobEvents(**connection, job, options.format)
                             : is_job       ? ShowJob(**connection, job, options.format)
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
  command->add_flag("--events", options->events,
                    "Of a job: every change of its state, with time, worker and cause");
  AddConnectionOptions(command, &options->choice);
  AddFormatOption(command, &options->format);
  command->footer(
      "Of a job also its activation matrix, up to 16 rules and modules; larger ones with --format "
      "json.\n"
      "Example:\n  modlab show quickstart\n  modlab show 42\n  modlab show 42 --events");
  command->callback([=] { *action = [=] { return Show(*options); }; });
}

}  // namespace modlab
