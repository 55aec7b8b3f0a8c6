#include "server/services/server.h"

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "server/services/services_fixture.h"

namespace modlab {
namespace {

using ::testing::HasSubstr;
using ServerTest = ServicesFixture;

// Calls a method that there are no stubs for here; answers its first message.
std::string CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                    const std::string& request) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(&context, method, &queue);
  void* tag = nullptr;
  bool ok = false;
  grpc::ByteBuffer answer;
  const grpc::Slice slice(request);
  call->StartCall(nullptr);
  EXPECT_TRUE(queue.Next(&tag, &ok) && ok);
  call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
  EXPECT_TRUE(queue.Next(&tag, &ok) && ok);
  call->Read(&answer, nullptr);
  EXPECT_TRUE(queue.Next(&tag, &ok) && ok) << method << " did not answer";
  grpc::Status status;
  call->Finish(&status, nullptr);
  EXPECT_TRUE(queue.Next(&tag, &ok));
  EXPECT_TRUE(status.ok()) << method << ": " << status.error_message();
  grpc::Slice whole;
  EXPECT_TRUE(answer.DumpToSingleSlice(&whole).ok());
  return std::string(reinterpret_cast<const char*>(whole.begin()), whole.size());
}

TEST_F(ServerTest, HealthAndReflectionAnswer) {
  // HealthCheckResponse{status: SERVING}
  EXPECT_EQ(CallRaw(channel_, "/grpc.health.v1.Health/Check", ""), std::string("\x08\x01"));
  // ServerReflectionRequest{list_services: "*"}
  const std::string services = CallRaw(
      channel_, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "\x3a\x01*");
  for (const char* name : {"SweepService", "ResultsService", "ArtifactService", "WorkerService"}) {
    EXPECT_THAT(services, HasSubstr(absl::StrCat("modlab.v1.", name)));
  }
}

TEST_F(ServerTest, SubmissionsThatWaitForOneAnotherHoldUpNoFile) {
  constexpr int kSubmissions = 24;
  constexpr int kPoolThreads = 16;
  v1::CreateSweepRequest large = Submission("r1");
  v1::Axis* axis = large.mutable_spec()->mutable_grids(0)->mutable_axes(0);
  axis->clear_values();
  for (int seed = 0; seed < 10'000; ++seed) axis->add_values(absl::StrCat(seed));
  std::atomic<int> answered{0};
  std::vector<std::thread> users;
  for (int i = 0; i < kSubmissions; ++i) {
    users.emplace_back([&] {
      v1::CreateSweepResponse response;
      EXPECT_TRUE(Create(large, &response).ok());
      ++answered;
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // they are all there by now
  grpc::ClientContext context;
  v1::DownloadArtifactRequest request;
  request.set_sha256(std::string(64, 'a'));
  v1::DownloadArtifactResponse piece;
  const auto reader = files_->DownloadArtifact(&context, request);
  EXPECT_FALSE(reader->Read(&piece));
  EXPECT_LE(answered.load(), kSubmissions - kPoolThreads)
      << "all of a pool's threads waited before it";
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
  for (std::thread& user : users) user.join();
}

TEST_F(ServerTest, ATakenAddressIsRefused) {
  absl::StatusOr<std::unique_ptr<Server>> second =
      Server::Start(store_.get(), artifacts_.get(), engine_.get(), address_);
  EXPECT_THAT(second.status(), IsStatus(absl::StatusCode::kFailedPrecondition));
  v1::Sweep sweep;
  EXPECT_EQ(GetSweep("nope", &sweep).error_code(), grpc::StatusCode::NOT_FOUND)
      << "the first one still answers";
  struct stat file {};
  ASSERT_EQ(stat(address_.path.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);

  absl::StatusOr<ListenAddress> any = ParseListenAddress("127.0.0.1:0");
  absl::StatusOr<std::unique_ptr<Server>> tcp =
      Server::Start(store_.get(), artifacts_.get(), engine_.get(), *any);
  ASSERT_EQ(tcp.status(), absl::OkStatus());
  const ListenAddress real = (*tcp)->address();
  EXPECT_GT(real.port, 0);
  second = Server::Start(store_.get(), artifacts_.get(), engine_.get(), real);
  EXPECT_THAT(second.status(), IsStatus(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(real.ToString()));
}

TEST(ListenAddressTest, ReadsWhatItWrites) {
  for (const char* text : {"127.0.0.1:7070", "[::1]:0", "localhost:1", "unix:/tmp/x.sock"}) {
    absl::StatusOr<ListenAddress> address = ParseListenAddress(text);
    ASSERT_EQ(address.status(), absl::OkStatus());
    EXPECT_EQ(address->ToString(), text);
    EXPECT_TRUE(address->is_local());
  }
  EXPECT_EQ(ParseListenAddress("unix:////tmp/x.sock")->ToString(), "unix:/tmp/x.sock");
  EXPECT_EQ(ParseListenAddress("unix:////")->ToString(), "unix:/");
  EXPECT_FALSE(ParseListenAddress("0.0.0.0:7070")->is_local());
  EXPECT_FALSE(ParseListenAddress("[::]:7070")->is_local());
  for (const std::string& text :
       {std::string(), std::string("host"), std::string(":7070"), std::string("host:port"),
        std::string("host:65536"), std::string("::1:7070"), std::string("[::1:7070"),
        std::string("[[::1]:1"), std::string("[unix]:1"), std::string("unix:"),
        "unix:/" + std::string(200, 'x')}) {
    EXPECT_THAT(ParseListenAddress(text).status(), IsStatus(absl::StatusCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace modlab
