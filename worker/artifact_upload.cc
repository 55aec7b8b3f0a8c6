#include "worker/artifact_upload.h"

#include <chrono>
#include <cstddef>
#include <thread>

#include "absl/status/status.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "grpcpp/support/sync_stream.h"
#include "modlab/v1/results.grpc.pb.h"
#include "modlab/v1/results.pb.h"
#include "spdlog/spdlog.h"
#include "worker/backoff.h"
#include "worker/retry.h"

namespace modlab {
namespace {

constexpr size_t kPieceBytesMax = size_t{1} << 20;
// One attempt may take a minute, and a second for every MiB.
constexpr std::chrono::seconds kAttemptDuration(60);

grpc::Status UploadOnce(v1::ArtifactService::Stub* stub, absl::string_view content,
                        std::string* sha256) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kAttemptDuration +
                       std::chrono::seconds(content.size() / kPieceBytesMax));
  v1::UploadArtifactResponse response;
  const auto writer = stub->UploadArtifact(&context, &response);
  for (size_t at = 0; at < content.size(); at += kPieceBytesMax) {
    v1::UploadArtifactRequest request;
    request.set_data(std::string(content.substr(at, kPieceBytesMax)));
    if (!writer->Write(request)) break;  // Finish() says why
  }
  writer->WritesDone();
  grpc::Status status = writer->Finish();
  *sha256 = response.sha256();
  return status;
}

}  // namespace

absl::StatusOr<std::string> UploadArtifact(const std::shared_ptr<grpc::Channel>& channel,
                                           absl::string_view content, const TryAgain& try_again) {
  const auto stub = v1::ArtifactService::NewStub(channel);
  Backoff backoff;
  auto level = spdlog::level::warn;  // once; a coordinator may be away for long
  while (true) {
    std::string sha256;
    const grpc::Status status = UploadOnce(stub.get(), content, &sha256);
    if (status.ok()) return sha256;
    absl::Status error = ToAbsl(status);
    if (!MayPass(status.error_code()) || !try_again(error)) return error;
    spdlog::log(level, "upload of {} bytes failed, trying again: {}", content.size(),
                status.error_message());
    level = spdlog::level::debug;
    std::this_thread::sleep_for(backoff.Next());
  }
}

}  // namespace modlab
