#include "lib/rules/random_stream.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "lib/rules/philox.h"
#include "lib/rules/vector_widths.h"

namespace modlab {
namespace {

// A stream is made in tiles of kTileCounters counters. Number n of a stream
// comes from tile n / kTile; within it from counter n % kTileCounters and word
// n % kTile / kTileCounters. So every loop below runs over neighbours in memory.
constexpr int kTileCounters = 64;
constexpr int kTile = 4 * kTileCounters;

// Tile `tile` of the 32-bit words of a stream.
MODLAB_VECTOR_WIDTHS
void WordTile(PhiloxKey key, uint64_t block, uint32_t lane, uint32_t tile, uint32_t* words) {
  const auto block_low = static_cast<uint32_t>(block);
  const auto block_high = static_cast<uint32_t>(block >> 32);
  for (uint32_t i = 0; i < kTileCounters; ++i) {
    const PhiloxBlock out = Philox({block_low, block_high, lane, tile * kTileCounters + i}, key);
    words[i] = out.word0;
    words[kTileCounters + i] = out.word1;
    words[2 * kTileCounters + i] = out.word2;
    words[3 * kTileCounters + i] = out.word3;
  }
}

inline float FloatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline uint32_t BitsOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float UniformOf(uint32_t word) {
  return (static_cast<float>(static_cast<int32_t>(word >> 9)) + 0.5f) * 0x1p-23f;
}

// Natural logarithm of a positive normal float; relative error below 1e-7.
inline float Log(float x) {
  // x = 2^exponent (1 + f), 1 + f between sqrt(1/2) and sqrt(2).
  constexpr uint32_t kSqrtHalf = 0x3f3504f3;
  const uint32_t shifted = BitsOf(x) - kSqrtHalf;
  const auto exponent = static_cast<float>(static_cast<int32_t>(shifted) >> 23);
  const float f = FloatOf((shifted & 0x007fffff) + kSqrtHalf) - 1.0f;
  // log(1 + f) = f - f^2/2 + f^3 p(f), p interpolated at Chebyshev nodes.
  float p = -0.07902744f;
  p = p * f + 0.12622319f;
  p = p * f - 0.12998183f;
  p = p * f + 0.14214496f;
  p = p * f - 0.16641282f;
  p = p * f + 0.20001045f;
  p = p * f - 0.25000307f;
  p = p * f + 0.33333331f;
  const float f2 = f * f;
  return exponent * 0.69314718f + (f2 * f * p - 0.5f * f2 + f);
}

// A point of the unit circle; the word's top 24 bits choose its angle.
inline void CirclePoint(uint32_t word, float* x, float* y) {
  // Turns from the middle of the quarter turn: between -1/8 and 1/8, exact.
  const auto fraction = static_cast<int32_t>((word >> 8) & 0x3fffff);
  const float turn = (static_cast<float>(fraction - 0x200000) + 0.5f) * 0x1p-24f;
  // sin(2 pi t) / t and cos(2 pi t) as polynomials in t^2, error below 2e-7.
  const float t2 = turn * turn;
  float s = -75.401612f;
  s = s * t2 + 81.592545f;
  s = s * t2 - 41.341663f;
  s = s * t2 + 6.2831855f;
  s = s * turn;
  float c = -83.59182f;
  c = c * t2 + 64.921234f;
  c = c * t2 - 19.739153f;
  c = c * t2 + 1.0f;
  // Turn on by the quarter that the top two bits name.
  const uint32_t quarter = word >> 30;
  const bool odd = (quarter & 1) != 0;
  const uint32_t x_sign = ((quarter + 1) & 2) << 30;
  const uint32_t y_sign = (quarter & 2) << 30;
  *x = FloatOf(BitsOf(odd ? s : c) ^ x_sign);
  *y = FloatOf(BitsOf(odd ? c : s) ^ y_sign);
}

MODLAB_VECTOR_WIDTHS
void UniformTile(const uint32_t* words, float* out) {
  for (int i = 0; i < kTile; ++i) out[i] = UniformOf(words[i]);
}

// Box-Muller: words 0 and 1 of a counter give its numbers 0 and 1, words 2 and
// 3 its numbers 2 and 3.
MODLAB_VECTOR_WIDTHS
void NormalTile(const uint32_t* words, float* out) {
  for (int pair = 0; pair < kTile; pair += 2 * kTileCounters) {
    for (int i = pair; i < pair + kTileCounters; ++i) {
      const float radius = std::sqrt(-2.0f * Log(UniformOf(words[i])));
      float x;
      float y;
      CirclePoint(words[i + kTileCounters], &x, &y);
      out[i] = radius * x;
      out[i + kTileCounters] = radius * y;
    }
  }
}

MODLAB_VECTOR_WIDTHS
void IndexTile(const uint32_t* words, uint32_t limit, int32_t* out) {
  for (int i = 0; i < kTile; ++i) {
    out[i] = static_cast<int32_t>((static_cast<uint64_t>(words[i]) * limit) >> 32);
  }
}

// 96 bits of names do not fit into 64 bits of key, so they are mixed: two
// streams share a key with probability 2^-64.
PhiloxKey KeyOf(const StreamKey& key) {
  const PhiloxBlock mixed =
      Philox({static_cast<uint32_t>(key.purpose), key.data_seed, key.model_seed, 0}, {0, 0});
  return {mixed.word0, mixed.word1};
}

// Fills out[0, count) by tiles that convert(words, numbers) makes.
template <typename Number, typename Convert>
void Fill(const StreamKey& key, uint64_t block, uint32_t lane, int64_t count, Number* out,
          const Convert& convert) {
  const PhiloxKey philox_key = KeyOf(key);
  uint32_t words[kTile];
  Number numbers[kTile];
  uint32_t tile = 0;
  for (int64_t done = 0; done < count; done += kTile, ++tile) {
    WordTile(philox_key, block, lane, tile, words);
    convert(words, numbers);
    std::copy_n(numbers, std::min<int64_t>(kTile, count - done), out + done);
  }
}

}  // namespace

void FillUniform(const StreamKey& key, uint64_t block, uint32_t lane, int64_t count, float* out) {
  Fill(key, block, lane, count, out, UniformTile);
}

void FillNormal(const StreamKey& key, uint64_t block, uint32_t lane, int64_t count, float* out) {
  Fill(key, block, lane, count, out, NormalTile);
}

void FillIndex(const StreamKey& key, uint64_t block, uint32_t lane, int32_t limit, int64_t count,
               int32_t* out) {
  Fill(key, block, lane, count, out, [limit](const uint32_t* words, int32_t* numbers) {
    IndexTile(words, static_cast<uint32_t>(limit), numbers);
  });
}

void FillWeightedIndex(const StreamKey& key, uint64_t block, uint32_t lane, const double* weights,
                       int32_t limit, int64_t count, int32_t* out) {
  // A word below ends[i], and not below ends[i - 1], means i. The last index
  // with a weight ends at 2^32, above every word.
  std::vector<double> sums(weights, weights + limit);
  for (size_t i = 1; i < sums.size(); ++i) sums[i] += sums[i - 1];
  std::vector<uint64_t> ends;
  for (const double sum : sums) ends.push_back(static_cast<uint64_t>(sum / sums.back() * 0x1p32));
  Fill(key, block, lane, count, out, [&ends](const uint32_t* words, int32_t* numbers) {
    for (int i = 0; i < kTile; ++i) {
      const auto end = std::upper_bound(ends.begin(), ends.end(), words[i]);
      numbers[i] = static_cast<int32_t>(end - ends.begin());
    }
  });
}

}  // namespace modlab
