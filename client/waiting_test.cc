#include "client/waiting.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace modlab {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kNow = 1'000'000;

class WaitingTest : public testing::Test {
 protected:
  WaitingTest() {
    sweep_.set_id("s-1");
    sweep_.mutable_counts()->set_queued(3);
  }
  v1::Worker* AddWorker(const std::string& label = "") {
    v1::Worker* worker = workers_.Add();
    worker->set_device("cpu");
    worker->set_slot_memory_bytes(int64_t{2} << 30);
    if (!label.empty()) worker->add_labels(label);
    return worker;
  }
  v1::Requirements* wants() { return sweep_.mutable_policy()->mutable_requirements(); }
  std::string Why() const {
    return WhyItWaits(sweep_, workers_, kNow, "host:7", " --server host:7");
  }

  v1::Sweep sweep_;
  Workers workers_;
};

TEST_F(WaitingTest, WithoutWorkersItSaysHowToStartOne) {
  EXPECT_EQ(Why(), "No worker is connected. Start one with `modlab-worker --server host:7`.");
  sweep_.mutable_counts()->set_queued(0);
  EXPECT_EQ(Why(), "");
}

TEST_F(WaitingTest, RequirementsThatNobodyMeetsAreNamed) {
  wants()->add_labels("nosuch");
  AddWorker("other");
  EXPECT_EQ(Why(),
            "No worker that takes jobs meets what it requires (nosuch). Start one that does, or "
            "change what it requires: `modlab set s-1 --no-requirements --server host:7`.");
  v1::Worker* right = AddWorker("nosuch");
  EXPECT_EQ(Why(), "");
  right->set_draining(true);
  EXPECT_THAT(Why(), HasSubstr("(nosuch)"));
  sweep_.mutable_policy()->set_paused(true);
  EXPECT_EQ(Why(), "");
}

TEST_F(WaitingTest, OfMemoryItSaysWhatThereIs) {
  wants()->set_memory_bytes(int64_t{3} << 30);
  AddWorker();
  EXPECT_THAT(Why(), AllOf(HasSubstr("(3 GiB)"), HasSubstr("may use 2.0 GiB")));
  workers_.Mutable(0)->set_slot_memory_bytes(int64_t{3} << 30);
  EXPECT_EQ(Why(), "");
}

TEST_F(WaitingTest, WorkersThatDrainOrAreInQuarantineTakeNothing) {
  AddWorker()->set_draining(true);
  AddWorker()->set_quarantined_until_us(kNow + 1);
  EXPECT_EQ(Why(),
            "No worker takes jobs now: 1 drains, 1 is in quarantine, as its gangs failed. Start "
            "another, or see `modlab workers --server host:7` and `modlab workers release NAME`.");
  workers_.Mutable(1)->set_quarantined_until_us(kNow);
  EXPECT_EQ(Why(), "") << "on trial, it is given a job";
}

}  // namespace
}  // namespace modlab
