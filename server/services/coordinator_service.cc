#include "server/services/coordinator_service.h"

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/care/audit.h"
#include "server/care/backup.h"
#include "server/services/unary.h"
#include "server/status/status_reader.h"

namespace modlab {

namespace {

constexpr size_t kPieceBytesMax = size_t{1} << 20;

}  // namespace

grpc::ServerUnaryReactor* CoordinatorServiceImpl::GetStatus(grpc::CallbackServerContext* context,
                                                            const v1::GetStatusRequest* /*request*/,
                                                            v1::CoordinatorStatus* response) {
  return RunLargeUnary(pool_, context, response, [=]() -> absl::Status {
    absl::StatusOr<EngineStatus> status = ReadStatus(engine_, data_dir_);
    if (!status.ok()) return status.status();
    *response = std::move(status->view);
    return absl::OkStatus();
  });
}

grpc::ServerWriteReactor<v1::AuditResponse>* CoordinatorServiceImpl::Audit(
    grpc::CallbackServerContext* context, const v1::AuditRequest* request) {
  return RunStream<v1::AuditResponse>(
      &care_, context, [this, request](AnswerStream<v1::AuditResponse>* stream) {
        AuditOptions options;
        options.sweep = request->sweep();
        options.checksums = !request->skip_checksums();
        return modlab::Audit(
            data_dir_, *artifacts_, options,
            [stream](const v1::AuditResponse& response) { return stream->Send(response); });
      });
}

grpc::ServerWriteReactor<v1::BackupResponse>* CoordinatorServiceImpl::Backup(
    grpc::CallbackServerContext* context, const v1::BackupRequest* request) {
  return RunStream<v1::BackupResponse>(&care_, context,
                                       [this, request](AnswerStream<v1::BackupResponse>* stream) {
                                         return SendBackup(*request, stream);
                                       });
}

absl::Status CoordinatorServiceImpl::SendBackup(const v1::BackupRequest& request,
                                                AnswerStream<v1::BackupResponse>* stream) {
  const absl::StatusOr<std::unique_ptr<modlab::Backup>> backup =
      modlab::Backup::Make(data_dir_, !request.without_artifacts(), absl::ToUnixMicros(absl::Now()),
                           [stream] { return stream->listening(); });
  if (!backup.ok()) return backup.status();
  v1::BackupResponse response;
  response.set_size_bytes((*backup)->size_bytes());
  for (;;) {
    absl::StatusOr<std::string> piece = (*backup)->Next(kPieceBytesMax);
    if (!piece.ok()) return piece.status();
    const bool last = piece->empty();
    response.set_data(*std::move(piece));
    if (last) response.set_sha256((*backup)->FinishHex());
    if (!stream->Send(std::move(response))) return absl::CancelledError("nobody takes the backup");
    if (last) return absl::OkStatus();
    response.Clear();
  }
}

grpc::ServerUnaryReactor* CoordinatorServiceImpl::Prune(grpc::CallbackServerContext* context,
                                                        const v1::PruneRequest* request,
                                                        v1::PruneResponse* response) {
  return RunLargeUnary(pool_, context, response, [=]() -> absl::Status {
    absl::StatusOr<v1::PruneResponse> pruned = engine_->Prune(*request);
    if (!pruned.ok()) return pruned.status();
    *response = *std::move(pruned);
    return absl::OkStatus();
  });
}

}  // namespace modlab
