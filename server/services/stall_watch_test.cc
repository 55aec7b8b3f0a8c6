#include "server/services/stall_watch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "modlab/v1/worker.grpc.pb.h"

namespace modlab {
namespace {

// Answers when it is cancelled, or at once if `begin` says so.
class Call final : public grpc::ServerUnaryReactor {
 public:
  Call(grpc::CallbackServerContext* context, const std::function<bool(StallWatch*)>& begin)
      : watch_(context) {
    if (begin(&watch_)) Finish(grpc::Status::OK);
  }
  void OnCancel() override { Finish(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }

 private:
  StallWatch watch_;
};

class Service final : public v1::WorkerService::CallbackService {
 public:
  std::function<bool(StallWatch*)> begin;

 private:
  grpc::ServerUnaryReactor* ListWorkers(grpc::CallbackServerContext* context,
                                        const v1::ListWorkersRequest*,
                                        v1::ListWorkersResponse*) override {
    return new Call(context, begin);
  }
};

class StallWatchTest : public testing::Test {
 protected:
  StallWatchTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::WorkerService::NewStub(server_->InProcessChannel(grpc::ChannelArguments()));
  }

  grpc::StatusCode CallFor(absl::Duration patience) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + patience));
    v1::ListWorkersResponse response;
    return stub_->ListWorkers(&context, v1::ListWorkersRequest(), &response).error_code();
  }

  Service service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
};

TEST_F(StallWatchTest, EndsACallWhosePeerTakesTooLong) {
  service_.begin = [](StallWatch* watch) {
    watch->Begin(absl::Milliseconds(100));
    return false;
  };
  const absl::Time start = absl::Now();
  EXPECT_EQ(CallFor(absl::Seconds(30)), grpc::StatusCode::CANCELLED);
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(100));
}

TEST_F(StallWatchTest, EachStepHasItsOwnTime) {
  service_.begin = [](StallWatch* watch) {
    for (int i = 0; i < 10; ++i) {
      watch->Begin(absl::Milliseconds(300));
      absl::SleepFor(absl::Milliseconds(50));
    }
    return false;
  };
  const absl::Time start = absl::Now();
  EXPECT_EQ(CallFor(absl::Seconds(30)), grpc::StatusCode::CANCELLED);
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(750));
}

TEST_F(StallWatchTest, OurOwnStepsTakeAsLongAsTheyDo) {
  service_.begin = [](StallWatch* watch) {
    watch->Begin(absl::Milliseconds(50));
    watch->End();
    return false;
  };
  EXPECT_EQ(CallFor(absl::Milliseconds(500)), grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(StallWatchTest, ACallThatEndsInTimeIsLeftAlone) {
  service_.begin = [](StallWatch* watch) {
    watch->Begin(absl::Milliseconds(20));
    return true;
  };
  for (int i = 0; i < 200; ++i) EXPECT_EQ(CallFor(absl::Seconds(30)), grpc::StatusCode::OK);
  absl::SleepFor(absl::Milliseconds(100));
}

}  // namespace
}  // namespace modlab
