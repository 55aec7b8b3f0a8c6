#include "client/report/module_exhibits.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/text.h"
#include "lib/config/words.h"

namespace modlab {
namespace {

const std::vector<v1::Metric>& ModuleMetrics() {
  static const auto* const metrics = new std::vector<v1::Metric>{
      v1::COLLAPSE_AVG, v1::COLLAPSE_WORST, v1::ALIGNMENT, v1::ADAPTATION, v1::INVERSE_MI};
  return *metrics;
}

std::vector<std::string> ModuleMetricNames() {
  std::vector<std::string> names;
  for (const v1::Metric metric : ModuleMetrics()) names.push_back(MetricName(metric));
  return names;
}

constexpr char kMetricsText[] =
    "Two metrics of collapse and three of specialisation; lower is better in all. "
    "\"random\" is what the uniform activation matrix would have, computed, not trained. ";

std::vector<Reading> ModuleReadings(const v1::QueryResultsRequest& request,
                                    const v1::QueryResultsResponse& response) {
  std::vector<Reading> readings;
  for (const v1::ResultRow& row : response.rows()) {
    Reading& reading = readings.emplace_back();
    reading.metric = row.metric();
    reading.series = GroupWord(request.group_by(), row.group(), "model");
    reading.category = ArchitectureText(GroupWord(request.group_by(), row.group(), "architecture"));
    reading.y = EstimateOf(row.summary());
    if (!absl::SimpleAtod(GroupWord(request.group_by(), row.group(), "rules"), &reading.x)) {
      reading.x = kNoNumber;
    }
  }
  return readings;
}

// The share of each module under each rule.
HeatPanel HeatOf(const v1::ActivationMatrix& activation) {
  HeatPanel panel;
  panel.row_label = "Rule";
  panel.column_label = "Module";
  const auto rules = static_cast<size_t>(activation.rules());
  const auto modules = static_cast<size_t>(activation.modules());
  if (rules * modules != static_cast<size_t>(activation.values_size())) return panel;
  std::vector<std::vector<double>> shares(rules, std::vector<double>(modules));
  for (size_t rule = 0; rule < rules; ++rule) {
    double total = 0;
    for (size_t module = 0; module < modules; ++module) {
      shares[rule][module] = activation.values(static_cast<int>(rule * modules + module));
      total += shares[rule][module];
    }
    for (double& share : shares[rule]) share = total > 0 ? share / total : kNoNumber;
    panel.rows.push_back(absl::StrCat(rule));
  }
  // By the rule that uses a module most.
  std::vector<size_t> favourite(modules, 0);
  for (size_t module = 0; module < modules; ++module) {
    for (size_t rule = 1; rule < rules; ++rule) {
      if (shares[rule][module] > shares[favourite[module]][module]) favourite[module] = rule;
    }
  }
  std::vector<size_t> order(modules);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return favourite[a] < favourite[b]; });
  for (const size_t module : order) panel.columns.push_back(absl::StrCat(module));
  panel.values.resize(rules);
  for (size_t rule = 0; rule < rules; ++rule) {
    for (const size_t module : order) panel.values[rule].push_back(shares[rule][module]);
  }
  return panel;
}

// The panels that one group's rows make.
using Votes = std::map<std::pair<v1::Contest, v1::Metric>, PiePanel>;

void AddVotes(const std::string& head, const v1::RankRow& row, Votes* votes) {
  if (row.votes_size() < 2 || row.settings() == 0) return;
  PiePanel& panel = (*votes)[{row.contest(), row.metric()}];
  panel.title = absl::StrCat(head, row.metric() == v1::ID ? ", ID" : ", OoD",
                             row.contest() == v1::ALL_MODELS ? "" : ", two types");
  for (const v1::Votes& entry : row.votes()) {
    v1::JobConfig config;
    config.set_model(entry.model());
    panel.shares.push_back({JobFieldWord(config, "model"), entry.votes()});
  }
}

constexpr char kVotesText[] =
    "Votes of settings, a setting being a choice of everything but model type and model seed "
    "(modules, scorer and heads are each type's own default, or one value for all). In each, the "
    "model type with the lowest mean error over the model seeds that all types have finished has "
    "one vote; equals share it. \"two types\" counts modular and monolithic alone. n is the number "
    "of settings that were decided: where all these types have finished a model seed in common.";

// What the pies lack.
std::string WithoutVotesText(const v1::RankModelsResponse& overall) {
  int64_t undecided = 0;
  for (const v1::RankRow& row : overall.rows()) {
    if (row.contest() == v1::ALL_MODELS) undecided = std::max(undecided, row.settings_undecided());
  }
  int64_t left_out = 0;
  for (const v1::LeftOutVariant& variant : overall.left_out()) left_out += variant.jobs();
  std::string text;
  if (undecided > 0) {
    absl::StrAppend(&text, " Between all types together, ", CountText(undecided, "setting"),
                    " could not be decided.");
  }
  if (left_out > 0) {
    absl::StrAppend(&text, " ", CountText(left_out, "job"), left_out == 1 ? " has" : " have",
                    " no vote, for fewer types have their modules, scorer or heads than have the "
                    "defaults: the last section names these.");
  }
  return text;
}

constexpr std::array<std::pair<v1::Contest, v1::Metric>, 4> kContests = {{
    {v1::ALL_MODELS, v1::ID},
    {v1::ALL_MODELS, v1::OOD},
    {v1::MODULAR_AGAINST_MONOLITHIC, v1::ID},
    {v1::MODULAR_AGAINST_MONOLITHIC, v1::OOD},
}};

}  // namespace

v1::QueryResultsRequest AskModulesByRules(const Scope& scope) {
  return AskResults(scope, {"architecture", "model", "rules"}, ModuleMetricNames());
}

std::optional<Exhibit> ModulesByRules(const v1::QueryResultsRequest& request,
                                      const v1::QueryResultsResponse& response) {
  std::vector<Reading> readings = ModuleReadings(request, response);
  if (readings.empty()) return std::nullopt;
  for (Reading& reading : readings) reading.column = reading.category;
  Exhibit exhibit;
  exhibit.name = "modules-rules";
  exhibit.commands = {CommandText(request)};
  exhibit.figure = LineFigure("Collapse and specialisation against the number of rules", readings,
                              ModuleMetrics(), {"Number of rules", Scale::kLog2, {}, {}});
  exhibit.caption = absl::StrCat(kMetricsText, "Mean and 95% interval (Student's t) over jobs; ",
                                 JobsText(exhibit.figure, "point"), SelectionText(response));
  return exhibit;
}

v1::QueryResultsRequest AskModulesOverall(const Scope& scope) {
  return AskResults(scope, {"architecture", "model"}, ModuleMetricNames());
}

std::optional<Exhibit> ModulesOverall(const v1::QueryResultsRequest& request,
                                      const v1::QueryResultsResponse& response) {
  std::vector<Reading> readings = ModuleReadings(request, response);
  if (readings.empty()) return std::nullopt;
  // That over numbers of rules tells nothing about chance.
  for (Reading& reading : readings) {
    if (reading.series == "random") reading.y.low = reading.y.high = kNoNumber;
  }
  Exhibit exhibit;
  exhibit.name = "modules-overall";
  exhibit.commands = {CommandText(request)};
  exhibit.figure =
      BarFigure("Collapse and specialisation overall", readings, ModuleMetrics(), "Architecture");
  exhibit.caption = absl::StrCat(kMetricsText,
                                 "Mean and 95% interval (Student's t) over all jobs of a model "
                                 "type, of \"random\" the mean over the numbers of rules; ",
                                 JobsText(exhibit.figure, "bar"), SelectionText(response));
  return exhibit;
}

const v1::ActivationMatrix* JobActivation(const v1::Job& job, v1::Checkpoint checkpoint) {
  const v1::JobResult& result = job.result();
  const v1::ActivationMatrix* activation = result.has_activation() ? &result.activation() : nullptr;
  if (checkpoint != v1::BEST) return activation;
  if (!result.has_best()) return nullptr;
  // The best weights may be the last.
  if (result.best().metrics().empty()) return activation;
  return result.best().has_activation() ? &result.best().activation() : nullptr;
}

std::optional<Exhibit> Activations(const std::vector<v1::Job>& jobs, v1::Checkpoint checkpoint) {
  std::map<std::pair<v1::Architecture, v1::Target>, std::map<v1::ModelType, const v1::Job*>> rows;
  std::map<v1::ModelType, int> models;
  for (const v1::Job& job : jobs) {
    if (JobActivation(job, checkpoint) == nullptr) continue;
    rows[{job.config().architecture(), job.config().target()}][job.config().model()] = &job;
    ++models[job.config().model()];
  }
  if (rows.empty()) return std::nullopt;
  std::vector<HeatPanel> panels;
  for (const auto& [row, cells] : rows) {
    const v1::JobConfig& config = cells.begin()->second->config();
    for (const auto& [model, count] : models) {
      const auto at = cells.find(model);
      HeatPanel panel;
      panel.row_label = "Rule";
      panel.column_label = "Module";
      v1::JobConfig named = config;
      named.set_model(model);
      if (at != cells.end()) panel = HeatOf(*JobActivation(*at->second, checkpoint));
      panel.title = absl::StrCat(ArchitectureText(JobFieldWord(named, "architecture")), " ",
                                 JobFieldWord(named, "target"), ", ", JobFieldWord(named, "model"));
      panels.push_back(std::move(panel));
    }
  }
  Exhibit exhibit;
  exhibit.name = "activations";
  exhibit.commands = {"modlab show JOB"};
  exhibit.figure = {"How rules use modules", static_cast<int>(models.size()), std::move(panels)};
  exhibit.caption =
      "The share of each module under each rule; a row sums to 1. Each map is one job, that with "
      "the "
      "median alignment (the lower of two) at the largest number of rules, at most 32, that has "
      "finished jobs: the table above names it. Modules stand in the order of the rules that use "
      "them most, so full specialisation is a dark diagonal.";
  return exhibit;
}

v1::RankModelsRequest AskVotesOverall(const Scope& scope) { return AskRank(scope, {}); }

v1::RankModelsRequest AskVotesByArchitecture(const Scope& scope) {
  return AskRank(scope, {"architecture"});
}

std::optional<Exhibit> VotesOfSettings(const v1::RankModelsRequest& overall_request,
                                       const v1::RankModelsResponse& overall,
                                       const v1::RankModelsRequest& apart_request,
                                       const v1::RankModelsResponse& apart) {
  std::vector<std::pair<std::string, Votes>> rows;
  rows.emplace_back("All", Votes());
  for (const v1::RankRow& row : overall.rows()) AddVotes("All", row, &rows[0].second);
  for (const v1::RankRow& row : apart.rows()) {
    const std::string head =
        ArchitectureText(GroupWord(apart_request.group_by(), row.group(), "architecture"));
    if (rows.back().first != head) rows.emplace_back(head, Votes());
    AddVotes(head, row, &rows.back().second);
  }
  // One architecture is all there is.
  if (rows.size() == 2) rows.erase(rows.begin());
  std::vector<std::pair<v1::Contest, v1::Metric>> held;
  for (const auto& contest : kContests) {
    const bool any = std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
      return row.second.find(contest) != row.second.end();
    });
    if (any) held.push_back(contest);
  }
  if (held.empty()) return std::nullopt;
  std::vector<PiePanel> panels;
  for (auto& [head, votes] : rows) {
    for (const auto& contest : held) {
      PiePanel& panel = votes[contest];
      if (panel.title.empty()) panel.title = head;
      panels.push_back(std::move(panel));
    }
  }
  Exhibit exhibit;
  exhibit.name = "votes";
  exhibit.commands = {CommandText(overall_request), CommandText(apart_request)};
  exhibit.figure = {"Which model type wins most settings", static_cast<int>(held.size()),
                    std::move(panels)};
  exhibit.caption = absl::StrCat(kVotesText, WithoutVotesText(overall));
  return exhibit;
}

}  // namespace modlab
