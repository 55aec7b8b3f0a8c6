#include "client/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace modlab {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

v1::Summary MakeSummary(double mean, double half) {
  v1::Summary summary;
  summary.set_mean(mean);
  summary.set_ci95_low(mean - half);
  summary.set_ci95_high(mean + half);
  return summary;
}

TEST(TextTest, CountsHaveThousands) {
  EXPECT_EQ(CountText(0), "0");
  EXPECT_EQ(CountText(999), "999");
  EXPECT_EQ(CountText(12340), "12,340");
  EXPECT_EQ(CountText(-1234567), "-1,234,567");
  EXPECT_EQ(CountText(1, "job"), "1 job");
  EXPECT_EQ(CountText(2000, "job"), "2,000 jobs");
}

TEST(TextTest, DurationsHaveTwoUnits) {
  EXPECT_EQ(DurationText(-1), "0s");
  EXPECT_EQ(DurationText(59.4), "59s");
  EXPECT_EQ(DurationText(125), "2m 05s");
  EXPECT_EQ(DurationText(3 * 3600 + 7 * 60), "3h 07m");
  EXPECT_EQ(DurationText(2 * 86400 + 4 * 3600), "2d 04h");
  EXPECT_EQ(DurationText(INFINITY), "0s");
}

TEST(TextTest, MeansAreRoundedToTheirInterval) {
  EXPECT_EQ(MeanText(MakeSummary(0.123456, 0.0123)), "0.123 ± 0.012");
  EXPECT_EQ(MeanText(MakeSummary(0.123456, 0.6)), "0.12 ± 0.60");
  EXPECT_EQ(MeanText(MakeSummary(1234.5, 321)), "1234 ± 321");
  EXPECT_EQ(MeanText(MakeSummary(1e-9, 2e-10)), "1e-09 ± 2.0e-10");
  EXPECT_EQ(MeanText(MakeSummary(0, 0)), "0 ± 0");
  EXPECT_EQ(MeanText(MakeSummary(0.5, 1e-17)), "0.5 ± 0");
  v1::Summary alone;
  alone.set_mean(0.25);
  EXPECT_EQ(MeanText(alone), "0.25");
}

TEST(TextTest, NumbersAndTimesForPeople) {
  EXPECT_EQ(NumberText(1e-4), "0.0001");
  EXPECT_EQ(NumberText(12340.4), "12340");
  EXPECT_EQ(NumberText(0.123456), "0.1235");
  EXPECT_EQ(NumberText(NAN), "-");
  EXPECT_EQ(TimeText(0), "");
  EXPECT_EQ(TimeText(1700000000123456), "2023-11-14T22:13:20Z");
}

TEST(TextTest, ListsAreSplitAtCommas) {
  EXPECT_THAT(SplitList("a, b,,c "), ElementsAre("a", "b", "c"));
  EXPECT_THAT(SplitList(""), IsEmpty());
}

TEST(TextTest, Bytes) {
  EXPECT_EQ(BytesText(0), "0 B");
  EXPECT_EQ(BytesText(1023), "1023 B");
  EXPECT_EQ(BytesText(1024), "1.0 KiB");
  EXPECT_EQ(BytesText(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(BytesText(int64_t{40} << 30), "40.0 GiB");
  EXPECT_EQ(BytesText(int64_t{3} << 60), "3072.0 PiB");
}

TEST(TextTest, CutKeepsWholeCodePoints) {
  EXPECT_EQ(CutText("abc", 3), "abc");
  EXPECT_EQ(CutText("abc", 2), "ab");
  EXPECT_EQ(CutText("\u00e4\u00f6\u00fc", 2), "\u00e4\u00f6");
  EXPECT_EQ(CutText("abc", 0), "");
}

}  // namespace
}  // namespace modlab
