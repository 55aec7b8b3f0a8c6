#include "client/report/axis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace modlab {
namespace {

using testing::ElementsAre;

std::vector<std::string> Labels(const Ruler& ruler) {
  std::vector<std::string> labels;
  for (const Tick& tick : ruler.ticks) {
    if (!tick.label.empty()) labels.push_back(tick.label);
  }
  return labels;
}

Axis MakeAxis(Scale scale) {
  Axis axis;
  axis.scale = scale;
  return axis;
}

TEST(AxisTest, RuleCountsStandAtPowersOfTwo) {
  const Ruler ruler = MakeRuler(MakeAxis(Scale::kLog2), {2, 4, 8, 16, 32}, 6);
  EXPECT_THAT(Labels(ruler), ElementsAre("2", "4", "8", "16", "32"));
  EXPECT_LT(ruler.min, 2);
  EXPECT_GT(ruler.max, 32);
}

TEST(AxisTest, ManyPowersOfTwoAreThinned) {
  const Ruler ruler = MakeRuler(MakeAxis(Scale::kLog2), {1, 1 << 20}, 6);
  EXPECT_THAT(Labels(ruler), ElementsAre("1", "16", "256", "4096", "65536", "1048576"));
}

TEST(AxisTest, LinearTicksAreRoundAndAlikeInDecimals) {
  EXPECT_THAT(Labels(MakeRuler(MakeAxis(Scale::kLinear), {0, 0.19}, 6)),
              ElementsAre("0", "0.05", "0.10", "0.15"));
  EXPECT_THAT(Labels(MakeRuler(MakeAxis(Scale::kLinear), {-1, 1}, 5)),
              ElementsAre("-1.0", "-0.5", "0", "0.5", "1.0"));
}

TEST(AxisTest, LargeAndSmallNumbersHaveUnits) {
  EXPECT_THAT(Labels(MakeRuler(MakeAxis(Scale::kLinear), {0, 100000}, 5)),
              ElementsAre("0", "50k", "100k"));
  EXPECT_THAT(Labels(MakeRuler(MakeAxis(Scale::kLinear), {0, 2e6}, 5)),
              ElementsAre("0", "0.5M", "1.0M", "1.5M", "2.0M"));
  EXPECT_THAT(Labels(MakeRuler(MakeAxis(Scale::kLinear), {0, 2e-7}, 5)),
              ElementsAre("0", "0.5×10⁻⁷", "10⁻⁷", "1.5×10⁻⁷", "2.0×10⁻⁷"));
}

TEST(AxisTest, DecadesHaveMinorTicks) {
  const Ruler ruler = MakeRuler(MakeAxis(Scale::kLog10), {1e-5, 1}, 6);
  EXPECT_THAT(Labels(ruler), ElementsAre("10⁻⁵", "0.0001", "0.001", "0.01", "0.1", "1"));
  EXPECT_GT(ruler.ticks.size(), 40U);
  for (size_t i = 1; i < ruler.ticks.size(); ++i) {
    EXPECT_LT(ruler.ticks[i - 1].at, ruler.ticks[i].at);
  }
}

TEST(AxisTest, ShortLogarithmicStretchesStillHaveTwoLabels) {
  EXPECT_THAT(Labels(MakeRuler(MakeAxis(Scale::kLog10), {0.015, 0.2}, 5)),
              ElementsAre("0.02", "0.05", "0.1", "0.2"));
  EXPECT_GE(Labels(MakeRuler(MakeAxis(Scale::kLog10), {3, 3.5}, 5)).size(), 2U);
  EXPECT_GE(Labels(MakeRuler(MakeAxis(Scale::kLog2), {3, 3.5}, 5)).size(), 2U);
}

TEST(AxisTest, WhatCannotBeShownDoesNotCount) {
  const double nothing = std::numeric_limits<double>::quiet_NaN();
  const double infinite = std::numeric_limits<double>::infinity();
  const Ruler linear = MakeRuler(MakeAxis(Scale::kLinear), {1, nothing, infinite, 2}, 5);
  EXPECT_GT(linear.min, 0.9);
  EXPECT_LT(linear.max, 2.1);
  const Ruler log = MakeRuler(MakeAxis(Scale::kLog10), {-1, 0, 1, 10}, 5);
  EXPECT_GT(log.min, 0.5);
}

TEST(AxisTest, WithoutValuesThereIsARulerToo) {
  for (const Scale scale : {Scale::kLinear, Scale::kLog2, Scale::kLog10}) {
    const Ruler ruler = MakeRuler(MakeAxis(scale), {}, 5);
    EXPECT_LT(ruler.min, ruler.max);
    EXPECT_GE(Labels(ruler).size(), 2U);
  }
}

TEST(AxisTest, OneValueStandsInTheMiddle) {
  for (const double value : {-3.0, 0.0, 0.25, 7e9}) {
    const Ruler ruler = MakeRuler(MakeAxis(Scale::kLinear), {value}, 5);
    EXPECT_LT(ruler.min, value);
    EXPECT_GT(ruler.max, value);
    EXPECT_GE(Labels(ruler).size(), 2U);
  }
}

TEST(AxisTest, AnAxisBeginsAtZeroWhenThatIsNear) {
  EXPECT_EQ(MakeRuler(MakeAxis(Scale::kLinear), {1, 10}, 5).min, 0);
  EXPECT_GT(MakeRuler(MakeAxis(Scale::kLinear), {9, 10}, 5).min, 8);
  EXPECT_LT(MakeRuler(MakeAxis(Scale::kLinear), {-1, 10}, 5).min, -1);
}

TEST(AxisTest, GivenLimitsHoldUnlessTheyAreImpossible) {
  Axis axis;
  axis.min = 0;
  axis.max = 1;
  Ruler ruler = MakeRuler(axis, {0.4, 3}, 5);
  EXPECT_EQ(ruler.min, 0);
  EXPECT_EQ(ruler.max, 1);

  axis.scale = Scale::kLog10;
  ruler = MakeRuler(axis, {0.4, 0.8}, 5);
  EXPECT_GT(ruler.min, 0);
  EXPECT_EQ(ruler.max, 1);

  axis.min = 5;
  ruler = MakeRuler(axis, {}, 5);
  EXPECT_LT(ruler.min, ruler.max);
}

}  // namespace
}  // namespace modlab
