#include "rpc/channel.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "modlab/v1/results.grpc.pb.h"
#include "modlab/v1/worker.grpc.pb.h"

namespace modlab {
namespace {

using ::testing::ElementsAre;

// Answers every call with the tokens that it carried.
std::string Carried(const grpc::ServerContext& context) {
  std::string tokens;
  const auto range = context.client_metadata().equal_range("authorization");
  for (auto at = range.first; at != range.second; ++at) {
    absl::StrAppend(&tokens, std::string(at->second.data(), at->second.size()), ";");
  }
  return tokens;
}

class Workers final : public v1::WorkerService::Service {
  grpc::Status ListWorkers(grpc::ServerContext* context, const v1::ListWorkersRequest*,
                           v1::ListWorkersResponse* response) override {
    response->add_workers()->set_name(Carried(*context));
    return grpc::Status::OK;
  }
  grpc::Status Synchronise(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::CoordinatorView, v1::WorkerView>*) override {
    return grpc::Status(grpc::StatusCode::ABORTED, Carried(*context));
  }
};

class Files final : public v1::ArtifactService::Service {
  grpc::Status UploadArtifact(grpc::ServerContext* context,
                              grpc::ServerReader<v1::UploadArtifactRequest>*,
                              v1::UploadArtifactResponse* response) override {
    response->set_sha256(Carried(*context));
    return grpc::Status::OK;
  }
};

class ChannelTest : public testing::Test {
 protected:
  ChannelTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&workers_);
    builder.RegisterService(&files_);
    server_ = builder.BuildAndStart();
  }

  std::shared_ptr<grpc::Channel> Open(const std::string& token) {
    Endpoint endpoint;
    endpoint.address = absl::StrCat("127.0.0.1:", port_);
    endpoint.token = token;
    absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = OpenChannel(endpoint);
    EXPECT_TRUE(channel.ok()) << channel.status();
    return *channel;
  }

  static void SetDeadline(grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }

  // What a unary call, a client's stream and a stream both ways carry.
  static std::vector<std::string> Call(const std::shared_ptr<grpc::Channel>& channel) {
    std::vector<std::string> carried;
    grpc::ClientContext unary;
    SetDeadline(&unary);
    v1::ListWorkersResponse listed;
    EXPECT_TRUE(v1::WorkerService::NewStub(channel)
                    ->ListWorkers(&unary, v1::ListWorkersRequest(), &listed)
                    .ok());
    carried.push_back(listed.workers(0).name());
    grpc::ClientContext upload;
    SetDeadline(&upload);
    v1::UploadArtifactResponse stored;
    auto files = v1::ArtifactService::NewStub(channel);
    auto writer = files->UploadArtifact(&upload, &stored);
    writer->WritesDone();
    EXPECT_TRUE(writer->Finish().ok());
    carried.push_back(stored.sha256());
    grpc::ClientContext both;
    SetDeadline(&both);
    auto workers = v1::WorkerService::NewStub(channel);
    auto stream = workers->Synchronise(&both);
    v1::CoordinatorView view;
    EXPECT_FALSE(stream->Read(&view));
    carried.push_back(stream->Finish().error_message());
    return carried;
  }

  Workers workers_;
  Files files_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(ChannelTest, EveryKindOfCallCarriesTheTokenOnce) {
  const std::shared_ptr<grpc::Channel> channel = Open("modlab_0_secret");
  const std::string expected = "Bearer modlab_0_secret;";
  EXPECT_THAT(Call(channel), ElementsAre(expected, expected, expected));
  EXPECT_THAT(Call(channel), ElementsAre(expected, expected, expected));
}

TEST_F(ChannelTest, WithoutATokenNothingIsCarried) {
  EXPECT_THAT(Call(Open("")), ElementsAre("", "", ""));
}

TEST(OpenChannelTest, RefusesATokenInClear) {
  Endpoint endpoint;
  endpoint.address = "far.example:7070";
  endpoint.token = "secret";
  EXPECT_TRUE(absl::IsInvalidArgument(OpenChannel(endpoint).status()));
  endpoint.token = "";
  EXPECT_TRUE(OpenChannel(endpoint).ok());
}

}  // namespace
}  // namespace modlab
