#include "client/connection.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "modlab/v1/sweep.grpc.pb.h"
#include "server/store/data_dir.h"

namespace modlab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Runs in an empty directory, without MODLAB_SERVER.
class ConnectionTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "/modlab-connection-XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    before_ = std::filesystem::current_path();
    std::filesystem::current_path(dir_);
    unsetenv("MODLAB_SERVER");
  }
  void TearDown() override {
    unsetenv("MODLAB_SERVER");
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(dir_);
  }

  static std::string ErrorOf(const Connection::Choice& choice, Connection::Store store) {
    const auto connection = Connection::Open(choice, store);
    EXPECT_FALSE(connection.ok());
    return connection.ok() ? "" : std::string(connection.status().message());
  }

  std::string dir_;
  std::filesystem::path before_;
};

TEST_F(ConnectionTest, WithoutAChoiceItSaysWhatThereIs) {
  EXPECT_THAT(ErrorOf({}, Connection::Store::kMustExist),
              AllOf(HasSubstr("--server"), HasSubstr("MODLAB_SERVER"), HasSubstr("--data-dir"),
                    HasSubstr("modlab run FILE")));
}

TEST_F(ConnectionTest, ReadingDoesNotMakeADataDirectory) {
  EXPECT_THAT(ErrorOf({"", "nowhere"}, Connection::Store::kMustExist), HasSubstr("nowhere"));
  EXPECT_FALSE(std::filesystem::exists("nowhere"));
  std::filesystem::create_directory("empty");
  EXPECT_THAT(ErrorOf({"", "empty"}, Connection::Store::kMustExist), HasSubstr("no modlab store"));
  EXPECT_TRUE(std::filesystem::is_empty("empty"));
}

TEST_F(ConnectionTest, TheServerGivenComesBeforeTheEnvironment) {
  setenv("MODLAB_SERVER", "elsewhere:1", 1);
  auto connection = Connection::Open({"here:1", ""}, Connection::Store::kMustExist);
  ASSERT_TRUE(connection.ok()) << connection.status();
  EXPECT_EQ((*connection)->address(), "here:1");
  EXPECT_EQ((*connection)->flags(), " --server here:1");
  connection = Connection::Open({}, Connection::Store::kMustExist);
  ASSERT_TRUE(connection.ok()) << connection.status();
  EXPECT_EQ((*connection)->address(), "elsewhere:1");
  EXPECT_EQ((*connection)->flags(), "");
}

TEST_F(ConnectionTest, AnAddressNeedsAPort) {
  EXPECT_THAT(ErrorOf({"localhost", ""}, Connection::Store::kMustExist), HasSubstr("HOST:PORT"));
}

TEST_F(ConnectionTest, TheCoordinatorThatRunsOnADataDirectoryIsUsed) {
  auto held = DataDir::Acquire("store");
  ASSERT_TRUE(held.ok()) << held.status();
  ASSERT_TRUE((*held)->SetAddress("holder:7").ok());
  auto connection = Connection::Open({"", "store"}, Connection::Store::kCreate);
  ASSERT_TRUE(connection.ok()) << connection.status();
  EXPECT_EQ((*connection)->address(), "holder:7");
  EXPECT_EQ((*connection)->embedded(), nullptr);
  EXPECT_EQ((*connection)->flags(), " --data-dir store");
}

TEST_F(ConnectionTest, AServerThatIsNotThereIsNamedSoon) {
  const std::string address = "unix:" + dir_ + "/none.sock";
  auto connection = Connection::Open({address, ""}, Connection::Store::kMustExist);
  ASSERT_TRUE(connection.ok()) << connection.status();
  const absl::Time start = absl::Now();
  const auto answer = (*connection)
                          ->Call(&v1::SweepService::Stub::ListSweeps, v1::ListSweepsRequest(),
                                 absl::Milliseconds(300));
  EXPECT_TRUE(absl::IsUnavailable(answer.status()));
  EXPECT_THAT(std::string(answer.status().message()),
              AllOf(HasSubstr("no coordinator answers at " + address),
                    HasSubstr("No such file or directory"), HasSubstr("modlabd --data-dir")));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

// Keeps the request ids that it was sent, and refuses the first.
class FakeSweeps : public v1::SweepService::Service {
 public:
  grpc::Status CreateSweep(grpc::ServerContext*, const v1::CreateSweepRequest* request,
                           v1::CreateSweepResponse* response) override {
    request_ids.push_back(request->request_id());
    if (request_ids.size() == 1) return {grpc::StatusCode::UNAVAILABLE, "starting"};
    response->mutable_sweep()->set_id("a-1");
    return grpc::Status::OK;
  }
  grpc::Status GetSweep(grpc::ServerContext*, const v1::GetSweepRequest* request,
                        v1::Sweep*) override {
    return {grpc::StatusCode::NOT_FOUND, "no sweep \"" + request->sweep() + "\""};
  }
  std::vector<std::string> request_ids;
};

TEST_F(ConnectionTest, CallsAreSentAgainUnchangedWhileTheCoordinatorStarts) {
  FakeSweeps sweeps;
  const std::string address = "unix:" + dir_ + "/s";
  std::unique_ptr<grpc::Server> server;
  std::thread starter([&] {
    absl::SleepFor(absl::Milliseconds(300));
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.RegisterService(&sweeps);
    server = builder.BuildAndStart();
  });
  auto connection = Connection::Open({address, ""}, Connection::Store::kMustExist);
  ASSERT_TRUE(connection.ok()) << connection.status();
  v1::CreateSweepRequest request;
  request.set_request_id("one");
  const auto answer =
      (*connection)->Call(&v1::SweepService::Stub::CreateSweep, request, absl::Seconds(20));
  starter.join();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->sweep().id(), "a-1");
  EXPECT_EQ(sweeps.request_ids, (std::vector<std::string>{"one", "one"}));

  // Other errors are the coordinator's own words, at once.
  v1::GetSweepRequest unknown;
  unknown.set_sweep("b");
  const auto missing = (*connection)->Call(&v1::SweepService::Stub::GetSweep, unknown);
  EXPECT_EQ(missing.status(), absl::NotFoundError("no sweep \"b\""));
  server->Shutdown();
}

}  // namespace
}  // namespace modlab
