#include "server/services/worker_service.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "server/services/call_guard.h"
#include "server/services/unary.h"
#include "server/services/worker_stream.h"

namespace modlab {

namespace {

absl::Status NotEmpty(const std::string& worker) {
  if (!worker.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("worker is empty; give the name or id of one");
}

}  // namespace

grpc::ServerBidiReactor<v1::WorkerView, v1::CoordinatorView>* WorkerServiceImpl::Synchronise(
    grpc::CallbackServerContext* context) {
  // Deletes itself when the call is over.
  return new WorkerStream(
      engine_, context, [access = access_, authorization = AuthorizationOf(*context)] {
        return access->Recheck("/modlab.v1.WorkerService/Synchronise", authorization, absl::Now());
      });
}

grpc::ServerUnaryReactor* WorkerServiceImpl::ListWorkers(grpc::CallbackServerContext* context,
                                                         const v1::ListWorkersRequest* /*request*/,
                                                         v1::ListWorkersResponse* response) {
  return RunLargeUnary(pool_, context, response, [=]() -> absl::Status {
    absl::StatusOr<std::vector<v1::Worker>> workers = engine_->ListWorkers();
    if (!workers.ok()) return workers.status();
    for (v1::Worker& worker : *workers) *response->add_workers() = std::move(worker);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* WorkerServiceImpl::DrainWorker(grpc::CallbackServerContext* context,
                                                         const v1::DrainWorkerRequest* request,
                                                         v1::DrainWorkerResponse* response) {
  return RunUnary(pool_, context, [=]() -> absl::Status {
    absl::Status status = NotEmpty(request->worker());
    if (!status.ok()) return status;
    absl::StatusOr<v1::Worker> worker = engine_->DrainWorker(request->worker());
    if (!worker.ok()) return worker.status();
    *response->mutable_worker() = *std::move(worker);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* WorkerServiceImpl::ReleaseWorker(grpc::CallbackServerContext* context,
                                                           const v1::ReleaseWorkerRequest* request,
                                                           v1::Worker* response) {
  return RunUnary(pool_, context, [=]() -> absl::Status {
    absl::Status status = NotEmpty(request->worker());
    if (!status.ok()) return status;
    absl::StatusOr<v1::Worker> worker = engine_->ReleaseWorker(request->worker());
    if (!worker.ok()) return worker.status();
    *response = *std::move(worker);
    return absl::OkStatus();
  });
}

}  // namespace modlab
