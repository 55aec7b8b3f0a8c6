// modlab.v1.SweepService.

#ifndef MODLAB_SERVER_SERVICES_SWEEP_SERVICE_H_
#define MODLAB_SERVER_SERVICES_SWEEP_SERVICE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "modlab/v1/sweep.grpc.pb.h"
#include "server/access/access.h"
#include "server/engine/engine.h"
#include "server/services/task_pool.h"
#include "server/store/store.h"

namespace modlab {

// Thread-safe. All that it is given must outlive it.
class SweepServiceImpl final : public v1::SweepService::CallbackService {
 public:
  // `planning` has one thread, for submissions and extensions: a plan of a million jobs
  // takes 300 MB, and nothing changes a spec between the reading and the writing of it.
  SweepServiceImpl(Store* store, Engine* engine, Access* access, TaskPool* pool, TaskPool* planning)
      : store_(store), engine_(engine), access_(access), pool_(pool), planning_(planning) {}

  grpc::ServerUnaryReactor* CreateSweep(grpc::CallbackServerContext* context,
                                        const v1::CreateSweepRequest* request,
                                        v1::CreateSweepResponse* response) override;
  grpc::ServerUnaryReactor* GetSweep(grpc::CallbackServerContext* context,
                                     const v1::GetSweepRequest* request,
                                     v1::Sweep* response) override;
  grpc::ServerUnaryReactor* ListSweeps(grpc::CallbackServerContext* context,
                                       const v1::ListSweepsRequest* request,
                                       v1::ListSweepsResponse* response) override;
  grpc::ServerUnaryReactor* CancelSweep(grpc::CallbackServerContext* context,
                                        const v1::CancelSweepRequest* request,
                                        v1::CancelSweepResponse* response) override;
  grpc::ServerUnaryReactor* CancelJobs(grpc::CallbackServerContext* context,
                                       const v1::CancelJobsRequest* request,
                                       v1::CancelJobsResponse* response) override;
  grpc::ServerUnaryReactor* UpdateSweep(grpc::CallbackServerContext* context,
                                        const v1::UpdateSweepRequest* request,
                                        v1::Sweep* response) override;
  grpc::ServerUnaryReactor* ExtendSweep(grpc::CallbackServerContext* context,
                                        const v1::ExtendSweepRequest* request,
                                        v1::ExtendSweepResponse* response) override;
  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* context,
                                   const v1::GetJobRequest* request, v1::Job* response) override;
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* context,
                                     const v1::ListJobsRequest* request,
                                     v1::ListJobsResponse* response) override;
  grpc::ServerUnaryReactor* ListJobEvents(grpc::CallbackServerContext* context,
                                          const v1::ListJobEventsRequest* request,
                                          v1::ListJobEventsResponse* response) override;
  grpc::ServerUnaryReactor* RetryJobs(grpc::CallbackServerContext* context,
                                      const v1::RetryJobsRequest* request,
                                      v1::RetryJobsResponse* response) override;

 private:
  // `user`: of the token; "" without one.
  absl::Status Create(const v1::CreateSweepRequest& request, const std::string& user,
                      v1::CreateSweepResponse* response);
  absl::Status Extend(const v1::ExtendSweepRequest& request, const std::string& user,
                      v1::ExtendSweepResponse* response);
  absl::Status Update(const v1::UpdateSweepRequest& request, const std::string& user,
                      v1::Sweep* response);
  absl::Status Cancel(const v1::CancelSweepRequest& request, const std::string& user,
                      v1::CancelSweepResponse* response);
  absl::Status ListJobsPage(const v1::ListJobsRequest& request, v1::ListJobsResponse* response);
  // By id or name. INVALID_ARGUMENT for none.
  absl::StatusOr<v1::Sweep> FindSweep(const std::string& id_or_name);
  absl::Status ReadSweep(const std::string& id, v1::Sweep* sweep);
  // The name of the call's token; "" without one.
  std::string UserOf(const grpc::CallbackServerContext& context);
  absl::Status FillSpeeds(const std::vector<v1::Sweep*>& sweeps);

  Store* const store_;
  Engine* const engine_;
  Access* const access_;
  TaskPool* const pool_;
  TaskPool* const planning_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_SWEEP_SERVICE_H_
