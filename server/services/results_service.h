// modlab.v1.ResultsService.

#ifndef MODLAB_SERVER_SERVICES_RESULTS_SERVICE_H_
#define MODLAB_SERVER_SERVICES_RESULTS_SERVICE_H_

#include "modlab/v1/results.grpc.pb.h"
#include "server/services/task_pool.h"
#include "server/store/store.h"

namespace modlab {

// Thread-safe. All that it is given must outlive it.
class ResultsServiceImpl final : public v1::ResultsService::CallbackService {
 public:
  ResultsServiceImpl(Store* store, TaskPool* pool) : store_(store), pool_(pool) {}

  grpc::ServerUnaryReactor* QueryResults(grpc::CallbackServerContext* context,
                                         const v1::QueryResultsRequest* request,
                                         v1::QueryResultsResponse* response) override;
  grpc::ServerUnaryReactor* QueryCurves(grpc::CallbackServerContext* context,
                                        const v1::QueryCurvesRequest* request,
                                        v1::QueryCurvesResponse* response) override;
  grpc::ServerUnaryReactor* RankModels(grpc::CallbackServerContext* context,
                                       const v1::RankModelsRequest* request,
                                       v1::RankModelsResponse* response) override;
  grpc::ServerUnaryReactor* ComparePairs(grpc::CallbackServerContext* context,
                                         const v1::ComparePairsRequest* request,
                                         v1::ComparePairsResponse* response) override;
  grpc::ServerUnaryReactor* GetJobCurve(grpc::CallbackServerContext* context,
                                        const v1::GetJobCurveRequest* request,
                                        v1::GetJobCurveResponse* response) override;

 private:
  Store* const store_;
  TaskPool* const pool_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_RESULTS_SERVICE_H_
