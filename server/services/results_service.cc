#include "server/services/results_service.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/query/answer_limit.h"
#include "server/query/curves_query.h"
#include "server/query/results_query.h"
#include "server/services/unary.h"

namespace modlab {

grpc::ServerUnaryReactor* ResultsServiceImpl::QueryResults(grpc::CallbackServerContext* context,
                                                           const v1::QueryResultsRequest* request,
                                                           v1::QueryResultsResponse* response) {
  return RunUnary(pool_, context, [=]() -> absl::Status {
    absl::StatusOr<v1::QueryResultsResponse> answer = modlab::QueryResults(store_, *request);
    if (!answer.ok()) return answer.status();
    *response = *std::move(answer);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ResultsServiceImpl::QueryCurves(grpc::CallbackServerContext* context,
                                                          const v1::QueryCurvesRequest* request,
                                                          v1::QueryCurvesResponse* response) {
  return RunUnary(pool_, context, [=]() -> absl::Status {
    absl::StatusOr<v1::QueryCurvesResponse> answer = modlab::QueryCurves(store_, *request);
    if (!answer.ok()) return answer.status();
    *response = *std::move(answer);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ResultsServiceImpl::GetJobCurve(grpc::CallbackServerContext* context,
                                                          const v1::GetJobCurveRequest* request,
                                                          v1::GetJobCurveResponse* response) {
  return RunUnary(pool_, context, [=]() -> absl::Status {
    absl::StatusOr<std::vector<v1::CurvePoint>> points = store_->ReadCurve(request->id());
    if (!points.ok()) return points.status();
    for (v1::CurvePoint& point : *points) *response->add_points() = std::move(point);
    return CheckAnswerSize(*response);
  });
}

}  // namespace modlab
