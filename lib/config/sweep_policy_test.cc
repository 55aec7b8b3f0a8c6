#include "lib/config/sweep_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {
namespace {

using testing::StartsWith;

std::string Error(const absl::Status& status) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

TEST(CheckPolicy, NamesWhatIsAllowed) {
  v1::SweepPolicy policy;
  EXPECT_TRUE(CheckPolicy(policy).ok());
  for (const int priority : {-1000, 0, 1000}) {
    policy.set_priority(priority);
    EXPECT_TRUE(CheckPolicy(policy).ok()) << priority;
  }
  policy.set_priority(1001);
  EXPECT_EQ(Error(CheckPolicy(policy)), "priority: 1001 is not allowed; allowed: -1000..1000");
  policy.set_priority(std::numeric_limits<int32_t>::min());
  EXPECT_THAT(Error(CheckPolicy(policy)), StartsWith("priority: -2147483648 "));
  policy.set_priority(0);
  policy.set_max_running(-1);
  EXPECT_THAT(Error(CheckPolicy(policy)), StartsWith("max_running: -1 is not allowed"));
}

TEST(CheckPolicy, LooksAtRequirements) {
  v1::SweepPolicy policy;
  policy.mutable_requirements()->set_device("gpu");
  EXPECT_EQ(Error(CheckPolicy(policy)),
            "device: \"gpu\" is not allowed; allowed: cpu, cuda, or nothing for any");
  policy.mutable_requirements()->set_device("cuda");
  EXPECT_TRUE(CheckPolicy(policy).ok());
  policy.mutable_requirements()->set_memory_bytes(-1);
  EXPECT_THAT(Error(CheckPolicy(policy)), StartsWith("memory_bytes: -1 "));
  policy.mutable_requirements()->set_memory_bytes(1);
  for (int i = 0; i < 16; ++i) policy.mutable_requirements()->add_labels(absl::StrCat("l", i));
  EXPECT_TRUE(CheckPolicy(policy).ok());
  policy.mutable_requirements()->add_labels("one-more");
  EXPECT_EQ(Error(CheckPolicy(policy)), "labels: 17 are too many; allowed: at most 16");
}

TEST(MeetsRequirements, AllOfThem) {
  v1::Worker worker;
  worker.set_device("cuda");
  worker.set_memory_bytes(100);
  worker.set_slot_memory_bytes(40);
  worker.add_labels("a100");
  v1::Requirements wants;
  EXPECT_TRUE(MeetsRequirements(worker, wants));
  wants.set_device("cuda");
  wants.set_memory_bytes(40);
  wants.add_labels("a100");
  EXPECT_TRUE(MeetsRequirements(worker, wants));
  wants.set_memory_bytes(41);
  EXPECT_FALSE(MeetsRequirements(worker, wants)) << "of one slot";
  wants.clear_memory_bytes();
  wants.add_labels("rack=7");
  EXPECT_FALSE(MeetsRequirements(worker, wants));
  wants.clear_labels();
  wants.set_device("cpu");
  EXPECT_FALSE(MeetsRequirements(worker, wants));
}

TEST(CheckLabel, HasAForm) {
  for (const std::string& label :
       {std::string("a100"), std::string("rack=7/B.2_x-y"), std::string(63, 'a')}) {
    EXPECT_TRUE(CheckLabel(label).ok()) << label;
  }
  for (const std::string& label : {std::string(), std::string("a b"), std::string("a\n"),
                                   std::string("\u00e9"), std::string(64, 'a')}) {
    EXPECT_THAT(Error(CheckLabel(label)), StartsWith("label: \"")) << label;
  }
}

TEST(CheckUser, IsShortAndPrintable) {
  EXPECT_TRUE(CheckUser("").ok());
  EXPECT_TRUE(CheckUser("J\u00f6rg M.").ok());
  EXPECT_TRUE(CheckUser(std::string(63, 'x')).ok());
  EXPECT_THAT(Error(CheckUser(std::string(64, 'x'))), StartsWith("user: \""));
  EXPECT_THAT(Error(CheckUser("a\x1b[2J")), StartsWith("user: \""));
}

}  // namespace
}  // namespace modlab
