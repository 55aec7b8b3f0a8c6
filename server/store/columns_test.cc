#include "server/store/columns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace modlab {
namespace {

using testing::ElementsAreArray;

std::vector<int64_t> ThroughIntegers(const std::vector<int64_t>& values) {
  std::string bytes;
  AppendIntegers(values, &bytes);
  ColumnReader reader(bytes);
  std::vector<int64_t> read;
  reader.ReadIntegers(values.size(), &read);
  EXPECT_TRUE(reader.done());
  return read;
}

// As bits: NaN is not equal to itself, and -0 is equal to 0.
std::vector<uint64_t> Bits(const std::vector<double>& values) {
  std::vector<uint64_t> bits(values.size());
  if (!values.empty()) std::memcpy(bits.data(), values.data(), 8 * values.size());
  return bits;
}

void ExpectExact(const std::vector<double>& values) {
  std::string bytes;
  AppendDoubles(values, &bytes);
  ColumnReader reader(bytes);
  std::vector<double> read;
  reader.ReadDoubles(values.size(), &read);
  EXPECT_TRUE(reader.done());
  EXPECT_EQ(Bits(read), Bits(values));
}

TEST(ColumnsTest, IntegersAreExact) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  for (const std::vector<int64_t>& values : std::vector<std::vector<int64_t>>{
           {}, {0}, {7}, {0, 1000, 2000, 3000}, {5, 5, 5}, {kMax, kMin, kMax, -1, 0}, {3, 1, 2}}) {
    EXPECT_THAT(ThroughIntegers(values), ElementsAreArray(values));
  }
}

TEST(ColumnsTest, WhatGrowsEvenlyTakesAFewBytes) {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < 4000; ++i) values.push_back(i * 1000);
  std::string bytes;
  AppendIntegers(values, &bytes);
  EXPECT_LT(bytes.size(), 10U);
}

TEST(ColumnsTest, DoublesAreExact) {
  ExpectExact({});
  ExpectExact({0.0, -0.0, 1.0, 1.0, 0.1, 0.1F, -3e300, 5e-324, INFINITY, NAN, 1.0});
  std::mt19937_64 random(1);
  std::vector<double> values;
  for (int i = 0; i < 3000; ++i) {
    const uint64_t bits = random() << (8 * (random() % 8)) >> (8 * (random() % 8));
    double value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    values.push_back(value);
  }
  ExpectExact(values);
}

TEST(ColumnsTest, FloatsAreExact) {
  std::mt19937_64 random(1);
  for (const size_t period : {size_t{0}, size_t{1}, size_t{16}, size_t{5000}}) {
    std::vector<float> values;
    for (int i = 0; i < 3000; ++i) {
      values.push_back(static_cast<float>(random() % 1000) / (random() % 2 == 0 ? 1024.0F : 7.0F));
    }
    std::string bytes;
    AppendFloats(values, period, &bytes);
    ColumnReader reader(bytes);
    std::vector<float> read;
    reader.ReadFloats(values.size(), period, &read);
    EXPECT_TRUE(reader.done());
    EXPECT_THAT(read, ElementsAreArray(values));
  }
}

// What losses look like.
TEST(ColumnsTest, MeasuredNumbersTakeLessThanTheirBytes) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> noise(0.9, 1.1);
  std::vector<double> doubles, from_floats;
  for (int i = 1; i <= 1000; ++i) {
    doubles.push_back(noise(random) / i);
    from_floats.push_back(static_cast<float>(noise(random)) / 2.0F);
  }
  std::string bytes;
  AppendDoubles(doubles, &bytes);
  EXPECT_LT(bytes.size(), 7.8 * 1000);
  bytes.clear();
  AppendDoubles(from_floats, &bytes);
  EXPECT_LT(bytes.size(), 4.6 * 1000);
  bytes.clear();
  AppendDoubles(std::vector<double>(1000, 0.25), &bytes);
  EXPECT_LT(bytes.size(), 510U);
}

TEST(ColumnsTest, PresenceIsExact) {
  for (const std::vector<bool>& there : std::vector<std::vector<bool>>{
           {}, {true}, {false}, {false, true, true}, {true, false, false, true, false}}) {
    std::string bytes;
    AppendPresence(there, &bytes);
    ColumnReader reader(bytes);
    std::vector<bool> read;
    reader.ReadPresence(there.size(), &read);
    EXPECT_TRUE(reader.done());
    EXPECT_EQ(read, there);
  }
}

TEST(ColumnsTest, DamageIsNoticedOrHarmless) {
  std::string bytes;
  AppendNumber(5, &bytes);
  AppendIntegers({1, 2, 3, 7, 100}, &bytes);
  AppendPresence({true, false, true, true, true}, &bytes);
  AppendDoubles({1, 2, 0.1, 4}, &bytes);
  AppendFloats({1, 2, 3, 4, 5}, 2, &bytes);
  const auto read = [](const std::string& from) {
    ColumnReader reader(from);
    const auto count = static_cast<size_t>(reader.ReadNumber() % 1000);
    std::vector<int64_t> integers;
    std::vector<bool> there;
    std::vector<double> doubles;
    std::vector<float> floats;
    reader.ReadIntegers(count, &integers);
    reader.ReadPresence(count, &there);
    reader.ReadDoubles(4, &doubles);
    reader.ReadFloats(5, 2, &floats);
    return reader.done();
  };
  EXPECT_TRUE(read(bytes));
  EXPECT_FALSE(read(bytes + "x"));
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(read(bytes.substr(0, size)));
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = bytes;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    read(damaged);
  }
}

}  // namespace
}  // namespace modlab
