#include "server/queue/avoided.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace modlab {
namespace {

std::string Near(const std::string& avoided, const std::string& place, const std::string& worker) {
  const Nearness nearness = NearnessTo(avoided, place, worker);
  return absl::StrCat(nearness.degree, nearness.strict ? " strict" : "");
}

TEST(AvoidedTest, ThePlaceIsNearAndTheWorkerNearer) {
  const std::string avoided = AddAvoided("", "p/cpu", "w", WhyAvoided::kItFailed);
  EXPECT_EQ(Near(avoided, "p/cpu", "w"), "2");
  EXPECT_EQ(Near(avoided, "p/cpu", "v"), "1");
  EXPECT_EQ(Near(avoided, "q/cpu", "w"), "0");
  EXPECT_EQ(Near("", "p/cpu", "w"), "0");
}

TEST(AvoidedTest, WhatWouldFailAgainOrWasAskedForIsStrict) {
  std::string avoided = AddAvoided("", "p", "w", WhyAvoided::kItFailed);
  avoided = AddAvoided(avoided, "q", "w", WhyAvoided::kTooSmall);
  avoided = AddAvoided(avoided, "r", "w", WhyAvoided::kAsked);
  EXPECT_EQ(Near(avoided, "p", "w"), "2");
  EXPECT_EQ(Near(avoided, "q", "v"), "1 strict");
  EXPECT_EQ(Near(avoided, "r", "w"), "2 strict");
  avoided = AddAvoided(avoided, "p", "w", WhyAvoided::kTooSmall);
  EXPECT_EQ(Near(avoided, "p", "w"), "2 strict");
  EXPECT_EQ(AddAvoided(avoided, "p", "w", WhyAvoided::kItFailed), avoided);
}

TEST(AvoidedTest, FailuresAreForgottenAndWishesAreNot) {
  std::string avoided = AddAvoided("", "p", "w", WhyAvoided::kAsked);
  const std::string asked = avoided;
  avoided = AddAvoided(avoided, "q", "v", WhyAvoided::kItFailed);
  EXPECT_EQ(ForgetFailures(avoided), asked);
  EXPECT_EQ(ForgetFailures(""), "");
}

TEST(AvoidedTest, AnOlderCoordinatorsPlaceWasAskedFor) {
  EXPECT_EQ(Near("node 1/cpu", "node 1/cpu", "w"), "1 strict");
  EXPECT_EQ(Near(ForgetFailures("node 1/cpu"), "node 1/cpu", "w"), "1 strict");
}

TEST(AvoidedTest, TheOldestFailuresMakeRoom) {
  std::string avoided = AddAvoided("", "asked", "w", WhyAvoided::kAsked);
  for (int i = 0; i < 20; ++i) {
    avoided = AddAvoided(avoided, absl::StrCat("p", i), "w", WhyAvoided::kItFailed);
  }
  EXPECT_EQ(Near(avoided, "asked", "w"), "2 strict");
  EXPECT_EQ(Near(avoided, "p12", "w"), "0");
  EXPECT_EQ(Near(avoided, "p13", "w"), "2");
  EXPECT_EQ(AddAvoided(avoided, "", "w", WhyAvoided::kItFailed), avoided) << "where, is not known";
}

}  // namespace
}  // namespace modlab
