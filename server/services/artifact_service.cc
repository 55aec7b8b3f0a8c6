#include "server/services/artifact_service.h"

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/services/stall_watch.h"
#include "server/services/status.h"

namespace modlab {

namespace {

constexpr size_t kPieceBytesMax = size_t{1} << 20;

// Both reactors do one thing at a time: either gRPC or a task on the pool has
// the next step, and after passing it on neither touches the reactor, which
// deletes itself when the call is over.

class Upload final : public grpc::ServerReadReactor<v1::UploadArtifactRequest> {
 public:
  Upload(const Artifacts* artifacts, Engine* engine, TaskPool* pool,
         grpc::CallbackServerContext* context, v1::UploadArtifactResponse* response)
      : artifacts_(artifacts),
        engine_(engine),
        pool_(pool),
        context_(context),
        response_(response),
        watch_(context) {
    AwaitPiece();
  }

  void OnReadDone(bool ok) override {
    watch_.End();
    absl::Status posted = pool_->Post([this, ok] {
      absl::Status status = ok ? Append() : Complete();
      if (ok && status.ok()) {
        AwaitPiece();
      } else {
        Finish(ToGrpcStatus(status));
      }
    });
    if (!posted.ok()) Finish(ToGrpcStatus(posted));
  }

  void OnDone() override { delete this; }

 private:
  void AwaitPiece() {
    watch_.Begin();
    StartRead(&piece_);
  }

  absl::Status Append() {
    if (piece_.data().size() > kPieceBytesMax) {
      return absl::InvalidArgumentError(absl::StrCat("data has ", piece_.data().size(),
                                                     " bytes; at most ", kPieceBytesMax,
                                                     " are allowed in a piece"));
    }
    absl::Status status = Open();
    return status.ok() ? upload_->Append(piece_.data()) : status;
  }

  absl::Status Complete() {
    // What is there of a broken call is no file.
    if (context_->IsCancelled()) return absl::CancelledError("the upload was broken off");
    absl::Status status = Open();
    if (!status.ok()) return status;
    absl::StatusOr<Artifact> artifact = upload_->Seal();
    if (!artifact.ok()) return artifact.status();
    status = engine_->RegisterArtifact(artifact->sha256, artifact->size_bytes);
    if (status.ok()) status = upload_->Publish();
    if (!status.ok()) return status;
    response_->set_sha256(artifact->sha256);
    response_->set_size_bytes(artifact->size_bytes);
    return absl::OkStatus();
  }

  absl::Status Open() {
    if (upload_ != nullptr) return absl::OkStatus();
    absl::StatusOr<std::unique_ptr<ArtifactUpload>> upload = artifacts_->Create();
    if (!upload.ok()) return upload.status();
    upload_ = *std::move(upload);
    return absl::OkStatus();
  }

  const Artifacts* const artifacts_;
  Engine* const engine_;
  TaskPool* const pool_;
  grpc::CallbackServerContext* const context_;
  v1::UploadArtifactResponse* const response_;
  v1::UploadArtifactRequest piece_;
  std::unique_ptr<ArtifactUpload> upload_;
  StallWatch watch_;
};

class Download final : public grpc::ServerWriteReactor<v1::DownloadArtifactResponse> {
 public:
  Download(const Artifacts* artifacts, TaskPool* pool, grpc::CallbackServerContext* context,
           std::string sha256)
      : artifacts_(artifacts), pool_(pool), sha256_(std::move(sha256)), watch_(context) {
    PostNext();
  }

  void OnWriteDone(bool ok) override {
    watch_.End();
    if (ok) {
      PostNext();
    } else {
      Finish(grpc::Status::CANCELLED);
    }
  }

  void OnDone() override { delete this; }

 private:
  void PostNext() {
    absl::Status posted = pool_->Post([this] {
      absl::Status status = Next();
      if (status.ok() && !piece_.data().empty()) {
        watch_.Begin();
        StartWrite(&piece_);
      } else {
        Finish(ToGrpcStatus(status));
      }
    });
    if (!posted.ok()) Finish(ToGrpcStatus(posted));
  }

  absl::Status Next() {
    if (reader_ == nullptr) {
      absl::StatusOr<std::unique_ptr<ArtifactReader>> reader = artifacts_->Read(sha256_);
      if (!reader.ok()) return reader.status();
      reader_ = *std::move(reader);
    }
    absl::StatusOr<std::string> piece = reader_->Next(kPieceBytesMax);
    if (!piece.ok()) return piece.status();
    piece_.set_data(*std::move(piece));
    return absl::OkStatus();
  }

  const Artifacts* const artifacts_;
  TaskPool* const pool_;
  const std::string sha256_;
  std::unique_ptr<ArtifactReader> reader_;
  v1::DownloadArtifactResponse piece_;
  StallWatch watch_;
};

}  // namespace

grpc::ServerReadReactor<v1::UploadArtifactRequest>* ArtifactServiceImpl::UploadArtifact(
    grpc::CallbackServerContext* context, v1::UploadArtifactResponse* response) {
  return new Upload(artifacts_, engine_, pool_, context, response);
}

grpc::ServerWriteReactor<v1::DownloadArtifactResponse>* ArtifactServiceImpl::DownloadArtifact(
    grpc::CallbackServerContext* context, const v1::DownloadArtifactRequest* request) {
  return new Download(artifacts_, pool_, context, request->sha256());
}

}  // namespace modlab
