#include "server/store/curve_rows.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/store/sqlite.h"
#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class CurveRowsTest : public StoreFixture {
 protected:
  CurveRowsTest() {
    connection_ = *Connection::Open(dir_.path() + "/modlab.db", Connection::Mode::kReadWriteCreate);
  }

  void Append(int64_t job, const std::vector<int64_t>& iterations, double value = 1) {
    std::vector<v1::CurvePoint> points;
    for (const int64_t iteration : iterations) {
      v1::CurvePoint& point = points.emplace_back();
      point.set_iteration(iteration);
      v1::MetricValue* loss = point.add_values();
      loss->set_metric(v1::EVAL_LOSS);
      loss->set_value(value);
    }
    std::vector<const v1::CurvePoint*> pointers;
    for (const v1::CurvePoint& point : points) pointers.push_back(&point);
    ASSERT_EQ(AppendPoints(connection_.get(), job, pointers), absl::OkStatus());
  }

  static std::vector<int64_t> Range(int64_t first, int64_t end) {
    std::vector<int64_t> numbers;
    for (int64_t i = first; i < end; ++i) numbers.push_back(i);
    return numbers;
  }

  std::vector<int64_t> Iterations(int64_t job) {
    std::vector<v1::CurvePoint> points;
    EXPECT_EQ(ReadPoints(connection_.get(), job, &points), absl::OkStatus());
    std::vector<int64_t> iterations;
    for (const v1::CurvePoint& point : points) iterations.push_back(point.iteration());
    return iterations;
  }

  // "first-last:count" of each row, which must be true of its points.
  std::vector<std::string> Rows(int64_t job) {
    std::vector<std::string> rows;
    EXPECT_EQ(
        ScanCurveRows(connection_.get(), job,
                      [&](const CurveRow& row) {
                        EXPECT_EQ(row.points.front().iteration(), row.first);
                        EXPECT_EQ(row.points.back().iteration(), row.last);
                        EXPECT_EQ(static_cast<int64_t>(row.points.size()), row.count);
                        rows.push_back(absl::StrCat(row.first, "-", row.last, ":", row.count));
                      }),
        absl::OkStatus());
    return rows;
  }

  std::unique_ptr<Connection> connection_;
};

TEST_F(CurveRowsTest, WhatComesPointByPointIsOfFewRows) {
  for (int64_t i = 0; i < 300; ++i) Append(7, {i});
  EXPECT_EQ(Iterations(7), Range(0, 300));
  EXPECT_THAT(Rows(7), ElementsAre("0-127:128", "128-255:128", "256-299:44"));
}

TEST_F(CurveRowsTest, WhatComesAtOnceIsOfFewRowsToo) {
  Append(7, Range(0, 300));
  Append(8, Range(0, 20));
  Append(8, Range(20, 40));
  EXPECT_EQ(Iterations(7), Range(0, 300));
  EXPECT_THAT(Rows(7), ElementsAre("0-127:128", "128-255:128", "256-299:44"));
  EXPECT_THAT(Rows(8), ElementsAre("0-39:40"));
  EXPECT_THAT(Rows(6), IsEmpty());
}

TEST_F(CurveRowsTest, LargeMatricesEndARow) {
  for (int64_t i = 0; i < 6; ++i) {
    v1::CurvePoint point;
    point.set_iteration(i);
    for (int cell = 0; cell < 100 * 100; ++cell) {
      point.mutable_activation()->add_values(0.1F + static_cast<float>(cell * (i + 1)));
    }
    ASSERT_EQ(AppendPoints(connection_.get(), 7, {&point}), absl::OkStatus());
  }
  EXPECT_EQ(Iterations(7), Range(0, 6));
  EXPECT_GE(Rows(7).size(), 3U);
}

TEST_F(CurveRowsTest, PointsThatAreThereStay) {
  Append(7, Range(0, 200), 1);
  Append(7, {199, 5, 200, 127, 128, 201}, 2);
  EXPECT_EQ(Iterations(7), Range(0, 202));
  MetricCurve curve;
  ASSERT_EQ(ReadMetric(connection_.get(), 7, v1::EVAL_LOSS, &curve), absl::OkStatus());
  EXPECT_EQ(curve.iterations, Range(0, 202));
  for (size_t i = 0; i < 202; ++i) EXPECT_EQ(curve.values[i], i < 200 ? 1 : 2) << i;
}

TEST_F(CurveRowsTest, PointsInAnyOrder) {
  Append(7, {100, 0, 50});
  Append(7, {50, 25});
  EXPECT_THAT(Iterations(7), ElementsAre(0, 25, 50, 100));
  std::vector<int64_t> odd, even;
  for (int64_t i = 0; i < 400; ++i) (i % 2 == 0 ? even : odd).push_back(i);
  Append(8, even);
  Append(8, odd);
  EXPECT_EQ(Iterations(8), Range(0, 400));
  Rows(8);
}

TEST_F(CurveRowsTest, PointsBeyondGo) {
  for (const int64_t kept : {-1, 0, 5, 126, 127, 128, 200, 299, 300, 1'000'000'000}) {
    Append(7, Range(0, 300));
    Append(8, Range(0, 3));
    ASSERT_EQ(RemovePointsAfter(connection_.get(), 7, kept), absl::OkStatus());
    EXPECT_EQ(Iterations(7), Range(0, std::min<int64_t>(kept + 1, 300))) << kept;
    Rows(7);
    EXPECT_EQ(Iterations(8), Range(0, 3));
    EXPECT_EQ(*CountPoints(connection_.get(), 7), std::min<int64_t>(kept + 1, 300));
    ASSERT_EQ(RemovePointsAfter(connection_.get(), 7, -1), absl::OkStatus());
    EXPECT_THAT(Iterations(7), IsEmpty());
    EXPECT_EQ(*CountPoints(connection_.get(), 7), 0);
  }
}

TEST_F(CurveRowsTest, TheLastIterationThatAJobMayHave) {
  Append(7, {0, 100'000'000});
  Append(8, {0});
  EXPECT_THAT(Iterations(7), ElementsAre(0, 100'000'000));
  v1::CurvePoint point;
  for (const int64_t iteration : {int64_t{-1}, int64_t{1} << 27}) {
    point.set_iteration(iteration);
    EXPECT_THAT(AppendPoints(connection_.get(), 7, {&point}),
                IsStatus(absl::StatusCode::kInvalidArgument));
  }
}

TEST_F(CurveRowsTest, DamageIsToldOf) {
  Append(7, Range(0, 10));
  ASSERT_EQ(connection_->Execute("UPDATE curve_chunks SET chunk = x'ffff'"), absl::OkStatus());
  std::vector<v1::CurvePoint> points;
  const absl::Status status = ReadPoints(connection_.get(), 7, &points);
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kInternal));
  EXPECT_THAT(std::string(status.message()), HasSubstr("job 7"));
  MetricCurve curve;
  EXPECT_FALSE(ReadMetric(connection_.get(), 7, v1::EVAL_LOSS, &curve).ok());
  EXPECT_FALSE(RemovePointsAfter(connection_.get(), 7, 5).ok());
  EXPECT_THAT(*FindStrayCurves(connection_.get()), ElementsAre(7));
}

}  // namespace
}  // namespace modlab
