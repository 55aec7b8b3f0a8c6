#include "lib/rules/mha_task.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "lib/rules/task.h"
#include "lib/rules/token_draw.h"
#include "lib/rules/vector_widths.h"

namespace modlab {
namespace {

// Samples that are searched side by side.
constexpr int64_t kTile = 256;

// The tokens at one step of `count` samples, each with the key that it searches by.
// Numbers are compared as doubles: differences and products of floats are then as
// good as exact, and no two tokens become equal by rounding.
struct Searchers {
  const float* input;     // [C, T]
  int64_t tokens;         // T
  int64_t samples;        // columns from one step to the next
  int64_t length;         // steps
  int64_t step;           // the searchers' own
  int64_t count;          // at most kTile
  int64_t origin[kTile];  // index in `input` of the key's first number at step 0
};

// The keys that the searchers' sequences have at `step`.
template <int kKeySize>
__attribute__((always_inline)) inline void ReadKeys(const Searchers& searchers, int64_t step,
                                                    double (&keys)[kKeySize][kTile]) {
  for (int k = 0; k < kKeySize; ++k) {
    const float* const row = searchers.input + k * searchers.tokens + step * searchers.samples;
    for (int64_t b = 0; b < searchers.count; ++b) {
      keys[k][b] = static_cast<double>(row[searchers.origin[b]]);
    }
  }
}

// For each searcher the step, not its own, whose key is nearest to its own, or has
// the largest inner product with it; the first of equals.
template <int kKeySize>
__attribute__((always_inline)) inline void Search(const Searchers& searchers,
                                                  int64_t* __restrict found) {
  double own[kKeySize][kTile];
  double other[kKeySize][kTile];
  double best[kTile];
  ReadKeys<kKeySize>(searchers, searchers.step, own);
  for (int64_t b = 0; b < searchers.count; ++b) {
    best[b] = -std::numeric_limits<double>::infinity();
    found[b] = 0;
  }
  for (int64_t step = 0; step < searchers.length; ++step) {
    if (step == searchers.step) continue;
    ReadKeys<kKeySize>(searchers, step, other);
    for (int64_t b = 0; b < searchers.count; ++b) {
      double likeness;
      if constexpr (kKeySize == 1) {
        likeness = -std::abs(other[0][b] - own[0][b]);
      } else {
        likeness = other[0][b] * own[0][b] + other[1][b] * own[1][b];
      }
      const bool better = likeness > best[b];
      best[b] = better ? likeness : best[b];
      found[b] = better ? step : found[b];
    }
  }
}

MODLAB_VECTOR_WIDTHS
void FindNearest(const Searchers& searchers, int64_t* found) { Search<1>(searchers, found); }

MODLAB_VECTOR_WIDTHS
void FindLargestProduct(const Searchers& searchers, int64_t* found) { Search<2>(searchers, found); }

MODLAB_VECTOR_WIDTHS
void Normalise(int64_t count, float length, float* __restrict x, float* __restrict y) {
  for (int64_t i = 0; i < count; ++i) {
    // The least normal number keeps a vector of zeros from becoming NaN.
    const float square = std::max(x[i] * x[i] + y[i] * y[i], std::numeric_limits<float>::min());
    const float norm = std::sqrt(square);
    x[i] = x[i] / norm * length;
    y[i] = y[i] / norm * length;
  }
}

}  // namespace

void MhaTask::NormaliseKeys(int64_t tokens, float length, float* input) const {
  for (int64_t c = 0; c < rules_.count(); ++c) {
    for (int64_t which = 0; which < 2; ++which) {
      float* const x = input + key_input(c, which) * tokens;
      Normalise(tokens, length, x, x + tokens);
    }
  }
}

void MhaTask::Sample(const SampleRequest& request, const SampleBuffers& buffers) const {
  DrawTokens(request, inputs(), rules_.count(), buffers);
  const int64_t samples = request.samples;
  const int64_t tokens = request.length * samples;
  if (key_size_ == 2) NormaliseKeys(tokens, request.scale, buffers.input);

  Searchers searchers;
  searchers.input = buffers.input;
  searchers.tokens = tokens;
  searchers.samples = samples;
  searchers.length = request.length;
  int64_t found[kTile];
  float numbers[2][kTile];
  for (int64_t first = 0; first < samples; first += kTile) {
    searchers.count = std::min(kTile, samples - first);
    for (int64_t step = 0; step < request.length; ++step) {
      searchers.step = step;
      const int32_t* const rule = buffers.rule + step * samples + first;
      for (int64_t which = 0; which < 2; ++which) {
        for (int64_t b = 0; b < searchers.count; ++b) {
          searchers.origin[b] = key_input(rule[b], which) * tokens + first + b;
        }
        if (key_size_ == 1) {
          FindNearest(searchers, found);
        } else {
          FindLargestProduct(searchers, found);
        }
        for (int64_t b = 0; b < searchers.count; ++b) {
          numbers[which][b] =
              buffers.input[found_input(rule[b], which) * tokens + found[b] * samples + first + b];
        }
      }
      float* const target = buffers.target + step * samples + first;
      for (int64_t b = 0; b < searchers.count; ++b) {
        target[b] = rules_.Target(rule[b], numbers[0][b], numbers[1][b]);
      }
    }
  }
}

}  // namespace modlab
