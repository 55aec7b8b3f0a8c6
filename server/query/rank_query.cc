#include "server/query/rank_query.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/query/answer_limit.h"
#include "server/query/job_groups.h"
#include "server/query/question.h"
#include "server/query/ranking.h"

namespace modlab {

absl::StatusOr<v1::RankModelsResponse> RankModels(Store* store,
                                                  const v1::RankModelsRequest& request) {
  absl::Status status = CheckSweepGiven(request.sweep());
  if (status.ok()) status = CheckCheckpoint(request.checkpoint());
  if (!status.ok()) return status;
  absl::StatusOr<GroupFields> fields = GroupFields::Parse(request.group_by());
  if (!fields.ok()) return fields.status();
  for (const std::string& name : fields->names()) {
    if (Ranking::OpenFields().count(name) == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat("group_by: \"", name,
                                                   "\" is not what a setting has; not allowed are ",
                                                   absl::StrJoin(Ranking::OpenFields(), ", ")));
  }

  Ranking ranking(*std::move(fields), request.checkpoint());
  status = store->ScanJobs(request.sweep(), {request.filters().begin(), request.filters().end()}, 0,
                           [&](const v1::Job& job) {
                             ranking.Add(job);
                             return ranking.gathered() <= kGatheredValuesMax;
                           });
  if (status.ok()) status = CheckGathered(ranking.gathered());
  if (!status.ok()) return status;

  v1::RankModelsResponse response;
  ranking.Write(&response);
  status = CheckAnswerSize(response);
  if (!status.ok()) return status;
  return response;
}

}  // namespace modlab
