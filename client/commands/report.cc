#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/commands/command.h"
#include "client/report/exhibit.h"
#include "client/report/gaps.h"
#include "client/report/gnuplot.h"
#include "client/report/module_exhibits.h"
#include "client/report/performance_exhibits.h"
#include "client/report/publication.h"
#include "client/report/question.h"
#include "client/report/survey.h"
#include "client/text.h"
#include "lib/config/words.h"
#include "modlab/v1/results.grpc.pb.h"
#include "modlab/v1/sweep.grpc.pb.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  std::string sweep;
  std::string output;
  std::string figures;
  std::vector<std::string> where;
  v1::Checkpoint checkpoint = v1::LAST;
};

void Say(const std::string& text) { std::cerr << "modlab: " << text << std::endl; }

// The questions of a report, one after the other, and what became of them.
class Inquiry {
 public:
  Inquiry(const Connection& connection, Scope scope)
      : connection_(connection), scope_(std::move(scope)), survey_(scope_.checkpoint) {}

  // Looks at every job. An error where none is finished.
  absl::Status LookAtJobs() {
    Say("reading the jobs of " + scope_.sweep);
    const absl::Status visited =
        VisitJobs(connection_, scope_.sweep, scope_.filters, [this](const v1::Job& job) {
          survey_.Add(job);
          return true;
        });
    if (!visited.ok() || survey_.finished() > 0) return visited;
    if (survey_.jobs() == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("no job of ", scope_.sweep, " matches", WhereText(scope_.filters)));
    }
    std::vector<std::string> states;
    for (const auto& [state, count] : survey_.states()) {
      states.push_back(absl::StrCat(CountText(count), " ", StateName(state)));
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "no job of ", scope_.sweep, scope_.filters.empty() ? "" : " that was asked for",
        " is finished (", absl::StrJoin(states, ", "), "): see `modlab watch ", scope_.sweep,
        connection_.flags(), "`, and ask again once some are"));
  }

  absl::StatusOr<Report> Ask() {
    Say("asking for the figures");
    for (const auto& ask : {&Inquiry::Performance, &Inquiry::Modules, &Inquiry::Training,
                            &Inquiry::Sizes, &Inquiry::Lengths, &Inquiry::Votes, &Inquiry::Maps}) {
      const absl::Status status = (this->*ask)();
      if (!status.ok()) return status;
    }
    Report report;
    report.title = absl::StrCat("Sweep ", scope_.sweep);
    for (const v1::Architecture architecture : {v1::MLP, v1::MHA, v1::RNN}) {
      if (survey_.architectures().count(architecture) > 0) continue;
      left_out_.push_back(
          absl::StrCat("No ", v1::Architecture_Name(architecture), " job is finished."));
    }
    report.sections = std::move(sections_);
    report.sections.push_back(WhatIsMissing(survey_, ranking_, report.sections, left_out_));
    return report;
  }

  const Survey& survey() const { return survey_; }

 private:
  // An answer, made into an exhibit by `make`.
  template <typename Request, typename Response>
  absl::Status Show(grpc::Status (v1::ResultsService::Stub::*method)(grpc::ClientContext*,
                                                                     const Request&, Response*),
                    const Request& request,
                    std::optional<Exhibit> (*make)(const Request&, const Response&),
                    const std::string& why_not, ReportSection* section) {
    const auto response = connection_.Call(method, request);
    if (!response.ok()) return response.status();
    Keep(make(request, *response), why_not, section);
    return absl::OkStatus();
  }

  void Keep(std::optional<Exhibit> exhibit, const std::string& why_not, ReportSection* section) {
    if (exhibit) {
      section->exhibits.push_back(*std::move(exhibit));
    } else if (!why_not.empty()) {
      left_out_.push_back(why_not);
    }
  }

  // A section without exhibits is none.
  void Add(ReportSection section) {
    if (!section.exhibits.empty()) sections_.push_back(std::move(section));
  }

  absl::Status Performance() {
    ReportSection section{"Performance and the number of rules", {}, {}, {}};
    const auto status = Show(&v1::ResultsService::Stub::QueryResults, AskPerformanceByRules(scope_),
                             &PerformanceByRules, "", &section);
    if (!status.ok()) return status;
    if (section.exhibits.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "no finished job of ", scope_.sweep,
          " kept a best checkpoint; leave out --checkpoint best for the last weights"));
    }
    Add(std::move(section));
    return absl::OkStatus();
  }

  absl::Status Modules() {
    ReportSection section{"Collapse and specialisation", {}, {}, {}};
    auto status = Show(&v1::ResultsService::Stub::QueryResults, AskModulesByRules(scope_),
                       &ModulesByRules, "No modular model: nothing can collapse.", &section);
    if (!status.ok()) return status;
    status = Show(&v1::ResultsService::Stub::QueryResults, AskModulesOverall(scope_),
                  &ModulesOverall, "", &section);
    Add(std::move(section));
    return status;
  }

  absl::Status Training() {
    ReportSection section{"Training", {}, {}, {}};
    if (scope_.checkpoint == v1::BEST) {
      section.paragraphs.push_back(
          "Curves are those of training, whichever weights the other "
          "figures are about.");
    }
    const struct {
      std::vector<std::string> metrics;
      std::optional<Exhibit> (*make)(const Curves&);
      std::string why_not;
    } kinds[] = {
        {{"eval_loss"}, &LossByIteration, "No curves."},
        {{"eval_accuracy"}, &AccuracyByIteration, "No classification: no accuracy."},
        {{"collapse_avg", "alignment"},
         &CollapseByIteration,
         "No modular model that was measured "
         "while training."},
    };
    for (const auto& kind : kinds) {
      Curves curves;
      curves.requests = AskCurvesOf(scope_, kind.metrics);
      for (const v1::QueryCurvesRequest& request : curves.requests) {
        auto response = connection_.Call(&v1::ResultsService::Stub::QueryCurves, request);
        if (!response.ok()) return response.status();
        curves.responses.push_back(*std::move(response));
      }
      Keep(kind.make(curves), kind.why_not, &section);
    }
    Add(std::move(section));
    return absl::OkStatus();
  }

  absl::Status Sizes() {
    ReportSection section{"Performance and the size of the model", {}, {}, {}};
    const auto status =
        Show(&v1::ResultsService::Stub::QueryResults, AskPerformanceBySize(scope_),
             &PerformanceBySize, "One size of each architecture: no figure by size.", &section);
    Add(std::move(section));
    return status;
  }

  absl::Status Lengths() {
    const auto& there = survey_.architectures();
    // That neither is there is said of each.
    if (there.count(v1::MHA) + there.count(v1::RNN) == 0) return absl::OkStatus();
    ReportSection section{"Performance and the length of sequences", {}, {}, {}};
    const auto status =
        Show(&v1::ResultsService::Stub::QueryResults, AskPerformanceByLength(scope_),
             &PerformanceByLength, "No figures by sequence length.", &section);
    Add(std::move(section));
    return status;
  }

  absl::Status Votes() {
    const v1::RankModelsRequest overall_request = AskVotesOverall(scope_);
    const v1::RankModelsRequest apart_request = AskVotesByArchitecture(scope_);
    auto overall = connection_.Call(&v1::ResultsService::Stub::RankModels, overall_request);
    if (!overall.ok()) return overall.status();
    const auto apart = connection_.Call(&v1::ResultsService::Stub::RankModels, apart_request);
    if (!apart.ok()) return apart.status();
    ReportSection section{"Which model type wins", {}, {}, {}};
    Keep(VotesOfSettings(overall_request, *overall, apart_request, *apart),
         "In no setting have all model types finished a model seed: no votes.", &section);
    ranking_ = *std::move(overall);
    Add(std::move(section));
    return absl::OkStatus();
  }

  absl::Status Maps() {
    std::vector<v1::Job> jobs;
    ReportSection section{"How rules use modules", {}, {}, {}};
    PageTable table;
    table.title = "The jobs of the maps";
    table.sheet.columns = {"architecture", "target", "model", "rules", "job", "alignment", "of n"};
    for (const Survey::Median& median : survey_.Medians()) {
      v1::GetJobRequest request;
      request.set_id(median.job);
      auto job = connection_.Call(&v1::SweepService::Stub::GetJob, request);
      if (!job.ok()) return job.status();
      const v1::JobConfig& config = job->config();
      table.sheet.rows.push_back({JobFieldWord(config, "architecture"),
                                  JobFieldWord(config, "target"), JobFieldWord(config, "model"),
                                  int64_t{median.rules}, median.job, median.alignment,
                                  median.jobs});
      jobs.push_back(*std::move(job));
    }
    Keep(Activations(jobs, scope_.checkpoint),
         "No modular model of at most 32 rules and as many modules: no activation matrices.",
         &section);
    section.tables.push_back(std::move(table));
    Add(std::move(section));
    return absl::OkStatus();
  }

  const Connection& connection_;
  const Scope scope_;
  Survey survey_;
  v1::RankModelsResponse ranking_;
  std::vector<ReportSection> sections_;
  std::vector<std::string> left_out_;
};

std::vector<std::string> Introduction(const Survey& survey, const Scope& scope,
                                      const std::string& figures) {
  std::vector<std::string> intro;
  intro.push_back(absl::StrCat(
      CountText(survey.finished()), " of ", CountText(survey.jobs(), "job"),
      scope.filters.empty() ? "" : absl::StrCat(" selected by", WhereText(scope.filters)),
      " finished, the last at ", TimeText(survey.last_finished_us()),
      ". Figures are of the weights ",
      scope.checkpoint == v1::BEST ? "with the best validation." : "at the end of training."));
  std::vector<std::string> places;
  for (const auto& [place, jobs] : survey.provenances()) {
    places.push_back(absl::StrCat(CountText(jobs, "job"), " on ", place));
  }
  intro.push_back(absl::StrCat("Trained: ", absl::StrJoin(places, "; "),
                               ". This page was made by modlab ", MODLAB_VERSION, "."));
  intro.push_back(absl::StrCat(
      "Below each figure its numbers unfold, with the commands that ask for them (which need "
      "--server or --data-dir where the store is not ./modlab-data). Pictures and numbers are also "
      "files: ",
      std::filesystem::path(figures).filename().string(), "/NAME.svg and NAME.csv."));
  return intro;
}

absl::StatusOr<int> MakeReport(const Options& options) {
  auto filters = ParseWhere(options.where);
  if (!filters.ok()) return filters.status();
  // Before anything that takes long.
  if (const auto gnuplot = RunGnuplot(""); !gnuplot.ok()) return gnuplot.status();
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  v1::GetSweepRequest request;
  request.set_sweep(options.sweep);
  auto sweep = (*connection)->Call(&v1::SweepService::Stub::GetSweep, request);
  if (!sweep.ok()) return sweep.status();

  const Scope scope = {sweep->id(), *std::move(filters), options.checkpoint};
  const std::string output = options.output.empty() ? sweep->id() + ".html" : options.output;
  std::string figures = options.figures;
  if (figures.empty()) figures = absl::StrCat(absl::StripSuffix(output, ".html"), "-figures");
  while (figures.size() > 1 && figures.back() == '/') figures.pop_back();
  Inquiry inquiry(**connection, scope);
  if (const auto status = inquiry.LookAtJobs(); !status.ok()) return status;
  auto report = inquiry.Ask();
  if (!report.ok()) return report.status();
  report->intro = Introduction(inquiry.survey(), scope, figures);
  if (const auto status = Publish(*report, output, figures, Say); !status.ok()) return status;
  std::cout << output << ": " << CountText(inquiry.survey().finished(), "finished job")
            << "; pictures and numbers in " << figures << "\n";
  return kExitOk;
}

}  // namespace

void AddReport(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand(
      "report", "The paper's figures of a sweep, as one HTML page; needs gnuplot");
  AddSweepArgument(command, &options->sweep);
  command->add_option("-o,--output", options->output, "Page to write; default ID.html of the sweep")
      ->type_name("FILE.html");
  command
      ->add_option("--figures", options->figures,
                   "Directory for every figure as .svg and .csv; default FILE-figures")
      ->type_name("DIR");
  AddWhereOption(command, &options->where);
  AddCheckpointOption(command, &options->checkpoint);
  AddConnectionOptions(command, &options->choice);
  command->footer(
      "The page is self-contained. It shows whatever is finished, and says what is missing.\n"
      "Files in DIR of the same names are replaced; others that an earlier report wrote there are\n"
      "removed, unless they were changed since.\n"
      "Example:\n  modlab report quickstart -o quickstart.html --checkpoint best\n"
      "  modlab report quickstart --where target=regression --figures figures");
  command->callback([=] { *action = [=] { return MakeReport(*options); }; });
}

}  // namespace modlab
