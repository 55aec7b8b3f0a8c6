#include "server/queue/places.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/queue/doubled.h"

namespace modlab {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kFirstUs = 100;
constexpr int64_t kMaxUs = 350;

Places::Options Options() { return {2, kFirstUs, kMaxUs}; }

// A gang of one job, which has its number.
bool Fail(Places* places, Places::Place* place, int64_t gang_id, absl::string_view reason,
          int64_t now_us) {
  return places->Fail(place, gang_id, {gang_id}, reason, now_us);
}

TEST(DoubledTest, GrowsUpToItsMost) {
  EXPECT_EQ(Doubled(3, 0, 100), 3);
  EXPECT_EQ(Doubled(3, 2, 100), 12);
  EXPECT_EQ(Doubled(3, 40, 100), 100);
  EXPECT_EQ(Doubled(300, 0, 100), 100);
  EXPECT_EQ(Doubled(0, 1'000'000'000'000, 100), 0);
  EXPECT_EQ(Doubled(1, 500, INT64_MAX), INT64_MAX);
}

TEST(PlacesTest, FailuresInARowCloseAPlace) {
  Places places(Options());
  Places::Place* place = places.FindOrAdd("p");
  EXPECT_FALSE(Fail(&places, place, 1, "why", 10));
  EXPECT_FALSE(Fail(&places, place, 1, "why", 10)) << "the same gang";
  EXPECT_TRUE(Fail(&places, place, 2, "why not", 20));
  EXPECT_EQ(place->state, Places::State::kClosed);
  EXPECT_EQ(place->until_us, 20 + kFirstUs);
  EXPECT_EQ(place->reason, "why not");
  EXPECT_FALSE(Fail(&places, place, 3, "later", 30)) << "it was given before";
  EXPECT_EQ(place->reason, "why not");
  EXPECT_THAT(places.Reopen(19 + kFirstUs), IsEmpty());
  EXPECT_THAT(places.Reopen(20 + kFirstUs), ElementsAre(place));
  EXPECT_THAT(places.Reopen(20 + kFirstUs), IsEmpty());
  EXPECT_EQ(place->state, Places::State::kOnTrial);
  EXPECT_TRUE(Fail(&places, place, 4, "again", 200));
  EXPECT_EQ(place->until_us, 200 + 2 * kFirstUs);
  places.Succeed(place);
  EXPECT_EQ(place->state, Places::State::kOpen);
  EXPECT_THAT(places.Reopen(1000), IsEmpty());
  EXPECT_FALSE(Fail(&places, place, 5, "anew", 1000));
}

TEST(PlacesTest, AJobThatFailsAgainAndAgainIsToBlameItself) {
  Places places(Options());
  Places::Place* place = places.FindOrAdd("p");
  EXPECT_FALSE(places.Fail(place, 1, {7, 8, 9}, "why", 10));
  for (int64_t gang = 2; gang < 9; ++gang) {
    EXPECT_FALSE(places.Fail(place, gang, {8}, "why", 10 * gang)) << gang;
  }
  EXPECT_TRUE(places.Fail(place, 9, {7}, "why", 100)) << "it was not 8 after all";
}

TEST(PlacesTest, ASuccessBetweenFailuresCounts) {
  Places places(Options());
  Places::Place* place = places.FindOrAdd("p");
  for (int64_t gang = 0; gang < 10; ++gang) {
    EXPECT_FALSE(Fail(&places, place, gang, "why", gang));
    places.Succeed(place);
  }
}

TEST(PlacesTest, FailuresOfAbsentPlacesAreForgottenInTime) {
  Places places(Options());
  Fail(&places, places.FindOrAdd("p"), 1, "why", 10);
  Fail(&places, places.FindOrAdd("q"), 2, "why", 10);
  places.FindOrAdd("q")->workers = 1;
  places.Forget(10 + kMaxUs - 1);
  EXPECT_EQ(places.FindOrAdd("p")->failed_gangs.size(), 1u);
  places.Forget(10 + kMaxUs);
  EXPECT_EQ(places.FindOrAdd("p")->failed_gangs.size(), 0u);
  EXPECT_EQ(places.FindOrAdd("q")->failed_gangs.size(), 1u);
}

TEST(PlacesTest, AbsentPlacesAreLimited) {
  Places places(Options());
  for (int64_t i = 0; i <= static_cast<int64_t>(Places::kAbsentMax); ++i) {
    Fail(&places, places.FindOrAdd(absl::StrCat(i)), i, "why", 10 + i % 7 + (i == 0 ? -1 : 0));
  }
  places.Forget(20);
  EXPECT_EQ(places.FindOrAdd("0")->failed_gangs.size(), 0u) << "the oldest failure";
  EXPECT_EQ(places.FindOrAdd("1")->failed_gangs.size(), 1u);
}

TEST(PlacesTest, AForgottenQuarantineDoesNotEnd) {
  Places places(Options());
  for (int64_t gang : {1, 2}) Fail(&places, places.FindOrAdd("p"), gang, "why", 10);
  places.Forget(10'000);
  EXPECT_THAT(places.Reopen(10'000), IsEmpty());
}

TEST(PlacesTest, HowPlacesFaredIsTakenOver) {
  Places old(Options());
  for (int64_t gang : {1, 2}) Fail(&old, old.FindOrAdd("p"), gang, "why", 10);
  old.FindOrAdd("p")->workers = 3;
  Places places(Options());
  places.Adopt(old);
  Places::Place* place = places.FindOrAdd("p");
  EXPECT_EQ(place->state, Places::State::kClosed);
  EXPECT_EQ(place->workers, 0);
  EXPECT_THAT(places.Reopen(10 + kFirstUs), ElementsAre(place));
}

TEST(PlacesTest, ALongReasonIsCutBetweenCharacters) {
  Places places(Options());
  Places::Place* place = places.FindOrAdd("p");
  std::string reason(511, 'x');
  Fail(&places, place, 1, reason + "\xC3\xA4" + "x", 10);
  EXPECT_EQ(place->reason, reason);
}

}  // namespace
}  // namespace modlab
