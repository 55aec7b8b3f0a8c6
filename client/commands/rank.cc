#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands/command.h"
#include "client/format.h"
#include "client/text.h"
#include "lib/config/words.h"
#include "modlab/v1/results.grpc.pb.h"

namespace modlab {
namespace {

constexpr char kRankGroupsDefault[] = "architecture,target";
constexpr int kNamedMax = 20;

struct Options {
  Connection::Choice choice;
  std::string sweep;
  std::string group_by = kRankGroupsDefault;
  std::vector<std::string> where;
  v1::Checkpoint checkpoint = v1::LAST;
  Format format = Format::kTable;
};

std::string ModelName(v1::ModelType model) {
  return absl::AsciiStrToLower(v1::ModelType_Name(model));
}

// One row a group, contest and metric; one column a model type.
void PrintRows(const v1::RankModelsRequest& request, const v1::RankModelsResponse& response,
               Format format, std::ostream* out) {
  std::set<v1::ModelType> models;
  for (const v1::RankRow& row : response.rows()) {
    for (const v1::Votes& votes : row.votes()) models.insert(votes.model());
  }
  std::vector<std::string> columns(request.group_by().begin(), request.group_by().end());
  columns.insert(columns.end(), {"contest", "metric"});
  for (const v1::ModelType model : models) {
    columns.push_back(ModelName(model));
  }
  columns.insert(columns.end(), {"settings", "undecided"});
  RowWriter writer(format, columns, out);
  for (const v1::RankRow& row : response.rows()) {
    std::vector<Cell> cells;
    for (int i = 0; i < row.group_size(); ++i) {
      cells.push_back(WordCell(request.group_by(i), row.group(i)));
    }
    cells.push_back(absl::AsciiStrToLower(v1::Contest_Name(row.contest())));
    cells.push_back(MetricName(row.metric()));
    std::map<v1::ModelType, double> votes;
    for (const v1::Votes& entry : row.votes()) votes[entry.model()] = entry.votes();
    for (const v1::ModelType model : models) {
      const auto at = votes.find(model);
      cells.push_back(at == votes.end() ? Cell() : Cell(at->second));
    }
    cells.push_back(row.settings());
    cells.push_back(row.settings_undecided());
    writer.Add(cells);
  }
  writer.Finish();
}

// One object: the rows, and the settings that lack jobs.
void PrintJson(const v1::RankModelsRequest& request, const v1::RankModelsResponse& response) {
  std::ostringstream rows;
  PrintRows(request, response, Format::kJson, &rows);
  nlohmann::ordered_json answer;
  answer["rows"] = nlohmann::ordered_json::parse(rows.str());
  answer["incomplete"] = nlohmann::ordered_json::array();
  for (const v1::IncompleteSetting& setting : response.incomplete()) {
    answer["incomplete"].push_back({{"setting", setting.setting()},
                                    {"missing", setting.missing()},
                                    {"decided", setting.decided()}});
  }
  answer["incomplete_total"] = response.incomplete_total();
  answer["left_out"] = nlohmann::ordered_json::array();
  for (const v1::LeftOutVariant& variant : response.left_out()) {
    answer["left_out"].push_back({{"model", ModelName(variant.model())},
                                  {"choices", variant.choices()},
                                  {"jobs", variant.jobs()}});
  }
  answer["jobs_failed"] = response.jobs_failed();
  answer["jobs_cancelled"] = response.jobs_cancelled();
  std::cout << answer.dump(2) << "\n";
}

void PrintIncomplete(const v1::RankModelsResponse& response) {
  if (response.incomplete_total() == 0) return;
  std::cout << CountText(response.incomplete_total(), "setting") << " with missing jobs:\n";
  const int shown = std::min(response.incomplete_size(), kNamedMax);
  for (int i = 0; i < shown; ++i) {
    const v1::IncompleteSetting& setting = response.incomplete(i);
    std::cout << "  "
              << (setting.setting().empty() ? "the only one"
                                            : absl::StrJoin(setting.setting(), " "))
              << ": " << absl::StrJoin(setting.missing(), "; ")
              << (setting.decided() ? " (decided by the others)" : " (undecided)") << "\n";
  }
  if (response.incomplete_total() > shown) {
    std::cout << "  and " << CountText(response.incomplete_total() - shown) << " more\n";
  }
}

void PrintLeftOut(const v1::RankModelsResponse& response) {
  if (response.left_out().empty()) return;
  std::cout << "Left out of the votes, for fewer model types have them than the defaults:\n";
  const int shown = std::min(response.left_out_size(), kNamedMax);
  for (int i = 0; i < shown; ++i) {
    const v1::LeftOutVariant& variant = response.left_out(i);
    std::cout << "  " << ModelName(variant.model()) << " with "
              << absl::StrJoin(variant.choices(), " ") << ": " << CountText(variant.jobs(), "job")
              << "\n";
  }
  if (response.left_out_size() > shown) {
    std::cout << "  and " << CountText(response.left_out_size() - shown) << " more\n";
  }
}

// "" if there are none.
std::string EndedText(const v1::RankModelsResponse& response) {
  std::vector<std::string> parts;
  if (response.jobs_failed() > 0) {
    parts.push_back(CountText(response.jobs_failed(), "job") + " failed");
  }
  if (response.jobs_cancelled() > 0) {
    parts.push_back(CountText(response.jobs_cancelled(), "job") + " cancelled");
  }
  return absl::StrJoin(parts, ", ");
}

absl::StatusOr<int> Rank(const Options& options) {
  auto filters = ParseWhere(options.where);
  if (!filters.ok()) return filters.status();
  v1::RankModelsRequest request;
  request.set_sweep(options.sweep);
  request.mutable_filters()->Assign(filters->begin(), filters->end());
  for (std::string& field : SplitList(options.group_by)) request.add_group_by(std::move(field));
  request.set_checkpoint(options.checkpoint);
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  const auto response = (*connection)->Call(&v1::ResultsService::Stub::RankModels, request);
  if (!response.ok()) return response.status();
  if (options.format == Format::kJson) {
    PrintJson(request, *response);
    return kExitOk;
  }
  PrintRows(request, *response, options.format, &std::cout);
  const std::string ended = EndedText(*response);
  if (options.format == Format::kTable) {
    std::cout << (response->rows().empty()
                      ? "No jobs in this selection.\n"
                      : "Votes of settings; in each the model with the lowest mean over the model "
                        "seeds that all have finished has one, equals share it.\n");
    PrintIncomplete(*response);
    PrintLeftOut(*response);
    if (!ended.empty()) std::cout << ended << ".\n";
    return kExitOk;
  }
  if (response->incomplete_total() > 0) {
    std::cerr << "modlab: " << CountText(response->incomplete_total(), "setting")
              << " with missing jobs; --format json names them\n";
  }
  if (!response->left_out().empty()) {
    std::cerr << "modlab: variants were left out; --format json names them\n";
  }
  if (!ended.empty()) std::cerr << "modlab: " << ended << "\n";
  return kExitOk;
}

}  // namespace

void AddRank(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand(
      "rank", "Which model type wins most settings: votes, and what is missing");
  AddSweepArgument(command, &options->sweep);
  command
      ->add_option("--group-by", options->group_by,
                   std::string("Fields to count votes apart by; default ") + kRankGroupsDefault)
      ->type_name("FIELD,...");
  AddWhereOption(command, &options->where);
  AddCheckpointOption(command, &options->checkpoint);
  AddConnectionOptions(command, &options->choice);
  AddFormatOption(command, &options->format);
  command->footer(
      "A setting is a choice of everything but model and model_seed; modules, scorer and heads "
      "have "
      "each\nmodel's default in it, or one value that is named. The model with the lowest mean "
      "over "
      "the model seeds\nthat all contestants have finished has its vote. A choice of modules, "
      "scorer or heads that fewer\nmodels have than the defaults is left out, and named.\n"
      "Example:\n  modlab rank quickstart --group-by target,rules --checkpoint best");
  command->callback([=] { *action = [=] { return Rank(*options); }; });
}

}  // namespace modlab
