#include "worker/coordinator_link.h"

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
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/server_context.h"
#include "gtest/gtest.h"
#include "modlab/v1/results.grpc.pb.h"
#include "worker/artifact_upload.h"
#include "worker/channel.h"

namespace modlab {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

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
        const std::lock_guard<std::mutex> lock(mutex_);
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

  void Desire(const v1::CoordinatorView& desired) {
    const std::lock_guard<std::mutex> lock(mutex_);
    desired_ = desired;
  }
  std::vector<v1::WorkerView> views() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return views_;
  }
  int times_received(uint64_t number) {
    const std::lock_guard<std::mutex> lock(mutex_);
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

 private:
  std::mutex mutex_;
  std::vector<v1::WorkerView> views_;
  v1::CoordinatorView desired_;
  uint64_t received_ = 0;
  uint64_t acknowledged_ = 0;
  std::map<uint64_t, int> times_received_;
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
    const Clock::time_point deadline = Clock::now() + std::chrono::seconds(10);
    while (Clock::now() < deadline) {
      if (condition()) return true;
      std::this_thread::sleep_for(milliseconds(2));
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

TEST_F(CoordinatorLinkTest, TakesInWhatTheCoordinatorWantsAndTellsWhatItHolds) {
  v1::CoordinatorView view;
  v1::Gang* desired = view.add_gangs();
  desired->add_leases()->set_job_id(5);
  coordinator_.Desire(view);
  StartServer();
  link_->Start();
  const auto gang = session_->NextGang();
  EXPECT_EQ(gang->leases()[0].job_id(), 5);
  EXPECT_TRUE(Eventually([&] {
    const auto views = coordinator_.views();
    return !views.empty() && views.back().held_size() == 1 && views.back().held(0).job_id() == 5;
  }));
}

TEST_F(CoordinatorLinkTest, SendsAReportAtOnceAndOnce) {
  StartServer();
  link_->Start();
  const auto gang = StartOneJob();
  const Clock::time_point before = Clock::now();
  AddPoint(*gang);
  ASSERT_TRUE(Eventually([&] { return !session_->has_unacknowledged(); }));
  // The heartbeat interval is a minute.
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(5));
  AddPoint(*gang);
  ASSERT_TRUE(Eventually([&] { return coordinator_.times_received(2) == 1; }));
  EXPECT_EQ(coordinator_.times_received(1), 1);
}

TEST_F(CoordinatorLinkTest, ManyReportsTravelInFewViews) {
  StartServer();
  link_->Start();
  const auto gang = StartOneJob();
  for (int i = 0; i < 5000; ++i) AddPoint(*gang);
  ASSERT_TRUE(Eventually([&] { return !session_->has_unacknowledged(); }));
  EXPECT_EQ(coordinator_.times_received(5000), 1);
  EXPECT_LT(coordinator_.views().size(), 1000u);
}

TEST_F(CoordinatorLinkTest, SendsAViewEveryHeartbeatInterval) {
  coordinator_.heartbeat_interval_ms = 30;
  StartServer();
  link_->Start();
  ASSERT_TRUE(Eventually([&] { return coordinator_.views().size() >= 5; }));
  EXPECT_EQ(coordinator_.streams, 1);
}

TEST_F(CoordinatorLinkTest, WaitsForACoordinatorThatComesLater) {
  link_->Start();
  const auto gang = StartOneJob();
  AddPoint(*gang);
  std::this_thread::sleep_for(milliseconds(300));
  StartServer();
  EXPECT_TRUE(Eventually([&] { return !session_->has_unacknowledged(); }));
}

TEST_F(CoordinatorLinkTest, SendsReportsAgainAfterARestartUntilTheyAreAcknowledged) {
  coordinator_.acknowledges = false;
  StartServer();
  link_->Start();
  const auto gang = StartOneJob();
  AddPoint(*gang);
  AddPoint(*gang);
  ASSERT_TRUE(Eventually([&] { return coordinator_.times_received(2) == 1; }));
  StopServer();
  AddPoint(*gang);
  StartServer();
  ASSERT_TRUE(Eventually([&] { return coordinator_.times_received(3) == 1; }));
  EXPECT_EQ(coordinator_.times_received(1), 2);
  EXPECT_EQ(coordinator_.times_received(2), 2);
  EXPECT_TRUE(session_->has_unacknowledged());

  coordinator_.acknowledges = true;
  AddPoint(*gang);
  ASSERT_TRUE(Eventually([&] { return !session_->has_unacknowledged(); }));
  const int times = coordinator_.times_received(1);
  StopServer();
  AddPoint(*gang);
  StartServer();
  ASSERT_TRUE(Eventually([&] { return coordinator_.times_received(5) == 1; }));
  EXPECT_EQ(coordinator_.times_received(1), times);
  EXPECT_FALSE(gang->dropped(0));
}

TEST_F(CoordinatorLinkTest, OpensANewStreamWhenNothingIsHeard) {
  coordinator_.heartbeat_interval_ms = 30;
  coordinator_.lease_duration_ms = 150;
  StartServer();
  link_->Start();
  ASSERT_TRUE(Eventually([&] { return coordinator_.views().size() >= 3; }));
  EXPECT_EQ(coordinator_.streams, 1);
  coordinator_.answers = false;
  ASSERT_TRUE(Eventually([&] { return coordinator_.streams >= 3; }));
  coordinator_.answers = true;
  const auto gang = StartOneJob();
  AddPoint(*gang);
  EXPECT_TRUE(Eventually([&] { return !session_->has_unacknowledged(); }));
}

TEST_F(CoordinatorLinkTest, StopSaysThatItDrainsAndWaitsForTheLastAcknowledgement) {
  StartServer();
  link_->Start();
  const auto gang = StartOneJob();
  ASSERT_TRUE(Eventually([&] { return !coordinator_.views().empty(); }));
  AddPoint(*gang);
  session_->Drain();
  link_->Stop(std::chrono::seconds(10));
  EXPECT_FALSE(session_->has_unacknowledged());
  EXPECT_EQ(coordinator_.half_closed, 1);
  const v1::WorkerView last = coordinator_.views().back();
  EXPECT_TRUE(last.draining());
  EXPECT_EQ(last.held_size(), 0);
}

TEST_F(CoordinatorLinkTest, StopDoesNotWaitForACoordinatorThatIsAway) {
  link_->Start();
  const auto gang = StartOneJob();
  AddPoint(*gang);
  session_->Drain();
  const Clock::time_point before = Clock::now();
  link_->Stop(std::chrono::seconds(60));
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(10));
}

TEST_F(CoordinatorLinkTest, StopWaitsNoLongerThanItsGrace) {
  coordinator_.acknowledges = false;
  StartServer();
  link_->Start();
  const auto gang = StartOneJob();
  AddPoint(*gang);
  ASSERT_TRUE(Eventually([&] { return coordinator_.times_received(1) == 1; }));
  const Clock::time_point before = Clock::now();
  link_->Stop(milliseconds(100));
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(10));
  EXPECT_TRUE(session_->has_unacknowledged());
}

TEST_F(CoordinatorLinkTest, UploadsInPiecesAndTriesAgainWhileTheCoordinatorIsInTrouble) {
  StartServer();
  coordinator_.upload_failures = 2;
  const std::string content(2'500'000, 'w');
  const auto sha256 = UploadArtifact(channel_, content, [] { return true; });
  ASSERT_TRUE(sha256.ok()) << sha256.status();
  EXPECT_EQ(*sha256, "sha256 of 2500000 bytes");
}

TEST_F(CoordinatorLinkTest, UploadWaitsForACoordinatorThatComesLater) {
  std::thread late([this] {
    std::this_thread::sleep_for(milliseconds(300));
    StartServer();
  });
  const auto sha256 = UploadArtifact(channel_, "weights", [] { return true; });
  late.join();
  EXPECT_TRUE(sha256.ok()) << sha256.status();
}

TEST_F(CoordinatorLinkTest, UploadGivesUpWhereTryingAgainCannotHelp) {
  StartServer();
  coordinator_.upload_failures = 1;
  coordinator_.upload_failure = grpc::StatusCode::INVALID_ARGUMENT;
  EXPECT_TRUE(
      absl::IsInvalidArgument(UploadArtifact(channel_, "weights", [] { return true; }).status()));
}

TEST_F(CoordinatorLinkTest, UploadGivesUpWhenItIsNoLongerWanted) {
  int asked = 0;
  EXPECT_TRUE(
      absl::IsCancelled(UploadArtifact(channel_, "weights", [&] { return ++asked < 3; }).status()));
}

}  // namespace
}  // namespace modlab
