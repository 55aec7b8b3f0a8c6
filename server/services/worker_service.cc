#include "server/services/worker_service.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/services/unary.h"
#include "server/services/worker_stream.h"

namespace modlab {

grpc::ServerBidiReactor<v1::WorkerView, v1::CoordinatorView>* WorkerServiceImpl::Synchronise(
    grpc::CallbackServerContext* /*context*/) {
  return new WorkerStream(engine_);  // deletes itself when the call is over
}

grpc::ServerUnaryReactor* WorkerServiceImpl::ListWorkers(grpc::CallbackServerContext* context,
                                                         const v1::ListWorkersRequest* /*request*/,
                                                         v1::ListWorkersResponse* response) {
  return RunUnary(pool_, context, [=]() -> absl::Status {
    absl::StatusOr<std::vector<v1::Worker>> workers = engine_->ListWorkers();
    if (!workers.ok()) return workers.status();
    for (v1::Worker& worker : *workers) *response->add_workers() = std::move(worker);
    return absl::OkStatus();
  });
}

}  // namespace modlab
