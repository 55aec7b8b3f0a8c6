#include "lib/rules/random_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include "lib/rules/philox.h"

namespace modlab {
namespace {

constexpr StreamKey kKey = {StreamPurpose::kTraining, 1, 2};
constexpr int64_t kMany = 1'000'000;

std::vector<float> Uniforms(const StreamKey& key, uint64_t block, uint32_t lane, int64_t count) {
  std::vector<float> out(static_cast<size_t>(count));
  FillUniform(key, block, lane, count, out.data());
  return out;
}

std::vector<float> Normals(const StreamKey& key, uint64_t block, uint32_t lane, int64_t count) {
  std::vector<float> out(static_cast<size_t>(count));
  FillNormal(key, block, lane, count, out.data());
  return out;
}

std::vector<int32_t> Indices(int32_t limit, int64_t count) {
  std::vector<int32_t> out(static_cast<size_t>(count));
  FillIndex(kKey, 0, 0, limit, count, out.data());
  return out;
}

std::vector<int32_t> WeightedIndices(const std::vector<double>& weights, int64_t count) {
  std::vector<int32_t> out(static_cast<size_t>(count));
  FillWeightedIndex(kKey, 0, 0, weights.data(), static_cast<int32_t>(weights.size()), count,
                    out.data());
  return out;
}

double NormalBelow(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// The largest distance between the sample's distribution and `below`.
template <typename Below>
double KolmogorovSmirnov(std::vector<float> sample, const Below& below) {
  std::sort(sample.begin(), sample.end());
  const auto n = static_cast<double>(sample.size());
  double distance = 0.0;
  for (size_t i = 0; i < sample.size(); ++i) {
    const double expected = below(static_cast<double>(sample[i]));
    distance = std::max({distance, std::abs(expected - static_cast<double>(i) / n),
                         std::abs(expected - static_cast<double>(i + 1) / n)});
  }
  return distance;
}

// 1.63 / sqrt(n) is the bound that one true sample in a hundred passes.
const double kKolmogorovSmirnovMax = 1.63 / std::sqrt(static_cast<double>(kMany));

TEST(RandomStream, UniformHasItsDistribution) {
  const auto sample = Uniforms(kKey, 0, 0, kMany);
  EXPECT_LT(KolmogorovSmirnov(sample, [](double x) { return x; }), kKolmogorovSmirnovMax);
  const auto [least, most] = std::minmax_element(sample.begin(), sample.end());
  EXPECT_GT(*least, 0.0f);
  EXPECT_LT(*most, 1.0f);
  for (size_t i = 0; i < 1000; ++i) {
    const double steps = std::ldexp(static_cast<double>(sample[i]), 23) - 0.5;
    EXPECT_EQ(steps, std::floor(steps));
  }
}

TEST(RandomStream, NormalHasItsDistribution) {
  const auto sample = Normals(kKey, 0, 0, kMany);
  EXPECT_LT(KolmogorovSmirnov(sample, NormalBelow), kKolmogorovSmirnovMax);
  double moments[5] = {};
  for (const float value : sample) {
    for (int k = 1; k <= 4; ++k) moments[k] += std::pow(value, k) / static_cast<double>(kMany);
  }
  // Four standard errors each.
  EXPECT_NEAR(moments[1], 0.0, 4e-3);
  EXPECT_NEAR(moments[2], 1.0, 4e-3 * std::sqrt(2.0));
  EXPECT_NEAR(moments[3], 0.0, 4e-3 * std::sqrt(15.0));
  EXPECT_NEAR(moments[4], 3.0, 4e-3 * std::sqrt(96.0));
}

TEST(RandomStream, NormalHasItsTails) {
  const auto sample = Normals(kKey, 1, 0, kMany);
  for (const double bound : {2.0, 3.0, 4.0}) {
    const double expected = static_cast<double>(kMany) * NormalBelow(-bound);
    const auto above =
        std::count_if(sample.begin(), sample.end(), [=](float x) { return x > bound; });
    const auto below =
        std::count_if(sample.begin(), sample.end(), [=](float x) { return x < -bound; });
    EXPECT_NEAR(static_cast<double>(above), expected, 4 * std::sqrt(expected) + 1) << bound;
    EXPECT_NEAR(static_cast<double>(below), expected, 4 * std::sqrt(expected) + 1) << bound;
  }
  EXPECT_LT(*std::max_element(sample.begin(), sample.end()), 5.8f);
}

// Box-Muller on the same words by the library's own functions: number 0 and 64
// of a tile come from words 0 and 1 of one counter.
TEST(RandomStream, NormalAgreesWithLibm) {
  const PhiloxBlock mixed = Philox({2, 1, 2, 0}, {0, 0});
  double error_max = 0.0;
  for (uint64_t block = 0; block < 2000; ++block) {
    const auto sample = Normals(kKey, block, 7, 256);
    for (uint32_t i = 0; i < 64; ++i) {
      const PhiloxBlock words =
          Philox({static_cast<uint32_t>(block), 0, 7, i}, {mixed.word0, mixed.word1});
      const double uniform = (static_cast<double>(words.word0 >> 9) + 0.5) * 0x1p-23;
      const double radius = std::sqrt(-2.0 * std::log(uniform));
      // The middle of the quarter turn is angle 0 of the quarter.
      const double turn =
          (static_cast<double>(words.word1 >> 8 & 0x3fffff) - 0x200000 + 0.5) * 0x1p-24 +
          static_cast<double>(words.word1 >> 30) / 4.0;
      const double angle = 2.0 * std::acos(-1.0) * turn;
      error_max = std::max({error_max, std::abs(radius * std::cos(angle) - sample[i]),
                            std::abs(radius * std::sin(angle) - sample[i + 64])});
    }
  }
  EXPECT_LT(error_max, 2e-6);
}

TEST(RandomStream, IndexHasItsDistribution) {
  for (const int32_t limit : {1, 2, 3, 8, 256}) {
    const auto sample = Indices(limit, kMany);
    std::vector<double> count(static_cast<size_t>(limit), 0.0);
    for (const int32_t index : sample) {
      ASSERT_GE(index, 0);
      ASSERT_LT(index, limit);
      count[static_cast<size_t>(index)] += 1.0;
    }
    const double expected = static_cast<double>(kMany) / limit;
    double chi_square = 0.0;
    for (const double n : count) chi_square += (n - expected) * (n - expected) / expected;
    EXPECT_LT(chi_square, limit - 1 + 4.0 * std::sqrt(2.0 * limit)) << limit;
  }
  const auto sample = Indices(65536, kMany);
  EXPECT_LT(*std::max_element(sample.begin(), sample.end()), 65536);
}

TEST(RandomStream, WeightedIndexHasItsDistribution) {
  const std::vector<double> weights = {0.0, 1.0, 0.0, 2.0, 5.0, 0.0};
  std::vector<double> count(weights.size(), 0.0);
  for (const int32_t index : WeightedIndices(weights, kMany)) {
    ASSERT_LT(index, 6);
    count[static_cast<size_t>(index)] += 1.0;
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    const double expected = static_cast<double>(kMany) * weights[i] / 8.0;
    EXPECT_NEAR(count[i], expected, 4 * std::sqrt(expected)) << i;
  }
  for (const int32_t index : WeightedIndices({0.0, 1e-300}, 1000)) EXPECT_EQ(index, 1);
}

// Equal weights, a power of two of them, choose as FillIndex() does.
TEST(RandomStream, EqualWeightsAreAnIndex) {
  EXPECT_EQ(WeightedIndices(std::vector<double>(8, 0.125), 1000), Indices(8, 1000));
}

TEST(RandomStream, ALongerCountOnlyAdds) {
  const auto uniforms = Uniforms(kKey, 3, 1, 2000);
  const auto normals = Normals(kKey, 3, 1, 2000);
  const auto indices = Indices(7, 2000);
  const auto weighted = WeightedIndices({1.0, 2.0}, 2000);
  for (const int64_t count : {0, 1, 63, 64, 65, 255, 256, 257, 1000}) {
    EXPECT_EQ(Uniforms(kKey, 3, 1, count),
              std::vector<float>(uniforms.begin(), uniforms.begin() + count));
    EXPECT_EQ(Normals(kKey, 3, 1, count),
              std::vector<float>(normals.begin(), normals.begin() + count));
    EXPECT_EQ(Indices(7, count), std::vector<int32_t>(indices.begin(), indices.begin() + count));
    EXPECT_EQ(WeightedIndices({1.0, 2.0}, count),
              std::vector<int32_t>(weighted.begin(), weighted.begin() + count));
  }
}

TEST(RandomStream, WritesNothingBeyondCount) {
  std::vector<float> out(300, -9.0f);
  FillNormal(kKey, 0, 0, 257, out.data());
  for (size_t i = 257; i < out.size(); ++i) EXPECT_EQ(out[i], -9.0f);
}

// Streams that differ in one name, and a block beyond 32 bits.
TEST(RandomStream, EveryPartOfTheNameCounts) {
  std::set<std::vector<float>> streams;
  for (const auto& stream : {Uniforms(kKey, 0, 0, 64), Uniforms(kKey, 1, 0, 64),
                             Uniforms(kKey, uint64_t{1} << 32, 0, 64), Uniforms(kKey, 0, 1, 64),
                             Uniforms({StreamPurpose::kEvaluation, 1, 2}, 0, 0, 64),
                             Uniforms({StreamPurpose::kTraining, 2, 2}, 0, 0, 64),
                             Uniforms({StreamPurpose::kTraining, 2, 1}, 0, 0, 64),
                             Uniforms({StreamPurpose::kTraining, 1, 3}, 0, 0, 64),
                             Uniforms({StreamPurpose::kTraining, 1, 4294967295}, 0, 0, 64)}) {
    streams.insert(stream);
  }
  EXPECT_EQ(streams.size(), 9u);
}

TEST(RandomStream, LanesAndBlocksAreUncorrelated) {
  const auto base = Normals(kKey, 0, 0, kMany);
  for (const auto& other : {Normals(kKey, 0, 1, kMany), Normals(kKey, 1, 0, kMany),
                            Normals({StreamPurpose::kTraining, 1, 3}, 0, 0, kMany)}) {
    double product = 0.0;
    for (size_t i = 0; i < base.size(); ++i) product += base[i] * other[i];
    EXPECT_NEAR(product / static_cast<double>(kMany), 0.0, 4e-3);
  }
  // Nor are a stream's numbers with those of the same counter.
  double product = 0.0;
  for (size_t i = 0; i + 64 < base.size(); ++i) product += base[i] * base[i + 64];
  EXPECT_NEAR(product / static_cast<double>(kMany), 0.0, 4e-3);
}

// FNV-1a over the bits of the numbers, in order.
template <typename Number>
uint64_t Fingerprint(const std::vector<Number>& numbers) {
  static_assert(sizeof(Number) == sizeof(uint32_t), "");
  uint64_t hash = 14695981039346656037u;
  for (const Number& number : numbers) {
    uint32_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    hash = (hash ^ bits) * 1099511628211u;
  }
  return hash;
}

// The same bits on every machine and with every compiler: results in users'
// stores depend on these numbers.
TEST(RandomStream, NeverChanges) {
  const auto uniforms = Uniforms(kKey, 0, 0, 100'000);
  EXPECT_EQ(uniforms[0], 0.757144868f);
  EXPECT_EQ(uniforms[1], 0.0970981717f);
  EXPECT_EQ(Fingerprint(uniforms), 0x3b8a797a5c04c63fu);
  const auto normals = Normals(kKey, 0, 0, 100'000);
  EXPECT_EQ(normals[0], -0.244358167f);
  EXPECT_EQ(normals[1], 1.77641487f);
  EXPECT_EQ(Fingerprint(normals), 0x0b2ff330382e324bu);
  const auto indices = Indices(7, 100'000);
  EXPECT_EQ(indices[0], 5);
  EXPECT_EQ(indices[1], 0);
  EXPECT_EQ(Fingerprint(indices), 0xefb101c0b785adb6u);
  const auto weighted = WeightedIndices({1.0, 2.0, 4.0}, 100'000);
  EXPECT_EQ(weighted[0], 2);
  EXPECT_EQ(weighted[1], 0);
  EXPECT_EQ(Fingerprint(weighted), 0x8ba7383d6a236b12u);
}

}  // namespace
}  // namespace modlab
