#include "lib/models/lstm_kernel.h"

#include <algorithm>
#include <cstdint>

#include "lib/models/lanes.h"
#include "lib/models/vector_math.h"

namespace modlab {
namespace {

// Samples are taken in tiles, so that a tile's states stay in the nearest cache.
// The width is a constant: loops have no tails, and no number's last bits depend
// on where its array begins.
constexpr int kWide = 64;
constexpr int kNarrow = kLanes;
static_assert(kLstmSamples == kLanes);

template <typename Real>
MODLAB_INLINE Real Relu(Real x) {
  return x > Real{0} ? x : Real{0};
}

// p = softmax over modules of w . relu(from_input, from_hidden), for the samples
// [begin, begin + kWidth).
template <typename Real, int kWidth>
MODLAB_INLINE void Route(const LstmSizes& sizes, const LstmStep<Real>& step, int64_t begin) {
  const int64_t rows = 4 * sizes.hidden;
  for (int64_t m = 0; m < sizes.modules; ++m) {
    const Real* const weight = step.score_weight + m * 2 * rows;
    Real score[kWidth] = {};
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t at = (m * rows + row) * sizes.samples + begin;
      const Real* const a = step.from_input + at;
      const Real* const b = step.from_hidden + at;
      const Real of_a = weight[row], of_b = weight[rows + row];
      for (int i = 0; i < kWidth; ++i) score[i] += of_a * Relu(a[i]) + of_b * Relu(b[i]);
    }
    std::copy_n(score, kWidth, step.p + m * sizes.samples + begin);
  }
  Softmax<Real, kWidth>(sizes.modules, sizes.samples, step.p + begin);
}

// A unit's gates before their nonlinearities.
template <typename Real>
struct Gates {
  // `a` and `b`: those of gate i; the other gates' rows are `next` apart. `b` may be null.
  MODLAB_INLINE Gates(const Real* a, const Real* b, int64_t next)
      : i(Load(a)), f(Load(a + next)), o(Load(a + 2 * next)), g(Load(a + 3 * next)) {
    if (b == nullptr) return;
    i += Load(b);
    f += Load(b + next);
    o += Load(b + 2 * next);
    g += Load(b + 3 * next);
  }
  Lanes<Real> i, f, o, g;
};

// 1 / sigmoid of the gates i, f, o, and g = (1 - of_g) / one_g: what is to be divided by
// is multiplied first, for a division takes as long as an exponential.
template <typename Real>
struct OpenGates {
  MODLAB_INLINE explicit OpenGates(const Gates<Real>& gate)
      : one_i(Real{1} + BoundedExp(gate.i, Real{-1})),
        one_f(Real{1} + BoundedExp(gate.f, Real{-1})),
        one_o(Real{1} + BoundedExp(gate.o, Real{-1})),
        of_g(BoundedExp(gate.g, Real{-2})),
        one_g(Real{1} + of_g) {}
  Lanes<Real> one_i, one_f, one_o, of_g, one_g;
};

// `scored` says whether there is a from_hidden; a constant at every call.
template <typename Real, int kWidth>
MODLAB_INLINE void ForwardTile(const LstmSizes& sizes, const LstmStep<Real>& step, int64_t begin,
                               bool scored) {
  using L = Lanes<Real>;
  constexpr int kParts = kWidth / kNarrow;
  const int64_t B = sizes.samples, next_gate = sizes.hidden * B;
  if (scored) Route<Real, kWidth>(sizes, step, begin);
  for (int64_t k = 0; k < sizes.hidden; ++k) {
    const Real* const before = step.cell_before + k * B + begin;
    L hidden[kParts] = {}, cell[kParts] = {};
    for (int64_t m = 0; m < sizes.modules; ++m) {
      const int64_t at = (m * 4 * sizes.hidden + k) * B + begin;
      const Real* const a = step.from_input + at;
      const Real* const b = scored ? step.from_hidden + at : nullptr;
      const Real* const share = step.p + m * B + begin;
#pragma GCC unroll 4
      for (int part = 0; part < kParts; ++part) {
        const int i = part * kNarrow;
        const OpenGates<Real> gate({a + i, scored ? b + i : nullptr, next_gate});
        const L p = Load(share + i);
        const L i_g = gate.one_i * gate.one_g;
        const L c =
            (Load(before + i) * i_g + (Real{1} - gate.of_g) * gate.one_f) / (i_g * gate.one_f);
        const L of_c = BoundedExp(c, Real{-2});
        cell[part] += p * c;
        hidden[part] += p * ((Real{1} - of_c) / (gate.one_o * (Real{1} + of_c)));
      }
    }
    for (int part = 0; part < kParts; ++part) {
      Store(hidden[part], step.hidden + k * B + begin + part * kNarrow);
      Store(cell[part], step.cell + k * B + begin + part * kNarrow);
    }
  }
}

// From the gradient to p that to the scores, and on to what they are made of and
// their weights.
template <typename Real, int kWidth>
MODLAB_INLINE void RouteBackward(const LstmSizes& sizes, const LstmStep<Real>& step,
                                 const LstmStepGradient<Real>& gradient, int64_t begin) {
  using L = Lanes<Real>;
  const L zero = {};
  const int64_t rows = 4 * sizes.hidden;
  Real mean[kWidth] = {};
  for (int64_t m = 0; m < sizes.modules; ++m) {
    const Real* const p = step.p + m * sizes.samples + begin;
    const Real* const d_p = gradient.p + m * sizes.samples + begin;
    for (int i = 0; i < kWidth; ++i) mean[i] += p[i] * d_p[i];
  }
  for (int64_t m = 0; m < sizes.modules; ++m) {
    const Real* const p = step.p + m * sizes.samples + begin;
    Real* const to_p = gradient.p + m * sizes.samples + begin;
    const Real* const weight = step.score_weight + m * 2 * rows;
    Real* const d_weight = gradient.score_weight + m * 2 * rows * kNarrow;
    Real d_score[kWidth];
    for (int i = 0; i < kWidth; ++i) {
      d_score[i] = p[i] * (to_p[i] - mean[i]);
      to_p[i] = d_score[i];
    }
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t at = (m * rows + row) * sizes.samples + begin;
      const Real* const a = step.from_input + at;
      const Real* const b = step.from_hidden + at;
      Real* const d_a = gradient.from_input + at;
      Real* const d_b = gradient.from_hidden + at;
      const Real of_a = weight[row], of_b = weight[rows + row];
      L sum_a = {}, sum_b = {};
      for (int i = 0; i < kWidth; i += kNarrow) {
        const L share = Load(d_score + i), of_input = Load(a + i), of_hidden = Load(b + i);
        const L both = Load(d_a + i);
        const L on_a = of_input > zero ? share : zero;
        const L on_b = of_hidden > zero ? share : zero;
        sum_a += on_a * of_input;
        sum_b += on_b * of_hidden;
        Store(both + on_a * of_a, d_a + i);
        Store(both + on_b * of_b, d_b + i);
      }
      Real* const to_a = d_weight + row * kNarrow;
      Real* const to_b = d_weight + (rows + row) * kNarrow;
      Store(Load(to_a) + sum_a, to_a);
      Store(Load(to_b) + sum_b, to_b);
    }
  }
}

template <typename Real, int kWidth>
MODLAB_INLINE void BackwardTile(const LstmSizes& sizes, const LstmStep<Real>& step,
                                const LstmStepGradient<Real>& gradient, int64_t begin,
                                bool scored) {
  using L = Lanes<Real>;
  const int64_t B = sizes.samples, next_gate = sizes.hidden * B;
  // Module by module, unlike forwards: the gates come from far away, and so row after row.
  for (int64_t m = 0; m < sizes.modules; ++m) {
    const Real* const share = step.p + m * B + begin;
    Real* const d_p = gradient.p + m * B + begin;
    std::fill_n(d_p, kWidth, Real{0});
    for (int64_t k = 0; k < sizes.hidden; ++k) {
      const int64_t at = (m * 4 * sizes.hidden + k) * B + begin;
      const Real* const a = step.from_input + at;
      const Real* const b = scored ? step.from_hidden + at : nullptr;
      const Real* const before = step.cell_before + k * B + begin;
      const Real* const d_hidden = gradient.hidden + k * B + begin;
      const Real* const d_cell = gradient.cell + k * B + begin;
      Real* const to_before = gradient.cell_before + k * B + begin;
      Real* const d_a = gradient.from_input + at;
#pragma GCC unroll 4
      for (int n = 0; n < kWidth; n += kNarrow) {
        const OpenGates<Real> gate({a + n, scored ? b + n : nullptr, next_gate});
        const L p = Load(share + n), c_before = Load(before + n);
        const L d_h = Load(d_hidden + n), d_next = Load(d_cell + n);
        const L i_f = gate.one_i * gate.one_f, g_o = gate.one_g * gate.one_o;
        const L all = Real{1} / (i_f * g_o);
        const L by_i_f = all * g_o, by_g_o = all * i_f;
        const L i = by_i_f * gate.one_f;
        const L f = by_i_f * gate.one_i;
        const L o = by_g_o * gate.one_g;
        const L g = by_g_o * gate.one_o * (Real{1} - gate.of_g);
        const L c = f * c_before + i * g;
        const L of_c = BoundedExp(c, Real{-2});
        const L bent = (Real{1} - of_c) / (Real{1} + of_c);
        Store(Load(d_p + n) + d_h * (o * bent) + d_next * c, d_p + n);
        const L d_own = p * d_h;
        const L d_c = p * d_next + d_own * o * (Real{1} - bent * bent);
        const L d_before = d_c * f;
        Store(m == 0 ? d_before : Load(to_before + n) + d_before, to_before + n);
        Store(d_c * g * i * (Real{1} - i), d_a + n);
        Store(d_c * c_before * f * (Real{1} - f), d_a + next_gate + n);
        Store(d_own * bent * o * (Real{1} - o), d_a + 2 * next_gate + n);
        Store(d_c * i * (Real{1} - g * g), d_a + 3 * next_gate + n);
      }
    }
  }
  if (scored) RouteBackward<Real, kWidth>(sizes, step, gradient, begin);
}

template <typename Real>
MODLAB_INLINE void Forward(const LstmSizes& sizes, const LstmStep<Real>& step, bool scored) {
  int64_t begin = 0;
  for (; begin + kWide <= sizes.samples; begin += kWide) {
    ForwardTile<Real, kWide>(sizes, step, begin, scored);
  }
  for (; begin < sizes.samples; begin += kNarrow) {
    ForwardTile<Real, kNarrow>(sizes, step, begin, scored);
  }
}

template <typename Real>
MODLAB_INLINE void Backward(const LstmSizes& sizes, const LstmStep<Real>& step,
                            const LstmStepGradient<Real>& gradient, bool scored) {
  int64_t begin = 0;
  for (; begin + kWide <= sizes.samples; begin += kWide) {
    BackwardTile<Real, kWide>(sizes, step, gradient, begin, scored);
  }
  for (; begin < sizes.samples; begin += kNarrow) {
    BackwardTile<Real, kNarrow>(sizes, step, gradient, begin, scored);
  }
}

MODLAB_VECTOR_CLONES
void ForwardScored(const LstmSizes& sizes, const LstmStep<float>& step) {
  Forward(sizes, step, true);
}

MODLAB_VECTOR_CLONES
void ForwardGiven(const LstmSizes& sizes, const LstmStep<float>& step) {
  Forward(sizes, step, false);
}

MODLAB_VECTOR_CLONES
void BackwardScored(const LstmSizes& sizes, const LstmStep<float>& step,
                    const LstmStepGradient<float>& gradient) {
  Backward(sizes, step, gradient, true);
}

MODLAB_VECTOR_CLONES
void BackwardGiven(const LstmSizes& sizes, const LstmStep<float>& step,
                   const LstmStepGradient<float>& gradient) {
  Backward(sizes, step, gradient, false);
}

}  // namespace

void LstmForward(const LstmSizes& sizes, const LstmStep<float>& step) {
  step.score_weight != nullptr ? ForwardScored(sizes, step) : ForwardGiven(sizes, step);
}

void LstmForward(const LstmSizes& sizes, const LstmStep<double>& step) {
  Forward(sizes, step, step.score_weight != nullptr);
}

void LstmBackward(const LstmSizes& sizes, const LstmStep<float>& step,
                  const LstmStepGradient<float>& gradient) {
  step.score_weight != nullptr ? BackwardScored(sizes, step, gradient)
                               : BackwardGiven(sizes, step, gradient);
}

void LstmBackward(const LstmSizes& sizes, const LstmStep<double>& step,
                  const LstmStepGradient<double>& gradient) {
  Backward(sizes, step, gradient, step.score_weight != nullptr);
}

}  // namespace modlab
