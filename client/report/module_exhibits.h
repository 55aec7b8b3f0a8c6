// Exhibits of what modules do: how they collapse and specialise, how rules use
// them, and which model types win.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_REPORT_MODULE_EXHIBITS_H_
#define MODLAB_CLIENT_REPORT_MODULE_EXHIBITS_H_

#include <optional>
#include <vector>

#include "client/report/exhibit.h"
#include "client/report/question.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/results.pb.h"

namespace modlab {

// The five metrics of collapse and specialisation, against the number of rules and
// over all of them. Nothing without modular models.
v1::QueryResultsRequest AskModulesByRules(const Scope& scope);
std::optional<Exhibit> ModulesByRules(const v1::QueryResultsRequest& request,
                                      const v1::QueryResultsResponse& response);
v1::QueryResultsRequest AskModulesOverall(const Scope& scope);
std::optional<Exhibit> ModulesOverall(const v1::QueryResultsRequest& request,
                                      const v1::QueryResultsResponse& response);

// How a job's weights use its modules: null where they are not there or have none.
const v1::ActivationMatrix* JobActivation(const v1::Job& job, v1::Checkpoint checkpoint);

// The matrices of these jobs, a row an architecture and target and a column a model
// type. Every rule's row sums to 1; modules stand in the order of the rules that use
// them most. Nothing without a matrix.
std::optional<Exhibit> Activations(const std::vector<v1::Job>& jobs, v1::Checkpoint checkpoint);

// Votes as pies, of everything together (`overall`, grouped by nothing) and of each
// architecture (grouped by it). Nothing where no setting was decided between two
// model types.
v1::RankModelsRequest AskVotesOverall(const Scope& scope);
v1::RankModelsRequest AskVotesByArchitecture(const Scope& scope);
std::optional<Exhibit> VotesOfSettings(const v1::RankModelsRequest& overall_request,
                                       const v1::RankModelsResponse& overall,
                                       const v1::RankModelsRequest& apart_request,
                                       const v1::RankModelsResponse& apart);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_MODULE_EXHIBITS_H_
