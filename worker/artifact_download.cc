#include "worker/artifact_download.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "grpcpp/support/sync_stream.h"
#include "lib/config/sha256.h"
#include "modlab/v1/results.grpc.pb.h"
#include "modlab/v1/results.pb.h"
#include "spdlog/spdlog.h"
#include "worker/backoff.h"
#include "worker/retry.h"

namespace modlab {
namespace {

constexpr int64_t kFileBytesMax = int64_t{4} << 30;
// One attempt may take a minute, and a second for every MiB.
constexpr std::chrono::seconds kAttemptDuration(60);

// Reads no more than `bytes_max`.
grpc::Status DownloadOnce(v1::ArtifactService::Stub* stub, const std::string& sha256,
                          int64_t bytes_max, std::string* content) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kAttemptDuration +
                       std::chrono::seconds(bytes_max >> 20));
  v1::DownloadArtifactRequest request;
  request.set_sha256(sha256);
  const auto reader = stub->DownloadArtifact(&context, request);
  v1::DownloadArtifactResponse piece;
  while (reader->Read(&piece)) {
    *content += piece.data();
    if (static_cast<int64_t>(content->size()) > bytes_max) {
      context.TryCancel();
      reader->Finish();
      return grpc::Status(grpc::StatusCode::DATA_LOSS,
                          absl::StrCat("more than ", bytes_max, " bytes came"));
    }
  }
  return reader->Finish();
}

}  // namespace

absl::StatusOr<std::string> DownloadCheckpoint(const std::shared_ptr<grpc::Channel>& channel,
                                               const v1::TrainingCheckpoint& checkpoint,
                                               const std::function<bool()>& is_wanted) {
  const int64_t size = checkpoint.size_bytes();
  if (size < 0 || size > kFileBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("size_bytes: ", size, "; allowed: 0..", kFileBytesMax));
  }
  const auto stub = v1::ArtifactService::NewStub(channel);
  Backoff backoff;
  auto level = spdlog::level::warn;  // once; a coordinator may be away for long
  while (is_wanted()) {
    std::string content;
    const grpc::Status status = DownloadOnce(stub.get(), checkpoint.sha256(), size, &content);
    if (status.ok()) {
      const std::string sha256 = Sha256Hex(content);
      if (sha256 == checkpoint.sha256()) return content;
      return absl::DataLossError(
          absl::StrCat(content.size(), " of ", size, " bytes came, and their SHA-256 is ", sha256));
    }
    if (!MayPass(status.error_code())) return ToAbsl(status);
    spdlog::log(level, "download of {} failed, trying again: {}", checkpoint.sha256(),
                status.error_message());
    level = spdlog::level::debug;
    std::this_thread::sleep_for(backoff.Next());
  }
  return absl::CancelledError("the checkpoint is no longer wanted");
}

}  // namespace modlab
