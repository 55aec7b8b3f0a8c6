// CoordinatorService, as clients see it.

#include <atomic>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lib/config/sha256.h"
#include "modlab/v1/coordinator.grpc.pb.h"
#include "server/care/restore.h"
#include "server/services/services_fixture.h"

namespace modlab {
namespace {

class CareServiceTest : public ServicesFixture {
 protected:
  CareServiceTest() : care_(v1::CoordinatorService::NewStub(channel_)) {
    v1::CreateSweepResponse created;
    EXPECT_TRUE(Create(Submission("request-1"), &created).ok());
  }

  struct Audited {
    grpc::Status status;
    int findings = 0;
    v1::AuditResponse last;
  };
  Audited Audit(const std::string& sweep = "") {
    grpc::ClientContext context;
    v1::AuditRequest request;
    request.set_sweep(sweep);
    const auto reader = care_->Audit(&context, request);
    Audited audited;
    v1::AuditResponse response;
    while (reader->Read(&response)) {
      audited.findings += response.findings_size();
      audited.last = response;
    }
    audited.status = reader->Finish();
    return audited;
  }

  const std::unique_ptr<v1::CoordinatorService::Stub> care_;
};

TEST_F(CareServiceTest, Audit) {
  const Audited audited = Audit();
  EXPECT_TRUE(audited.status.ok()) << audited.status.error_message();
  EXPECT_EQ(audited.findings, 2);
  EXPECT_EQ(audited.last.summary().jobs(), 2);
  EXPECT_EQ(audited.last.summary().incomplete(), 2);
  EXPECT_EQ(audited.last.summary().damaged(), 0);
  EXPECT_EQ(audited.last.done(), audited.last.total());
  EXPECT_EQ(Audit("s-1").last.summary().sweeps(), 1);
  EXPECT_EQ(Audit("none").status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(CareServiceTest, ABackupIsAWholeFile) {
  grpc::ClientContext context;
  const auto reader = care_->Backup(&context, v1::BackupRequest());
  std::string file, sha256;
  int64_t announced = 0;
  v1::BackupResponse response;
  while (reader->Read(&response)) {
    EXPECT_LE(response.data().size(), size_t{1} << 20);
    file += response.data();
    if (response.size_bytes() > 0) announced = response.size_bytes();
    if (!response.sha256().empty()) sha256 = response.sha256();
  }
  const grpc::Status status = reader->Finish();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(static_cast<int64_t>(file.size()), announced);
  EXPECT_EQ(Sha256Hex(file), sha256);
  const std::string path = dir_.path() + "/backup";
  std::ofstream(path, std::ios::binary) << file;
  const absl::StatusOr<Restored> restored = Restore(path, dir_.path() + "/again", 1);
  ASSERT_EQ(restored.status(), absl::OkStatus());
  EXPECT_EQ(restored->jobs, 2);
}

TEST_F(CareServiceTest, AClientThatGoesLeavesNothing) {
  {
    grpc::ClientContext context;
    const auto reader = care_->Backup(&context, v1::BackupRequest());
    v1::BackupResponse response;
    EXPECT_TRUE(reader->Read(&response));
    context.TryCancel();
    EXPECT_FALSE(reader->Finish().ok());
  }
  // Its threads are free again.
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Audit().status.ok());
}

TEST_F(CareServiceTest, ManyAtATimeWaitForTheirTurn) {
  std::vector<std::thread> threads;
  std::atomic<int> answered{0};
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] { answered += Audit().status.ok() ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered.load(), 6);
}

TEST_F(CareServiceTest, Prune) {
  v1::PruneRequest request;
  v1::PruneResponse response;
  EXPECT_EQ(
      Call(care_.get(), &v1::CoordinatorService::Stub::Prune, request, &response).error_code(),
      grpc::StatusCode::INVALID_ARGUMENT);
  request.set_sweep("s");
  EXPECT_EQ(
      Call(care_.get(), &v1::CoordinatorService::Stub::Prune, request, &response).error_code(),
      grpc::StatusCode::FAILED_PRECONDITION);
  v1::CancelSweepRequest cancel;
  cancel.set_sweep("s");
  v1::CancelSweepResponse cancelled;
  EXPECT_TRUE(Call(sweeps_.get(), &v1::SweepService::Stub::CancelSweep, cancel, &cancelled).ok());
  request.set_dry_run(true);
  EXPECT_TRUE(Call(care_.get(), &v1::CoordinatorService::Stub::Prune, request, &response).ok());
  EXPECT_EQ(response.jobs(), 2);
  EXPECT_EQ(Audit().last.summary().jobs(), 2);
  request.set_dry_run(false);
  EXPECT_TRUE(Call(care_.get(), &v1::CoordinatorService::Stub::Prune, request, &response).ok());
  EXPECT_EQ(response.sweeps_size(), 1);
  EXPECT_EQ(response.jobs(), 2);
  const Audited audited = Audit();
  EXPECT_EQ(audited.last.summary().jobs(), 0);
  EXPECT_EQ(audited.findings, 0);
}

TEST_F(CareServiceTest, Status) {
  v1::CoordinatorStatus status;
  EXPECT_TRUE(
      Call(care_.get(), &v1::CoordinatorService::Stub::GetStatus, v1::GetStatusRequest(), &status)
          .ok());
  EXPECT_EQ(status.version(), MODLAB_VERSION);
  EXPECT_EQ(status.waiting(), 2);
  EXPECT_GT(status.database_bytes(), 0);
  EXPECT_GT(status.free_bytes(), 0);
}

}  // namespace
}  // namespace modlab
