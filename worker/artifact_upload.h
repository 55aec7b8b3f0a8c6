// Files on their way to the coordinator: final weights, checkpoints of training.

#ifndef MODLAB_WORKER_ARTIFACT_UPLOAD_H_
#define MODLAB_WORKER_ARTIFACT_UPLOAD_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "grpcpp/channel.h"
#include "worker/checkpoint_keeper.h"

namespace modlab {

// Stores `content` with ArtifactService and returns its SHA-256, in hex. While
// the coordinator is away, or in trouble that may pass (a full disk), tries again with
// backoff for as long as `try_again`, asked after every such error, says so; else
// returns the error, as it does at once what would be answered again (retry.h: a file
// of more than 4 GiB). Blocks. Thread-safe as far as `try_again` is.
absl::StatusOr<std::string> UploadArtifact(const std::shared_ptr<grpc::Channel>& channel,
                                           absl::string_view content, const TryAgain& try_again);

}  // namespace modlab

#endif  // MODLAB_WORKER_ARTIFACT_UPLOAD_H_
