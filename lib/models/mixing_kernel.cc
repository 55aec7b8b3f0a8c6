#include "lib/models/mixing_kernel.h"

#include <algorithm>
#include <cstdint>

#include "lib/models/vector_math.h"

namespace modlab {
namespace {

// Columns are taken in tiles of these widths, each as often as it fits, so that a
// tile's numbers stay in the nearest cache and loops have no tails.
constexpr int kWide = 64;
constexpr int kNarrow = 16;
// Numbers that are added up side by side.
constexpr int kLanes = 32;

template <typename Visit>
MODLAB_INLINE void ForEachTile(int64_t columns, const Visit& visit) {
  int64_t begin = 0;
  for (; begin + kWide <= columns; begin += kWide) visit.template Tile<kWide>(begin);
  for (; begin + kNarrow <= columns; begin += kNarrow) visit.template Tile<kNarrow>(begin);
  for (; begin < columns; ++begin) visit.template Tile<1>(begin);
}

// p = softmax over modules of w . hidden + b.
template <typename Real, int kWidth>
MODLAB_INLINE void Score(const MixingSizes& sizes, const Mixing<Real>& mixing, int64_t begin) {
  for (int64_t m = 0; m < sizes.modules; ++m) {
    const Real* const weight = mixing.score_weight + m * sizes.units;
    Real score[kWidth];
    for (int i = 0; i < kWidth; ++i) score[i] = mixing.score_bias[m];
    for (int64_t k = 0; k < sizes.units; ++k) {
      const Real* const h = mixing.hidden + (m * sizes.units + k) * sizes.columns + begin;
      const Real w = weight[k];
      for (int i = 0; i < kWidth; ++i) score[i] += w * h[i];
    }
    std::copy_n(score, kWidth, mixing.p + m * sizes.columns + begin);
  }
  Softmax<Real, kWidth>(sizes.modules, sizes.columns, mixing.p + begin);
}

template <typename Real>
struct Forwards {
  const MixingSizes& sizes;
  const Mixing<Real>& mixing;
  bool scored;

  template <int kWidth>
  MODLAB_INLINE void Tile(int64_t begin) const {
    if (scored) Score<Real, kWidth>(sizes, mixing, begin);
    for (int64_t m = 0; m < sizes.modules; ++m) {
      Real p[kWidth];
      for (int i = 0; i < kWidth; ++i) p[i] = mixing.p[m * sizes.columns + begin + i];
      for (int64_t k = 0; k < sizes.units; ++k) {
        const int64_t at = (m * sizes.units + k) * sizes.columns + begin;
        const Real* __restrict const h = mixing.hidden + at;
        Real* __restrict const mixed = mixing.mixed + at;
        for (int i = 0; i < kWidth; ++i) mixed[i] = p[i] * h[i];
      }
    }
  }
};

// From the gradient to the mixture that to the scores, or to p if it is given.
template <typename Real>
struct ScoreGradients {
  const MixingSizes& sizes;
  const Mixing<Real>& mixing;
  const MixingGradient<Real>& gradient;
  bool scored;

  template <int kWidth>
  MODLAB_INLINE void Tile(int64_t begin) const {
    Real mean[kWidth] = {};
    for (int64_t m = 0; m < sizes.modules; ++m) {
      const Real* const p = mixing.p + m * sizes.columns + begin;
      Real* const to_p = gradient.p + m * sizes.columns + begin;
      Real d_p[kWidth];
      for (int i = 0; i < kWidth; ++i) d_p[i] = to_p[i];
      for (int64_t k = 0; k < sizes.units; ++k) {
        const int64_t at = (m * sizes.units + k) * sizes.columns + begin;
        const Real* const h = mixing.hidden + at;
        const Real* const d = gradient.mixed + at;
        for (int i = 0; i < kWidth; ++i) d_p[i] += d[i] * h[i];
      }
      for (int i = 0; i < kWidth; ++i) {
        to_p[i] = d_p[i];
        mean[i] += p[i] * d_p[i];
      }
    }
    if (!scored) return;
    for (int64_t m = 0; m < sizes.modules; ++m) {
      const Real* const p = mixing.p + m * sizes.columns + begin;
      Real* const to_p = gradient.p + m * sizes.columns + begin;
      for (int i = 0; i < kWidth; ++i) to_p[i] = p[i] * (to_p[i] - mean[i]);
    }
  }
};

// Of one hidden unit, of all columns. Returns the gradient to its score weight.
template <typename Real>
MODLAB_INLINE Real UnitGradient(int64_t columns, Real w, const Real* __restrict p,
                                const Real* __restrict d_score, const Real* __restrict h,
                                const Real* __restrict d, Real* __restrict d_h) {
  Real lane[kLanes] = {};
  int64_t t = 0;
  for (; t + kLanes <= columns; t += kLanes) {
    for (int i = 0; i < kLanes; ++i) {
      d_h[t + i] = p[t + i] * d[t + i] + w * d_score[t + i];
      lane[i] += d_score[t + i] * h[t + i];
    }
  }
  Real sum = RowSum<Real, kLanes>(lane, kLanes);
  for (; t < columns; ++t) {
    d_h[t] = p[t] * d[t] + w * d_score[t];
    sum += d_score[t] * h[t];
  }
  return sum;
}

template <typename Real>
MODLAB_INLINE void Backward(const MixingSizes& sizes, const Mixing<Real>& mixing,
                            const MixingGradient<Real>& gradient, bool scored) {
  ForEachTile(sizes.columns, ScoreGradients<Real>{sizes, mixing, gradient, scored});
  for (int64_t m = 0; m < sizes.modules; ++m) {
    const Real* const p = mixing.p + m * sizes.columns;
    const Real* const d_score = gradient.p + m * sizes.columns;
    if (scored) gradient.score_bias[m] += RowSum<Real, kLanes>(d_score, sizes.columns);
    for (int64_t k = 0; k < sizes.units; ++k) {
      const int64_t unit = m * sizes.units + k, at = unit * sizes.columns;
      const Real* __restrict const d = gradient.mixed + at;
      Real* __restrict const d_h = gradient.hidden + at;
      if (scored) {
        gradient.score_weight[unit] += UnitGradient(sizes.columns, mixing.score_weight[unit], p,
                                                    d_score, mixing.hidden + at, d, d_h);
      } else {
        for (int64_t t = 0; t < sizes.columns; ++t) d_h[t] = p[t] * d[t];
      }
    }
  }
}

MODLAB_VECTOR_CLONES
void MixScored(const MixingSizes& sizes, const Mixing<float>& mixing) {
  ForEachTile(sizes.columns, Forwards<float>{sizes, mixing, true});
}

MODLAB_VECTOR_CLONES
void MixGiven(const MixingSizes& sizes, const Mixing<float>& mixing) {
  ForEachTile(sizes.columns, Forwards<float>{sizes, mixing, false});
}

MODLAB_VECTOR_CLONES
void MixScoredBackward(const MixingSizes& sizes, const Mixing<float>& mixing,
                       const MixingGradient<float>& gradient) {
  Backward(sizes, mixing, gradient, true);
}

MODLAB_VECTOR_CLONES
void MixGivenBackward(const MixingSizes& sizes, const Mixing<float>& mixing,
                      const MixingGradient<float>& gradient) {
  Backward(sizes, mixing, gradient, false);
}

}  // namespace

void Mix(const MixingSizes& sizes, const Mixing<float>& mixing) {
  mixing.score_weight != nullptr ? MixScored(sizes, mixing) : MixGiven(sizes, mixing);
}

void Mix(const MixingSizes& sizes, const Mixing<double>& mixing) {
  ForEachTile(sizes.columns, Forwards<double>{sizes, mixing, mixing.score_weight != nullptr});
}

void MixBackward(const MixingSizes& sizes, const Mixing<float>& mixing,
                 const MixingGradient<float>& gradient) {
  mixing.score_weight != nullptr ? MixScoredBackward(sizes, mixing, gradient)
                                 : MixGivenBackward(sizes, mixing, gradient);
}

void MixBackward(const MixingSizes& sizes, const Mixing<double>& mixing,
                 const MixingGradient<double>& gradient) {
  Backward(sizes, mixing, gradient, mixing.score_weight != nullptr);
}

}  // namespace modlab
