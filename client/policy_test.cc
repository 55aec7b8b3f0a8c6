#include "client/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>

#include "modlab/v1/sweep.pb.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

v1::SweepPolicy Policy() {
  v1::SweepPolicy policy;
  policy.set_priority(5);
  policy.set_max_running(1200);
  policy.set_preempt(true);
  policy.set_paused(true);
  policy.mutable_requirements()->set_device("cuda");
  policy.mutable_requirements()->set_memory_bytes(int64_t{40} << 30);
  policy.mutable_requirements()->add_labels("a100");
  return policy;
}

TEST(PolicyTextTest, SaysWhatIsNotByDefault) {
  EXPECT_EQ(PolicyText(v1::SweepPolicy()), "");
  EXPECT_EQ(PolicyText(Policy()),
            "priority 5, at most 1,200 running, preempts, paused, needs cuda, 40 GiB, a100");
}

TEST(PolicyChangeTest, LeavesTheRest) {
  v1::SweepPolicy policy = Policy();
  PolicyChange change;
  EXPECT_TRUE(change.empty());
  change.priority = -3;
  change.preempt = false;
  EXPECT_FALSE(change.empty());
  EXPECT_FALSE(change.ChangesRequirements());
  ASSERT_TRUE(ApplyChange(change, &policy).ok());
  EXPECT_EQ(PolicyText(policy),
            "priority -3, at most 1,200 running, paused, needs cuda, 40 GiB, "
            "a100");
  change.memory_gib = 0.5;
  change.labels = {"rack=7", "h100"};
  ASSERT_TRUE(ApplyChange(change, &policy).ok());
  EXPECT_EQ(RequirementsText(policy.requirements()), "cuda, 0.5 GiB, rack=7, h100");
}

TEST(PolicyChangeTest, RequirementsCanBeDropped) {
  v1::SweepPolicy policy = Policy();
  PolicyChange change;
  change.no_requirements = true;
  EXPECT_FALSE(change.empty());
  change.labels = {"h100"};
  ASSERT_TRUE(ApplyChange(change, &policy).ok());
  EXPECT_EQ(RequirementsText(policy.requirements()), "h100");
  EXPECT_THAT(policy.requirements().labels(), ElementsAre("h100"));
}

TEST(PolicyChangeTest, RefusesWhatTheCoordinatorWould) {
  v1::SweepPolicy policy;
  PolicyChange change;
  change.priority = 1001;
  EXPECT_THAT(std::string(ApplyChange(change, &policy).message()), HasSubstr("-1000..1000"));
  change = PolicyChange();
  change.memory_gib = NAN;
  EXPECT_THAT(std::string(ApplyChange(change, &policy).message()), HasSubstr("above 0"));
  change.memory_gib = 0;
  EXPECT_THAT(std::string(ApplyChange(change, &policy).message()), HasSubstr("above 0"));
  change = PolicyChange();
  change.labels = {"a b"};
  policy = v1::SweepPolicy();
  EXPECT_THAT(std::string(ApplyChange(change, &policy).message()), HasSubstr("label: \"a b\""));
}

}  // namespace
}  // namespace modlab
