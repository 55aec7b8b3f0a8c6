#include "server/services/results_service.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/query/answer_limit.h"
#include "server/query/curves_query.h"
#include "server/query/pairs_query.h"
#include "server/query/rank_query.h"
#include "server/query/results_query.h"
#include "server/services/unary.h"

namespace modlab {

namespace {

// Asks server/query.
template <typename Request, typename Response>
absl::Status Answer(absl::StatusOr<Response> (*query)(Store*, const Request&), Store* store,
                    const Request& request, Response* response) {
  absl::StatusOr<Response> answer = query(store, request);
  if (!answer.ok()) return answer.status();
  *response = *std::move(answer);
  return absl::OkStatus();
}

}  // namespace

grpc::ServerUnaryReactor* ResultsServiceImpl::QueryResults(grpc::CallbackServerContext* context,
                                                           const v1::QueryResultsRequest* request,
                                                           v1::QueryResultsResponse* response) {
  return RunLargeUnary(pool_, context, response,
                       [=] { return Answer(&modlab::QueryResults, store_, *request, response); });
}

grpc::ServerUnaryReactor* ResultsServiceImpl::QueryCurves(grpc::CallbackServerContext* context,
                                                          const v1::QueryCurvesRequest* request,
                                                          v1::QueryCurvesResponse* response) {
  return RunLargeUnary(pool_, context, response,
                       [=] { return Answer(&modlab::QueryCurves, store_, *request, response); });
}

grpc::ServerUnaryReactor* ResultsServiceImpl::RankModels(grpc::CallbackServerContext* context,
                                                         const v1::RankModelsRequest* request,
                                                         v1::RankModelsResponse* response) {
  return RunLargeUnary(pool_, context, response,
                       [=] { return Answer(&modlab::RankModels, store_, *request, response); });
}

grpc::ServerUnaryReactor* ResultsServiceImpl::ComparePairs(grpc::CallbackServerContext* context,
                                                           const v1::ComparePairsRequest* request,
                                                           v1::ComparePairsResponse* response) {
  return RunLargeUnary(pool_, context, response,
                       [=] { return Answer(&modlab::ComparePairs, store_, *request, response); });
}

grpc::ServerUnaryReactor* ResultsServiceImpl::GetJobCurve(grpc::CallbackServerContext* context,
                                                          const v1::GetJobCurveRequest* request,
                                                          v1::GetJobCurveResponse* response) {
  return RunLargeUnary(pool_, context, response, [=]() -> absl::Status {
    absl::StatusOr<std::vector<v1::CurvePoint>> points = store_->ReadCurve(request->id());
    if (!points.ok()) return points.status();
    for (v1::CurvePoint& point : *points) *response->add_points() = std::move(point);
    return CheckAnswerSize(*response);
  });
}

}  // namespace modlab
