#include "client/report/gaps.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/format.h"
#include "client/report/exhibit.h"
#include "client/report/figure.h"
#include "client/text.h"
#include "lib/config/words.h"

namespace modlab {
namespace {

// Of a message, so much stands in the table.
constexpr size_t kMessageMax = 160;

PageTable States(const Survey& survey) {
  PageTable table{"Jobs by state", {{"state", "jobs"}, {}}};
  for (const auto& [state, count] : survey.states()) {
    table.sheet.rows.push_back({StateName(state), count});
  }
  return table;
}

PageTable Failures(const Survey& survey) {
  PageTable table{"Failed jobs", {{"reason", "jobs", "for example job", "which says"}, {}}};
  for (const auto& [cause, failures] : survey.failures()) {
    std::string message = failures.message;
    if (message.size() > kMessageMax) message = absl::StrCat(message.substr(0, kMessageMax), "...");
    table.sheet.rows.push_back({CauseName(cause), failures.jobs, failures.job, message});
  }
  return table;
}

PageTable Settings(const v1::RankModelsResponse& ranking) {
  PageTable table{"Settings that lack jobs", {{"setting", "vote", "missing"}, {}}};
  for (const v1::IncompleteSetting& setting : ranking.incomplete()) {
    table.sheet.rows.push_back(
        {setting.setting().empty() ? std::string("the only one")
                                   : absl::StrJoin(setting.setting(), " "),
         std::string(setting.decided() ? "decided by the others" : "undecided"),
         absl::StrJoin(setting.missing(), "; ")});
  }
  return table;
}

PageTable Variants(const v1::RankModelsResponse& ranking) {
  PageTable table{"Variants without votes: fewer model types have them than the defaults",
                  {{"model", "choices", "jobs"}, {}}};
  for (const v1::LeftOutVariant& variant : ranking.left_out()) {
    v1::JobConfig config;
    config.set_model(variant.model());
    table.sheet.rows.push_back(
        {JobFieldWord(config, "model"), absl::StrJoin(variant.choices(), " "), variant.jobs()});
  }
  return table;
}

// "12 are not finished yet, 3 failed, 1 was cancelled".
std::string WhyNotText(const Survey& survey) {
  int64_t failed = 0;
  int64_t cancelled = 0;
  for (const auto& [state, count] : survey.states()) {
    if (state == v1::FAILED) failed = count;
    if (state == v1::CANCELLED) cancelled = count;
  }
  const int64_t unfinished = survey.jobs() - survey.finished() - failed - cancelled;
  std::vector<std::string> parts;
  if (unfinished > 0) {
    parts.push_back(
        absl::StrCat(CountText(unfinished), unfinished == 1 ? " is" : " are", " not finished yet"));
  }
  if (failed > 0) parts.push_back(absl::StrCat(CountText(failed), " failed"));
  if (cancelled > 0) {
    parts.push_back(
        absl::StrCat(CountText(cancelled), cancelled == 1 ? " was" : " were", " cancelled"));
  }
  return absl::StrJoin(parts, ", ");
}

PageTable JobsBehindFigures(const std::vector<ReportSection>& shown) {
  PageTable table{"Jobs behind a point, bar or pie",
                  {{"figure", "title", "least n", "largest n"}, {}}};
  int64_t number = 0;
  for (const ReportSection& section : shown) {
    for (const Exhibit& exhibit : section.exhibits) {
      const std::optional<JobRange> range = JobsBehind(exhibit.figure);
      // A heat map is one job.
      table.sheet.rows.push_back(
          {++number, exhibit.figure.title, range ? range->least : 1, range ? range->most : 1});
    }
  }
  return table;
}

}  // namespace

ReportSection WhatIsMissing(const Survey& survey, const v1::RankModelsResponse& ranking,
                            const std::vector<ReportSection>& shown,
                            const std::vector<std::string>& left_out) {
  ReportSection section;
  section.title = "What is missing";
  const int64_t unfinished = survey.jobs() - survey.finished();
  section.paragraphs.push_back(
      unfinished == 0
          ? absl::StrCat("All ", CountText(survey.jobs(), "job"), " finished.")
          : absl::StrCat(CountText(unfinished), " of ", CountText(survey.jobs(), "job"),
                         unfinished == 1 ? " has" : " have", " no result: ", WhyNotText(survey),
                         ". What they would change is not in the figures."));
  if (const int64_t jobs = survey.without_best(); jobs > 0) {
    section.paragraphs.push_back(
        absl::StrCat(CountText(jobs, "finished job"), " kept no best checkpoint, and ",
                     jobs == 1 ? "is" : "are", " in no figure but those of training."));
  }
  for (const std::string& sentence : left_out) section.paragraphs.push_back(sentence);
  if (unfinished > 0) section.tables.push_back(States(survey));
  if (!survey.failures().empty()) section.tables.push_back(Failures(survey));
  if (ranking.incomplete_total() > 0) {
    PageTable table = Settings(ranking);
    const int64_t more = ranking.incomplete_total() - ranking.incomplete_size();
    if (more > 0) absl::StrAppend(&table.title, " (and ", CountText(more), " more)");
    section.tables.push_back(std::move(table));
  }
  if (!ranking.left_out().empty()) section.tables.push_back(Variants(ranking));
  section.tables.push_back(JobsBehindFigures(shown));
  return section;
}

}  // namespace modlab
