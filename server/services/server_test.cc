#include "server/services/server.h"

#include <sys/stat.h>

#include <chrono>
#include <memory>
#include <string>

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
  EXPECT_FALSE(ParseListenAddress("0.0.0.0:7070")->is_local());
  EXPECT_FALSE(ParseListenAddress("[::]:7070")->is_local());
  for (const std::string& text :
       {std::string(), std::string("host"), std::string(":7070"), std::string("host:port"),
        std::string("host:65536"), std::string("::1:7070"), std::string("[::1:7070"),
        std::string("unix:"), "unix:/" + std::string(200, 'x')}) {
    EXPECT_THAT(ParseListenAddress(text).status(), IsStatus(absl::StatusCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace modlab
