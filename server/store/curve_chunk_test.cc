#include "server/store/curve_chunk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

v1::CurvePoint Point(int64_t iteration,
                     std::initializer_list<std::pair<v1::Metric, double>> values) {
  v1::CurvePoint point;
  point.set_iteration(iteration);
  for (const auto& [metric, value] : values) {
    v1::MetricValue* entry = point.add_values();
    entry->set_metric(metric);
    entry->set_value(value);
  }
  return point;
}

std::string Encode(const std::vector<v1::CurvePoint>& points) {
  std::vector<const v1::CurvePoint*> pointers;
  for (const v1::CurvePoint& point : points) pointers.push_back(&point);
  return EncodeChunk(pointers);
}

void ExpectExact(const std::vector<v1::CurvePoint>& points) {
  std::vector<v1::CurvePoint> read;
  ASSERT_TRUE(DecodeChunk(Encode(points), &read));
  ASSERT_EQ(read.size(), points.size());
  for (size_t i = 0; i < points.size(); ++i) {
    EXPECT_EQ(read[i].SerializeAsString(), points[i].SerializeAsString())
        << read[i].ShortDebugString() << " was " << points[i].ShortDebugString();
  }
}

// As a worker reports them.
std::vector<v1::CurvePoint> Curve(int count) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> noise(0.9, 1.1);
  std::vector<v1::CurvePoint> points;
  for (int i = 0; i < count; ++i) {
    points.push_back(
        Point(int64_t{1000} * i, {{v1::EVAL_LOSS, noise(random) / (i + 1)},
                                  {v1::COLLAPSE_AVG, static_cast<float>(noise(random))},
                                  {v1::ALIGNMENT, 0.5}}));
    if (i > 0) {
      v1::MetricValue* loss = points.back().add_values();
      loss->set_metric(v1::TRAIN_LOSS);
      loss->set_value(noise(random));
    }
    v1::ActivationMatrix* matrix = points.back().mutable_activation();
    matrix->set_rules(4);
    matrix->set_modules(4);
    for (int cell = 0; cell < 16; ++cell) {
      matrix->add_values(static_cast<float>(noise(random) / 16));
    }
  }
  return points;
}

TEST(CurveChunkTest, AnyPointsAreExact) {
  ExpectExact({});
  ExpectExact({Point(0, {})});
  ExpectExact(Curve(1));
  ExpectExact(Curve(300));
  // Another order, a metric twice, one that this version does not know, and empty points.
  ExpectExact({Point(0, {{v1::EVAL_LOSS, 1}, {v1::TRAIN_LOSS, 2}}),
               Point(1, {{v1::TRAIN_LOSS, 3}, {v1::EVAL_LOSS, 4}}), Point(2, {}),
               Point(3, {{v1::ALIGNMENT, 1}, {v1::ALIGNMENT, -0.0}}),
               Point(4, {{static_cast<v1::Metric>(9999), 7}, {v1::TRAIN_LOSS, 2}}),
               Point(5, {{v1::EVAL_LOSS, 0}})});
  std::vector<v1::CurvePoint> odd = Curve(4);
  odd[1].clear_activation();
  odd[2].mutable_activation()->add_values(7);
  odd[3].mutable_activation()->clear_values();
  odd[3].mutable_activation()->set_rules(-1);
  ExpectExact(odd);
}

TEST(CurveChunkTest, AChunkIsCompact) {
  const std::vector<v1::CurvePoint> points = Curve(100);
  size_t as_messages = 0;
  for (const v1::CurvePoint& point : points) as_messages += point.ByteSizeLong();
  EXPECT_LT(Encode(points).size(), as_messages * 6 / 10);
}

TEST(CurveChunkTest, OneMetricIsReadAlone) {
  const std::string chunk = Encode(
      {Point(0, {{v1::EVAL_LOSS, 1}}), Point(10, {{v1::TRAIN_LOSS, 5}, {v1::EVAL_LOSS, 2}}),
       Point(20, {{v1::TRAIN_LOSS, 6}}), Point(30, {{v1::EVAL_LOSS, 3}, {v1::EVAL_LOSS, 4}})});
  MetricCurve curve;
  ASSERT_TRUE(DecodeMetric(chunk, v1::EVAL_LOSS, &curve));
  EXPECT_THAT(curve.iterations, ElementsAre(0, 10, 30));
  EXPECT_THAT(curve.values, ElementsAre(1, 2, 3));
  ASSERT_TRUE(DecodeMetric(chunk, v1::TRAIN_LOSS, &curve));
  EXPECT_THAT(curve.iterations, ElementsAre(0, 10, 30, 10, 20)) << "they are added";
  MetricCurve none;
  ASSERT_TRUE(DecodeMetric(chunk, v1::ALIGNMENT, &none));
  EXPECT_THAT(none.values, IsEmpty());
}

TEST(CurveChunkTest, DamageIsNoticedOrHarmless) {
  const std::string chunk = Encode(Curve(20));
  std::vector<v1::CurvePoint> points(1);
  MetricCurve curve;
  EXPECT_FALSE(DecodeChunk(chunk + "x", &points));
  for (size_t size = 0; size < chunk.size(); ++size) {
    EXPECT_FALSE(DecodeChunk(absl::string_view(chunk).substr(0, size), &points));
    DecodeMetric(absl::string_view(chunk).substr(0, size), v1::TRAIN_LOSS, &curve);
  }
  EXPECT_FALSE(DecodeChunk("\xff\xff", &points));
  EXPECT_EQ(points.size(), 1U) << "nothing was added";
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = chunk;
    damaged[random() % 300] = static_cast<char>(random());
    points.clear();
    DecodeChunk(damaged, &points);
    DecodeMetric(damaged, v1::TRAIN_LOSS, &curve);
  }
}

}  // namespace
}  // namespace modlab
