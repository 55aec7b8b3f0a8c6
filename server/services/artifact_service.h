// modlab.v1.ArtifactService.

#ifndef MODLAB_SERVER_SERVICES_ARTIFACT_SERVICE_H_
#define MODLAB_SERVER_SERVICES_ARTIFACT_SERVICE_H_

#include "modlab/v1/results.grpc.pb.h"
#include "server/engine/engine.h"
#include "server/services/task_pool.h"
#include "server/store/artifacts.h"

namespace modlab {

// Thread-safe. All that it is given must outlive it.
class ArtifactServiceImpl final : public v1::ArtifactService::CallbackService {
 public:
  ArtifactServiceImpl(const Artifacts* artifacts, Engine* engine, TaskPool* pool)
      : artifacts_(artifacts), engine_(engine), pool_(pool) {}

  grpc::ServerReadReactor<v1::UploadArtifactRequest>* UploadArtifact(
      grpc::CallbackServerContext* context, v1::UploadArtifactResponse* response) override;
  grpc::ServerWriteReactor<v1::DownloadArtifactResponse>* DownloadArtifact(
      grpc::CallbackServerContext* context, const v1::DownloadArtifactRequest* request) override;

 private:
  const Artifacts* const artifacts_;
  Engine* const engine_;
  TaskPool* const pool_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_ARTIFACT_SERVICE_H_
