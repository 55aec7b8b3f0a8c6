// modlab.v1.WorkerService.

#ifndef MODLAB_SERVER_SERVICES_WORKER_SERVICE_H_
#define MODLAB_SERVER_SERVICES_WORKER_SERVICE_H_

#include "modlab/v1/worker.grpc.pb.h"
#include "server/access/access.h"
#include "server/engine/engine.h"
#include "server/services/task_pool.h"

namespace modlab {

// Thread-safe. All that it is given must outlive it.
class WorkerServiceImpl final : public v1::WorkerService::CallbackService {
 public:
  WorkerServiceImpl(Engine* engine, Access* access, TaskPool* pool)
      : engine_(engine), access_(access), pool_(pool) {}

  grpc::ServerBidiReactor<v1::WorkerView, v1::CoordinatorView>* Synchronise(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ListWorkers(grpc::CallbackServerContext* context,
                                        const v1::ListWorkersRequest* request,
                                        v1::ListWorkersResponse* response) override;
  grpc::ServerUnaryReactor* DrainWorker(grpc::CallbackServerContext* context,
                                        const v1::DrainWorkerRequest* request,
                                        v1::DrainWorkerResponse* response) override;
  grpc::ServerUnaryReactor* ReleaseWorker(grpc::CallbackServerContext* context,
                                          const v1::ReleaseWorkerRequest* request,
                                          v1::Worker* response) override;

 private:
  Engine* const engine_;
  Access* const access_;
  TaskPool* const pool_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_WORKER_SERVICE_H_
