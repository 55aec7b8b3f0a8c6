// Checkpoints of training on their way from the coordinator.

#ifndef MODLAB_WORKER_ARTIFACT_DOWNLOAD_H_
#define MODLAB_WORKER_ARTIFACT_DOWNLOAD_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/channel.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Fetches the checkpoint's file from ArtifactService, of at most 4 GiB. While the
// coordinator is away, or in trouble that may pass, tries again with backoff for as
// long as `is_wanted` says; CANCELLED once it does not. DATA_LOSS: what came is not
// of the stated size and SHA-256, or is damaged there. NOT_FOUND: it is gone. What
// would be answered again (retry.h) comes back as it is. Blocks. Thread-safe as far
// as `is_wanted` is.
absl::StatusOr<std::string> DownloadCheckpoint(const std::shared_ptr<grpc::Channel>& channel,
                                               const v1::TrainingCheckpoint& checkpoint,
                                               const std::function<bool()>& is_wanted);

}  // namespace modlab

#endif  // MODLAB_WORKER_ARTIFACT_DOWNLOAD_H_
