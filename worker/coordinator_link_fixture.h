// What tests of the worker's side of the network share: a coordinator of few words
// and a link to it.

#ifndef MODLAB_WORKER_COORDINATOR_LINK_FIXTURE_H_
#define MODLAB_WORKER_COORDINATOR_LINK_FIXTURE_H_

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/server_context.h"
#include "gtest/gtest.h"
#include "lib/config/sha256.h"
#include "lib/sync/mutex.h"
#include "modlab/v1/results.grpc.pb.h"
#include "worker/channel.h"
#include "worker/coordinator_link.h"

namespace modlab {

// Of the checkpoint that the coordinator has.
inline constexpr char kContent[] = "where training stands";

// A coordinator of few words. Outlives the servers that it is served by.
class FakeCoordinator : public v1::WorkerService::Service, public v1::ArtifactService::Service {
 public:
  grpc::Status Synchronise(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::CoordinatorView, v1::WorkerView>* stream) override {
    ++streams;
    v1::WorkerView view;
    while (stream->Read(&view)) {
      v1::CoordinatorView answer;
      {
        const MutexLock lock(&mutex_);
        views_.push_back(view);
        for (const v1::Report& report : view.reports()) {
          received_ = std::max(received_, report.number());
          ++times_received_[report.number()];
        }
        if (acknowledges) acknowledged_ = received_;
        answer = desired_;
        answer.set_reports_acknowledged(acknowledged_);
      }
      answer.set_heartbeat_interval_ms(heartbeat_interval_ms);
      answer.set_lease_duration_ms(lease_duration_ms);
      if (answers) stream->Write(answer);
    }
    ++half_closed;
    return grpc::Status::OK;
  }

  grpc::Status UploadArtifact(grpc::ServerContext*,
                              grpc::ServerReader<v1::UploadArtifactRequest>* reader,
                              v1::UploadArtifactResponse* response) override {
    v1::UploadArtifactRequest request;
    std::string content;
    while (reader->Read(&request)) {
      EXPECT_LE(request.data().size(), size_t{1} << 20);
      content += request.data();
    }
    if (upload_failures > 0) {
      --upload_failures;
      return grpc::Status(upload_failure, "no");
    }
    response->set_sha256("sha256 of " + std::to_string(content.size()) + " bytes");
    return grpc::Status::OK;
  }

  grpc::Status DownloadArtifact(grpc::ServerContext*, const v1::DownloadArtifactRequest* request,
                                grpc::ServerWriter<v1::DownloadArtifactResponse>* writer) override {
    if (download_failures > 0) {
      --download_failures;
      return grpc::Status(download_failure, "no");
    }
    EXPECT_EQ(request->sha256(), Sha256Hex(kContent));
    for (const char letter : served) {
      v1::DownloadArtifactResponse piece;
      piece.set_data(std::string(1, letter));
      if (!writer->Write(piece)) break;
    }
    return grpc::Status::OK;
  }

  void Desire(const v1::CoordinatorView& desired) {
    const MutexLock lock(&mutex_);
    desired_ = desired;
  }
  std::vector<v1::WorkerView> views() {
    const MutexLock lock(&mutex_);
    return views_;
  }
  int times_received(uint64_t number) {
    const MutexLock lock(&mutex_);
    return times_received_[number];
  }

  std::atomic<bool> answers{true};
  std::atomic<bool> acknowledges{true};
  std::atomic<int> heartbeat_interval_ms{60'000};
  std::atomic<int> lease_duration_ms{60'000};
  std::atomic<int> streams{0};
  std::atomic<int> half_closed{0};
  std::atomic<int> upload_failures{0};
  std::atomic<grpc::StatusCode> upload_failure{grpc::StatusCode::UNAVAILABLE};
  std::atomic<int> download_failures{0};
  std::atomic<grpc::StatusCode> download_failure{grpc::StatusCode::UNAVAILABLE};
  std::string served = kContent;  // piece by piece

 private:
  Mutex mutex_;
  std::vector<v1::WorkerView> views_ ABSL_GUARDED_BY(mutex_);
  v1::CoordinatorView desired_ ABSL_GUARDED_BY(mutex_);
  uint64_t received_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t acknowledged_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, int> times_received_ ABSL_GUARDED_BY(mutex_);
};

class CoordinatorLinkTest : public testing::Test {
 protected:
  CoordinatorLinkTest() {
    std::string pattern = testing::TempDir() + "modlab_link_XXXXXX";
    directory_ = mkdtemp(pattern.data());
    address_ = "unix:" + directory_ + "/socket";
    v1::WorkerView identity;
    identity.set_worker_id("0123456789abcdef0123456789abcdef");
    identity.set_slots(2);
    session_ = std::make_unique<Session>(identity, ReportLimits(), [this] { link_->Wake(); });
    Endpoint endpoint;
    endpoint.address = address_;
    channel_ = *OpenWorkerChannel(endpoint);
    link_ = std::make_unique<CoordinatorLink>(channel_, address_, session_.get());
  }

  ~CoordinatorLinkTest() override {
    link_.reset();
    StopServer();
    unlink((directory_ + "/socket").c_str());
    rmdir(directory_.c_str());
  }

  void StartServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
    builder.RegisterService(static_cast<v1::WorkerService::Service*>(&coordinator_));
    builder.RegisterService(static_cast<v1::ArtifactService::Service*>(&coordinator_));
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }

  void StopServer() {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
    server_ = nullptr;
  }

  // Waits, at most 10 seconds.
  static bool Eventually(const std::function<bool()>& condition) {
    const std::chrono::steady_clock::time_point deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < deadline) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return condition();
  }

  std::shared_ptr<Gang> StartOneJob() {
    v1::CoordinatorView view;
    v1::Gang* gang = view.add_gangs();
    gang->set_id(1);
    gang->add_leases()->set_job_id(5);
    coordinator_.Desire(view);
    session_->Apply(view);
    return session_->NextGang();
  }

  void AddPoint(const Gang& gang) {
    v1::Report report;
    report.mutable_point()->set_iteration(1);
    EXPECT_TRUE(session_->Add(gang, 0, report));
  }

  std::string directory_;
  std::string address_;
  FakeCoordinator coordinator_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<CoordinatorLink> link_;
};

}  // namespace modlab

#endif  // MODLAB_WORKER_COORDINATOR_LINK_FIXTURE_H_
