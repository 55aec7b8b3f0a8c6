// Files on their way to the coordinator: final weights, checkpoints of training.

#ifndef MODLAB_WORKER_ARTIFACT_UPLOAD_H_
#define MODLAB_WORKER_ARTIFACT_UPLOAD_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "grpcpp/channel.h"

namespace modlab {

// Stores `content` with ArtifactService and returns its SHA-256, in hex. While
// the coordinator is away, or in trouble that may pass (a full disk), tries
// again with backoff for as long as `is_wanted` says; CANCELLED once it does
// not. What would be answered again (retry.h) comes back as it is. Blocks. Thread-safe as far as
// `is_wanted` is.
absl::StatusOr<std::string> UploadArtifact(const std::shared_ptr<grpc::Channel>& channel,
                                           absl::string_view content,
                                           const std::function<bool()>& is_wanted);

}  // namespace modlab

#endif  // MODLAB_WORKER_ARTIFACT_UPLOAD_H_
