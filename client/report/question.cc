#include "client/report/question.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace modlab {
namespace {

template <typename Request>
Request Ask(const Scope& scope, const std::vector<std::string>& group_by) {
  Request request;
  request.set_sweep(scope.sweep);
  request.mutable_filters()->Assign(scope.filters.begin(), scope.filters.end());
  request.mutable_group_by()->Assign(group_by.begin(), group_by.end());
  return request;
}

// One word of a command line.
std::string ShellWord(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           absl::StrContains("_-+.,:=/", absl::string_view(&c, 1));
  });
  return plain ? word : absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

template <typename Request>
std::string Beginning(absl::string_view command, const Request& request) {
  return absl::StrCat("modlab ", command, " ", ShellWord(request.sweep()), " --group-by ",
                      ShellWord(absl::StrJoin(request.group_by(), ",")));
}

template <typename Request>
std::string End(const Request& request) {
  return WhereText({request.filters().begin(), request.filters().end()});
}

std::string CheckpointText(v1::Checkpoint checkpoint) {
  return checkpoint == v1::BEST ? " --checkpoint best" : "";
}

}  // namespace

v1::QueryResultsRequest AskResults(const Scope& scope, const std::vector<std::string>& group_by,
                                   const std::vector<std::string>& metrics) {
  auto request = Ask<v1::QueryResultsRequest>(scope, group_by);
  request.mutable_metrics()->Assign(metrics.begin(), metrics.end());
  request.set_checkpoint(scope.checkpoint);
  return request;
}

v1::QueryCurvesRequest AskCurves(const Scope& scope, const std::vector<std::string>& group_by,
                                 const std::string& metric) {
  auto request = Ask<v1::QueryCurvesRequest>(scope, group_by);
  request.set_metric(metric);
  return request;
}

v1::RankModelsRequest AskRank(const Scope& scope, const std::vector<std::string>& group_by) {
  auto request = Ask<v1::RankModelsRequest>(scope, group_by);
  request.set_checkpoint(scope.checkpoint);
  return request;
}

std::string CommandText(const v1::QueryResultsRequest& request) {
  return absl::StrCat(Beginning("results", request), " --metrics ",
                      absl::StrJoin(request.metrics(), ","), End(request),
                      CheckpointText(request.checkpoint()));
}

std::string CommandText(const v1::QueryCurvesRequest& request) {
  return absl::StrCat(Beginning("curves", request), " --metric ", request.metric(), End(request));
}

std::string CommandText(const v1::RankModelsRequest& request) {
  return absl::StrCat(Beginning("rank", request), End(request),
                      CheckpointText(request.checkpoint()));
}

std::string WhereText(const std::vector<v1::FieldFilter>& filters) {
  std::string text;
  for (const v1::FieldFilter& filter : filters) {
    absl::StrAppend(
        &text, " --where ",
        ShellWord(absl::StrCat(filter.field(), "=", absl::StrJoin(filter.values(), ","))));
  }
  return text;
}

}  // namespace modlab
