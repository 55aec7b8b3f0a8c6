// modlab.v1.CoordinatorService.

#ifndef MODLAB_SERVER_SERVICES_COORDINATOR_SERVICE_H_
#define MODLAB_SERVER_SERVICES_COORDINATOR_SERVICE_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "modlab/v1/coordinator.grpc.pb.h"
#include "server/engine/engine.h"
#include "server/services/answer_stream.h"
#include "server/services/task_pool.h"
#include "server/store/artifacts.h"

namespace modlab {

// Thread-safe. All that it is given must outlive it. Audits and backups, which may take
// long, have threads of their own: two run at a time, a few more wait.
class CoordinatorServiceImpl final : public v1::CoordinatorService::CallbackService {
 public:
  CoordinatorServiceImpl(std::string data_dir, const Artifacts* artifacts, Engine* engine,
                         TaskPool* pool)
      : data_dir_(std::move(data_dir)), artifacts_(artifacts), engine_(engine), pool_(pool) {}

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context,
                                      const v1::GetStatusRequest* request,
                                      v1::CoordinatorStatus* response) override;
  grpc::ServerWriteReactor<v1::AuditResponse>* Audit(grpc::CallbackServerContext* context,
                                                     const v1::AuditRequest* request) override;
  grpc::ServerWriteReactor<v1::BackupResponse>* Backup(grpc::CallbackServerContext* context,
                                                       const v1::BackupRequest* request) override;
  grpc::ServerUnaryReactor* Prune(grpc::CallbackServerContext* context,
                                  const v1::PruneRequest* request,
                                  v1::PruneResponse* response) override;

 private:
  absl::Status SendBackup(const v1::BackupRequest& request,
                          AnswerStream<v1::BackupResponse>* stream);

  const std::string data_dir_;
  const Artifacts* const artifacts_;
  Engine* const engine_;
  TaskPool* const pool_;
  TaskPool care_{/*threads=*/2, /*waiting_max=*/8};
};

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_COORDINATOR_SERVICE_H_
