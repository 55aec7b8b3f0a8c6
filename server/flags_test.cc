#include "server/flags.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace modlab {
namespace {

using ::testing::HasSubstr;

Flags Parse(std::vector<std::string> words) {
  CLI::App app("modlabd");
  Flags flags;
  AddFlags(&app, &flags);
  app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  return flags;
}

TEST(FlagsTest, WhatIsNotGivenHasItsDefault) {
  const Flags flags = Parse({});
  EXPECT_EQ(flags.listen.ToString(), "127.0.0.1:7070");
  EXPECT_EQ(EngineOptions(flags).queue.lease_duration_us, 10'000'000);
  EXPECT_EQ(EngineOptions(flags).queue.stall_us, 600'000'000);
  EXPECT_EQ(EngineOptions(flags).queue.backoff_max_us, 60'000'000);
  EXPECT_EQ(OpenOptions(flags).bytes_max, 0);
  EXPECT_EQ(ArtifactsOptions(flags).total_bytes_max, 0);
}

TEST(FlagsTest, WhatIsGivenArrives) {
  const Flags flags = Parse({"--listen", "unix:/tmp/s", "--lease-seconds", "0.5", "--stall-seconds",
                             "0", "--retries", "worker_lost=7", "--backoff-seconds", "90",
                             "--store-max-gib", "1", "--artifacts-max-gib", "0.5"});
  EXPECT_EQ(flags.listen.ToString(), "unix:/tmp/s");
  const Queue::Options queue = EngineOptions(flags).queue;
  EXPECT_EQ(queue.lease_duration_us, 500'000);
  EXPECT_EQ(queue.stall_us, 0);
  EXPECT_EQ(queue.retries.worker_lost, 7);
  EXPECT_EQ(queue.retries.worker_error, 2);
  EXPECT_EQ(queue.backoff_first_us, 90'000'000);
  EXPECT_EQ(queue.backoff_max_us, 90'000'000);
  EXPECT_EQ(OpenOptions(flags).bytes_max, int64_t{1} << 30);
  EXPECT_EQ(ArtifactsOptions(flags).total_bytes_max, int64_t{1} << 29);
}

TEST(FlagsTest, MetricsAreServedWhereAsked) {
  EXPECT_FALSE(Parse({}).metrics.has_value());
  const Flags flags = Parse({"--metrics", "[::]:9464", "--log-format", "json"});
  ASSERT_TRUE(flags.metrics.has_value());
  EXPECT_EQ(flags.metrics->ToString(), "[::]:9464");
  EXPECT_EQ(flags.log_format, "json");
  EXPECT_THROW(Parse({"--metrics", "unix:/tmp/s"}), CLI::ValidationError);
  EXPECT_THROW(Parse({"--metrics", "9464"}), CLI::ValidationError);
  EXPECT_THROW(Parse({"--log-format", "xml"}), CLI::ValidationError);
}

TEST(FlagsTest, MetricsOnANetworkHaveToBeWanted) {
  for (const char* local : {"127.0.0.1:9100", "localhost:9100", "[::1]:9100"}) {
    EXPECT_EQ(CheckMetrics(Parse({"--metrics", local})), absl::OkStatus()) << local;
  }
  EXPECT_EQ(CheckMetrics(Parse({})), absl::OkStatus());
  for (const char* network : {"0.0.0.0:9100", "[::]:9100", "10.0.0.1:9100"}) {
    const absl::Status refused = CheckMetrics(Parse({"--metrics", network}));
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << network;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("--metrics-insecure"));
    for (const char* opt_in : {"--metrics-insecure", "--insecure"}) {
      EXPECT_EQ(CheckMetrics(Parse({"--metrics", network, opt_in})), absl::OkStatus()) << opt_in;
    }
  }
}

TEST(FlagsTest, RetriesAreByCause) {
  const absl::StatusOr<Queue::Retries> retries =
      ParseRetries("worker_error=0,diverged=1,out_of_memory=1000", {});
  ASSERT_EQ(retries.status(), absl::OkStatus());
  EXPECT_EQ(retries->worker_error, 0);
  EXPECT_EQ(retries->diverged, 1);
  EXPECT_EQ(retries->out_of_memory, 1000);
  EXPECT_EQ(retries->worker_lost, 4);
  for (const char* text : {"", "3", "worker_lost", "worker_lost=", "worker_lost=-1", "lost=1",
                           "worker_lost=1001", "worker_lost=1,", "unspecified=1"}) {
    const absl::Status status = ParseRetries(text, {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("worker_lost")) << text;
  }
  EXPECT_THROW(Parse({"--retries", "no"}), CLI::ValidationError);
  EXPECT_THROW(Parse({"--listen", "no"}), CLI::ValidationError);
}

}  // namespace
}  // namespace modlab
