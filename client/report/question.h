// The questions behind a report's figures, and the commands that ask the same.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_REPORT_QUESTION_H_
#define MODLAB_CLIENT_REPORT_QUESTION_H_

#include <string>
#include <vector>

#include "modlab/v1/job.pb.h"
#include "modlab/v1/results.pb.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {

// The jobs, and which of their weights, that a report is about.
struct Scope {
  std::string sweep;  // its id
  std::vector<v1::FieldFilter> filters;
  v1::Checkpoint checkpoint = v1::LAST;
};

v1::QueryResultsRequest AskResults(const Scope& scope, const std::vector<std::string>& group_by,
                                   const std::vector<std::string>& metrics);
v1::QueryCurvesRequest AskCurves(const Scope& scope, const std::vector<std::string>& group_by,
                                 const std::string& metric);
v1::RankModelsRequest AskRank(const Scope& scope, const std::vector<std::string>& group_by);

// "modlab results quickstart-1 --group-by model,rules --metrics id,ood", for a
// shell; without saying where the store is.
std::string CommandText(const v1::QueryResultsRequest& request);
std::string CommandText(const v1::QueryCurvesRequest& request);
std::string CommandText(const v1::RankModelsRequest& request);

// " --where rules=2,4 --where model=modular", "" without filters.
std::string WhereText(const std::vector<v1::FieldFilter>& filters);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_QUESTION_H_
