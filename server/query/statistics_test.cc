#include "server/query/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace modlab {
namespace {

TEST(SummariseTest, OneValueHasNoSpread) {
  const v1::Summary summary = Summarise({2.5});
  EXPECT_EQ(summary.n(), 1);
  EXPECT_EQ(summary.mean(), 2.5);
  EXPECT_EQ(summary.min(), 2.5);
  EXPECT_EQ(summary.median(), 2.5);
  EXPECT_EQ(summary.max(), 2.5);
  EXPECT_FALSE(summary.has_sd());
  EXPECT_FALSE(summary.has_sem());
  EXPECT_FALSE(summary.has_ci95_low());
  EXPECT_FALSE(summary.has_ci95_high());
}

// Student's t at 0.975: 12.706204736 for 1 degree of freedom, 2.776445105 for
// 4, 1.984216952 for 99 (any table).

TEST(SummariseTest, TwoValues) {
  const v1::Summary summary = Summarise({3, 1});
  EXPECT_EQ(summary.n(), 2);
  EXPECT_EQ(summary.mean(), 2);
  EXPECT_DOUBLE_EQ(summary.sd(), std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(summary.sem(), 1);
  EXPECT_NEAR(summary.ci95_low(), 2 - 12.706204736, 1e-8);
  EXPECT_NEAR(summary.ci95_high(), 2 + 12.706204736, 1e-8);
  EXPECT_EQ(summary.min(), 1);
  EXPECT_EQ(summary.median(), 2);
  EXPECT_EQ(summary.max(), 3);
}

TEST(SummariseTest, FiveValues) {
  const v1::Summary summary = Summarise({10, 2, 4, 8, 6});
  EXPECT_EQ(summary.n(), 5);
  EXPECT_EQ(summary.mean(), 6);
  EXPECT_DOUBLE_EQ(summary.sd(), std::sqrt(10.0));
  EXPECT_DOUBLE_EQ(summary.sem(), std::sqrt(2.0));
  EXPECT_NEAR(summary.ci95_low(), 6 - 2.776445105 * std::sqrt(2.0), 1e-8);
  EXPECT_NEAR(summary.ci95_high(), 6 + 2.776445105 * std::sqrt(2.0), 1e-8);
  EXPECT_EQ(summary.median(), 6);
}

TEST(SummariseTest, AHundredValues) {
  std::vector<double> values;
  for (int i = 1; i <= 100; ++i) values.push_back(i);
  const v1::Summary summary = Summarise(values);
  EXPECT_DOUBLE_EQ(summary.mean(), 50.5);
  EXPECT_DOUBLE_EQ(summary.sd(), std::sqrt(10100.0 / 12));
  EXPECT_NEAR(summary.ci95_high() - summary.mean(), 1.984216952 * summary.sem(), 1e-7);
  EXPECT_EQ(summary.median(), 50.5);
}

TEST(SummariseTest, EqualValuesHaveExactlyNoSpread) {
  const v1::Summary summary = Summarise(std::vector<double>(7, 0.1));
  EXPECT_EQ(summary.mean(), 0.1);
  EXPECT_EQ(summary.sd(), 0);
  EXPECT_EQ(summary.ci95_low(), 0.1);
  EXPECT_EQ(summary.ci95_high(), 0.1);
}

TEST(SummariseTest, LargeValuesKeepTheirSmallDifferences) {
  const v1::Summary summary = Summarise({1e15 + 1, 1e15 + 2, 1e15 + 3});
  EXPECT_EQ(summary.mean(), 1e15 + 2);
  EXPECT_DOUBLE_EQ(summary.sd(), 1);
}

TEST(SummariseTest, NothingGivesNothing) {
  const v1::Summary summary = Summarise({});
  EXPECT_EQ(summary.n(), 0);
  EXPECT_FALSE(summary.has_sd());
}

TEST(SummariseTest, NotANumberIsHandedOn) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const v1::Summary summary = Summarise({1, nan, 0, nan, 2});
  EXPECT_EQ(summary.n(), 5);
  EXPECT_TRUE(std::isnan(summary.mean()));
  EXPECT_EQ(summary.min(), 0);
  EXPECT_EQ(summary.median(), 2);
  EXPECT_TRUE(std::isnan(summary.max()));
}

TEST(MeanTest, DoesNotDependOnTheOrder) {
  EXPECT_EQ(Mean({0.1, 0.7, 0.3}), Mean({0.7, 0.3, 0.1}));
  EXPECT_EQ(Mean({0.1, 0.7, 0.3}), Summarise({0.3, 0.1, 0.7}).mean());
}

TEST(AreEqualTest, RoundingIsNoDifference) {
  EXPECT_TRUE(AreEqual(0.1 + 0.2, 0.3));
  EXPECT_TRUE(AreEqual(0, 0));
  EXPECT_TRUE(AreEqual(-1e9, -1e9 - 1e-4));
  EXPECT_FALSE(AreEqual(1, 1 + 2e-12));
  EXPECT_FALSE(AreEqual(0, 1e-300));
  EXPECT_FALSE(AreEqual(1, -1));
  EXPECT_FALSE(AreEqual(std::nan(""), std::nan("")));
}

// Differences of Student's sleep data (1908): t = -4.0621, p = 0.002833.
TEST(StudentsTestTest, KnownValues) {
  const auto test =
      StudentsTest(Summarise({-1.2, -2.4, -1.3, -1.3, 0.0, -1.0, -1.8, -0.8, -4.6, -1.4}), 4);
  ASSERT_TRUE(test.has_value());
  EXPECT_NEAR(test->t, -4.0621, 5e-5);
  EXPECT_NEAR(test->p, 0.002833, 5e-7);
  const auto mirrored =
      StudentsTest(Summarise({1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4}), 4);
  EXPECT_NEAR(mirrored->t, -test->t, 1e-12);
  EXPECT_NEAR(mirrored->p, test->p, 1e-12);
}

TEST(StudentsTestTest, NeedsTwoValuesAndTheirSpread) {
  EXPECT_FALSE(StudentsTest(Summarise({}), 1).has_value());
  EXPECT_FALSE(StudentsTest(Summarise({1}), 1).has_value());
  EXPECT_FALSE(StudentsTest(Summarise({0.1, 0.1, 0.1}), 0.1).has_value());
  EXPECT_FALSE(StudentsTest(Summarise({1, std::nan("")}), 1).has_value());
  // Differences of numbers about 1 that are equal but for their last bits.
  const v1::Summary rounding = Summarise({0.1, 0.1 + 1e-16, 0.1 - 1e-16});
  EXPECT_FALSE(StudentsTest(rounding, 1).has_value());
  EXPECT_FALSE(StudentsTest(Summarise({0, 0}), 0).has_value());
}

TEST(SignTestTest, IsExact) {
  EXPECT_FALSE(SignTest(0, 0).has_value());
  EXPECT_EQ(SignTest(1, 0), 1);
  EXPECT_EQ(SignTest(3, 3), 1);
  EXPECT_DOUBLE_EQ(*SignTest(5, 0), 2.0 / 32);
  EXPECT_DOUBLE_EQ(*SignTest(0, 5), 2.0 / 32);
  EXPECT_DOUBLE_EQ(*SignTest(8, 1), 2.0 * (1 + 9) / 512);
  EXPECT_NEAR(*SignTest(40, 60), 0.056887933640, 1e-9);  // any table
}

}  // namespace
}  // namespace modlab
