// Exhibits of how well models do: against the number of rules, their size, the
// length of sequences, and while they are trained. Each is made from the answers to
// its questions; nothing where these show nothing of the kind.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_REPORT_PERFORMANCE_EXHIBITS_H_
#define MODLAB_CLIENT_REPORT_PERFORMANCE_EXHIBITS_H_

#include <optional>
#include <string>
#include <vector>

#include "client/report/exhibit.h"
#include "client/report/question.h"
#include "modlab/v1/results.pb.h"

namespace modlab {

v1::QueryResultsRequest AskPerformanceByRules(const Scope& scope);
std::optional<Exhibit> PerformanceByRules(const v1::QueryResultsRequest& request,
                                          const v1::QueryResultsResponse& response);

v1::QueryResultsRequest AskPerformanceBySize(const Scope& scope);
// Nothing if every architecture has one size alone.
std::optional<Exhibit> PerformanceBySize(const v1::QueryResultsRequest& request,
                                         const v1::QueryResultsResponse& response);

v1::QueryResultsRequest AskPerformanceByLength(const Scope& scope);
std::optional<Exhibit> PerformanceByLength(const v1::QueryResultsRequest& request,
                                           const v1::QueryResultsResponse& response);

// A curve of each metric.
struct Curves {
  std::vector<v1::QueryCurvesRequest> requests;
  std::vector<v1::QueryCurvesResponse> responses;
};
std::vector<v1::QueryCurvesRequest> AskCurvesOf(const Scope& scope,
                                                const std::vector<std::string>& metrics);

// Loss on a logarithmic axis.
std::optional<Exhibit> LossByIteration(const Curves& curves);
std::optional<Exhibit> AccuracyByIteration(const Curves& curves);
std::optional<Exhibit> CollapseByIteration(const Curves& curves);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_PERFORMANCE_EXHIBITS_H_
