#include <algorithm>
#include <cmath>
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
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/commands/command.h"
#include "client/commands/results.h"
#include "client/format.h"
#include "client/table.h"
#include "client/text.h"
#include "lib/config/words.h"
#include "modlab/v1/results.grpc.pb.h"

namespace modlab {
namespace {

constexpr char kCompareGroupsDefault[] = "architecture,target";
constexpr int kVerdictsShown = 20;

struct Options {
  Connection::Choice choice;
  std::string sweep;
  std::vector<std::string> a;
  std::vector<std::string> b;
  std::string metric;
  std::string group_by = kCompareGroupsDefault;
  bool group_by_given = false;
  std::vector<std::string> where;
  v1::Checkpoint checkpoint = v1::LAST;
  bool per_task = false;
  Format format = Format::kTable;
};

std::string ProbabilityText(bool has, double p) { return has ? absl::StrFormat("%.2g", p) : "-"; }

Cell IfThere(bool has, double value) { return has ? Cell(value) : Cell(); }

void PrintTable(const v1::ComparePairsRequest& request, const v1::ComparePairsResponse& response) {
  Table table;
  for (const std::string& field : request.group_by()) table.columns.push_back({field, false});
  for (const char* name : {"n", "a", "b", "a - b", "t", "p", "a lower", "b lower", "equal",
                           "sign p", "missing a", "missing b"}) {
    table.columns.push_back({name, true});
  }
  for (const v1::PairRow& row : response.rows()) {
    std::vector<std::string> cells(row.group().begin(), row.group().end());
    std::replace(cells.begin(), cells.end(), std::string(), std::string("-"));
    const bool any = row.difference().n() > 0;
    cells.push_back(CountText(row.difference().n()));
    cells.push_back(any ? NumberText(row.a().mean()) : "-");
    cells.push_back(any ? NumberText(row.b().mean()) : "-");
    cells.push_back(any ? MeanText(row.difference()) : "-");
    cells.push_back(row.has_t() ? absl::StrFormat("%.2f", row.t()) : "-");
    cells.push_back(ProbabilityText(row.has_t_test_p(), row.t_test_p()));
    cells.push_back(CountText(row.a_lower()));
    cells.push_back(CountText(row.b_lower()));
    cells.push_back(CountText(row.equal()));
    cells.push_back(ProbabilityText(row.has_sign_test_p(), row.sign_test_p()));
    cells.push_back(CountText(row.missing_a()));
    cells.push_back(CountText(row.missing_b()));
    table.rows.push_back(std::move(cells));
  }
  std::cout << TableText(table);
}

void PrintRows(const v1::ComparePairsRequest& request, const v1::ComparePairsResponse& response,
               Format format) {
  std::vector<std::string> columns(request.group_by().begin(), request.group_by().end());
  columns.push_back("metric");
  // Of the difference a - b.
  for (std::string& column : SummaryColumns()) {
    columns.push_back(column == "mean" ? "difference" : std::move(column));
  }
  columns.insert(columns.end(),
                 {"a_mean", "a_sd", "b_mean", "b_sd", "t", "t_test_p", "a_lower", "b_lower",
                  "equal", "sign_test_p", "missing_a", "missing_b", "without_metric_a",
                  "without_metric_b", "without_best_a", "without_best_b"});
  RowWriter writer(format, columns, &std::cout);
  for (const v1::PairRow& row : response.rows()) {
    std::vector<Cell> cells;
    for (int i = 0; i < row.group_size(); ++i) {
      cells.push_back(WordCell(request.group_by(i), row.group(i)));
    }
    cells.push_back(request.metric());
    const bool any = row.difference().n() > 0;
    std::vector<Cell> difference = SummaryCells(row.difference());
    // Without pairs there is a count of 0, and no zeros for what was not measured.
    if (!any) std::fill(difference.begin() + 1, difference.end(), Cell());
    for (Cell& cell : difference) cells.push_back(std::move(cell));
    for (const v1::Summary* side : {&row.a(), &row.b()}) {
      cells.push_back(IfThere(any, side->mean()));
      cells.push_back(IfThere(side->has_sd(), side->sd()));
    }
    cells.push_back(IfThere(row.has_t(), row.t()));
    cells.push_back(IfThere(row.has_t_test_p(), row.t_test_p()));
    cells.push_back(row.a_lower());
    cells.push_back(row.b_lower());
    cells.push_back(row.equal());
    cells.push_back(IfThere(row.has_sign_test_p(), row.sign_test_p()));
    cells.push_back(row.missing_a());
    cells.push_back(row.missing_b());
    cells.push_back(row.without_metric_a());
    cells.push_back(row.without_metric_b());
    cells.push_back(row.without_best_a());
    cells.push_back(row.without_best_b());
    writer.Add(cells);
  }
  writer.Finish();
}

std::string SideText(const google::protobuf::RepeatedPtrField<v1::FieldFilter>& filters) {
  std::vector<std::string> parts;
  for (const v1::FieldFilter& filter : filters) {
    parts.push_back(absl::StrCat(filter.field(), "=", absl::StrJoin(filter.values(), ",")));
  }
  return absl::StrJoin(parts, " ");
}

// What a row says, in words.
std::string Verdict(const v1::ComparePairsRequest& request, const v1::PairRow& row) {
  std::vector<std::string> group;
  for (int i = 0; i < row.group_size(); ++i) {
    if (!row.group(i).empty()) group.push_back(request.group_by(i) + "=" + row.group(i));
  }
  const std::string start = group.empty() ? "" : absl::StrJoin(group, " ") + ": ";
  const v1::Summary& difference = row.difference();
  if (difference.n() == 0) return absl::StrCat(start, "there are no pairs of finished jobs.");
  std::string a = SideText(request.a());
  std::string b = SideText(request.b());
  const std::string over = absl::StrCat(
      " over ", CountText(difference.n(), request.average_model_seeds() ? "task" : "pair"));
  if (difference.mean() == 0) {
    return absl::StrCat(start, "the mean ", request.metric(), " of ", a, " and of ", b,
                        " is the same", over, ".");
  }
  if (difference.mean() > 0) std::swap(a, b);
  // Of how well something is done, less is better; of how large it is, it is not.
  const bool lower_is_better = request.metric() != MetricName(v1::PARAMETERS);
  std::string text =
      absl::StrCat(start, a, " has the lower ", lower_is_better ? "(better) " : "",
                   request.metric(), ", by ", NumberText(std::abs(difference.mean())), over, "; ");
  if (!difference.has_ci95_low()) return text + "one alone has no interval.";
  const bool excludes = difference.ci95_low() > 0 || difference.ci95_high() < 0;
  absl::StrAppend(&text, "the 95% interval of the difference ",
                  excludes ? "excludes 0." : "includes 0: no difference is shown.");
  return text;
}

// Why finished jobs are missing.
void PrintWithout(const v1::ComparePairsRequest& request,
                  const v1::ComparePairsResponse& response) {
  int64_t metric[2] = {0, 0};
  int64_t best[2] = {0, 0};
  for (const v1::PairRow& row : response.rows()) {
    metric[0] += row.without_metric_a();
    metric[1] += row.without_metric_b();
    best[0] += row.without_best_a();
    best[1] += row.without_best_b();
  }
  const std::string sides[] = {SideText(request.a()), SideText(request.b())};
  for (const int side : {0, 1}) {
    if (metric[side] > 0) {
      std::cout << CountText(metric[side], "finished job") << " of " << sides[side]
                << " without the metric " << request.metric() << ".\n";
    }
    if (best[side] > 0) {
      std::cout << CountText(best[side], "finished job") << " of " << sides[side]
                << " without a best checkpoint.\n";
    }
  }
}

absl::Status FillRequest(const Options& options, v1::ComparePairsRequest* request) {
  const auto where = ParseWhere(options.where);
  if (!where.ok()) return where.status();
  const auto a = ParseWhere(options.a, "--a");
  if (!a.ok()) return a.status();
  const auto b = ParseWhere(options.b, "--b");
  if (!b.ok()) return b.status();
  request->set_sweep(options.sweep);
  request->mutable_filters()->Assign(where->begin(), where->end());
  request->mutable_a()->Assign(a->begin(), a->end());
  request->mutable_b()->Assign(b->begin(), b->end());
  request->set_metric(absl::AsciiStrToLower(options.metric));
  request->set_checkpoint(options.checkpoint);
  request->set_average_model_seeds(options.per_task);
  for (std::string& field : SplitList(options.group_by)) {
    const bool named = std::any_of(a->begin(), a->end(), [&field](const v1::FieldFilter& filter) {
      return filter.field() == field;
    });
    // The default gives way to the sides.
    if (options.group_by_given || !named) request->add_group_by(std::move(field));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Compare(const Options& options) {
  v1::ComparePairsRequest request;
  const absl::Status filled = FillRequest(options, &request);
  if (!filled.ok()) return filled;
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  const auto response = (*connection)->Call(&v1::ResultsService::Stub::ComparePairs, request);
  if (!response.ok()) return response.status();
  if (options.format != Format::kTable) {
    PrintRows(request, *response, options.format);
    return kExitOk;
  }
  PrintTable(request, *response);
  std::cout << "a: " << SideText(request.a()) << "; b: " << SideText(request.b()) << "; "
            << request.metric() << ". a - b: mean ± half the width of its 95% interval over n "
            << (options.per_task ? "tasks, means over their model seeds" : "pairs")
            << "; t, p: paired t test; sign p: exact sign test.\n";
  if (response->rows().empty()) std::cout << "No jobs on either side.\n";
  PrintWithout(request, *response);
  const int shown = std::min(response->rows_size(), kVerdictsShown);
  for (int i = 0; i < shown; ++i) std::cout << Verdict(request, response->rows(i)) << "\n";
  if (response->rows_size() > shown) {
    std::cout << "And " << CountText(response->rows_size() - shown) << " more.\n";
  }
  return kExitOk;
}

}  // namespace

void AddCompare(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand(
      "compare", "Two sides of a sweep, pair by pair of jobs that differ in nothing else");
  AddSweepArgument(command, &options->sweep);
  AddFilterOption(command, "--a", "Jobs of side a, e.g. model=modular; may be repeated",
                  &options->a)
      ->required();
  AddFilterOption(command, "--b", "Jobs of side b, by the same fields, e.g. model=monolithic",
                  &options->b)
      ->required();
  command->add_option("--metric", options->metric, std::string(kMetricNames) + "; e.g. ood")
      ->type_name("METRIC")
      ->required();
  command
      ->add_option_function<std::string>(
          "--group-by",
          [options = options.get()](const std::string& fields) {
            options->group_by = fields;
            options->group_by_given = true;
          },
          std::string("Fields to compare apart by; default ") + kCompareGroupsDefault +
              ", less what --a and --b name")
      ->type_name("FIELD,...");
  command->add_flag(
      "--per-task", options->per_task,
      "Average pairs that differ in model_seed alone first: n is the number of tasks");
  AddWhereOption(command, &options->where);
  AddCheckpointOption(command, &options->checkpoint);
  AddConnectionOptions(command, &options->choice);
  AddFormatOption(command, &options->format);
  command->footer(
      "The tests take pairs as independent. Pairs of one task that differ in model_seed alone are "
      "not quite;\n--per-task makes one of them.\n"
      "Example:\n  modlab compare quickstart --a model=modular --b model=monolithic --metric ood "
      "--group-by target,rules");
  command->callback([=] { *action = [=] { return Compare(*options); }; });
}

}  // namespace modlab
