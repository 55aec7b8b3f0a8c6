#include "lib/models/lstm_kernel.h"

#include <cstdint>
#include <limits>

#include "lib/models/vector_math.h"

// No turn of the loop that follows writes what another reads.
#if defined(__GNUC__) && !defined(__clang__)
#define MODLAB_INDEPENDENT _Pragma("GCC ivdep")
#else
#define MODLAB_INDEPENDENT
#endif

namespace modlab {
namespace {

// Samples are taken in tiles, so that a tile's states stay in the nearest cache.
// The width is a constant: loops have no tails, and no number's last bits depend
// on where its array begins.
constexpr int kWide = 64;
constexpr int kNarrow = static_cast<int>(kLstmSamples);

template <typename Real>
MODLAB_INLINE Real Relu(Real x) {
  return x > Real{0} ? x : Real{0};
}

// The sum of a tile, in one fixed order.
template <typename Real, int kWidth>
MODLAB_INLINE Real Sum(const Real* x) {
  Real lane[kNarrow];
  for (int i = 0; i < kNarrow; ++i) lane[i] = x[i];
  for (int begin = kNarrow; begin < kWidth; begin += kNarrow) {
    for (int i = 0; i < kNarrow; ++i) lane[i] += x[begin + i];
  }
  for (int half = kNarrow / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
  }
  return lane[0];
}

// p = softmax over modules of w . relu(from_input, from_hidden), for the samples
// [begin, begin + kWidth).
template <typename Real, int kWidth>
MODLAB_INLINE void Route(const LstmSizes& sizes, const LstmStep<Real>& step, int64_t begin) {
  const int64_t rows = 4 * sizes.hidden;
  Real highest[kWidth], sum[kWidth] = {};
  for (int i = 0; i < kWidth; ++i) highest[i] = -std::numeric_limits<Real>::infinity();
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
    Real* const p = step.p + m * sizes.samples + begin;
    for (int i = 0; i < kWidth; ++i) {
      highest[i] = score[i] > highest[i] ? score[i] : highest[i];
      p[i] = score[i];
    }
  }
  for (int64_t m = 0; m < sizes.modules; ++m) {
    Real* const p = step.p + m * sizes.samples + begin;
    for (int i = 0; i < kWidth; ++i) {
      const Real share = Exp(p[i] - highest[i]);
      sum[i] += share;
      p[i] = share;
    }
  }
  for (int i = 0; i < kWidth; ++i) sum[i] = Real{1} / sum[i];
  for (int64_t m = 0; m < sizes.modules; ++m) {
    Real* const p = step.p + m * sizes.samples + begin;
    for (int i = 0; i < kWidth; ++i) p[i] *= sum[i];
  }
}

// `scored` says whether there is a from_hidden; a constant at every call.
template <typename Real, int kWidth>
MODLAB_INLINE void ForwardTile(const LstmSizes& sizes, const LstmStep<Real>& step, int64_t begin,
                               bool scored) {
  const int64_t B = sizes.samples, next_gate = sizes.hidden * B;
  if (scored) Route<Real, kWidth>(sizes, step, begin);
  for (int64_t k = 0; k < sizes.hidden; ++k) {
    const Real* const before = step.cell_before + k * B + begin;
    Real hidden[kWidth] = {}, cell[kWidth] = {};
    for (int64_t m = 0; m < sizes.modules; ++m) {
      const int64_t at = (m * 4 * sizes.hidden + k) * B + begin;
      const Real* const a = step.from_input + at;
      const Real* const b = scored ? step.from_hidden + at : nullptr;
      const Real* const p = step.p + m * B + begin;
      MODLAB_INDEPENDENT
      for (int i = 0; i < kWidth; ++i) {
        Real gate_i = a[i], gate_f = a[next_gate + i];
        Real gate_o = a[2 * next_gate + i], gate_g = a[3 * next_gate + i];
        if (scored) {
          gate_i += b[i];
          gate_f += b[next_gate + i];
          gate_o += b[2 * next_gate + i];
          gate_g += b[3 * next_gate + i];
        }
        const Real c = Sigmoid(gate_f) * before[i] + Sigmoid(gate_i) * Tanh(gate_g);
        cell[i] += p[i] * c;
        hidden[i] += p[i] * (Sigmoid(gate_o) * Tanh(c));
      }
    }
    Real* const to_hidden = step.hidden + k * B + begin;
    Real* const to_cell = step.cell + k * B + begin;
    for (int i = 0; i < kWidth; ++i) {
      to_hidden[i] = hidden[i];
      to_cell[i] = cell[i];
    }
  }
}

// From the gradient to p that to the scores, and on to what they are made of and
// their weights.
template <typename Real, int kWidth>
MODLAB_INLINE void RouteBackward(const LstmSizes& sizes, const LstmStep<Real>& step,
                                 const LstmStepGradient<Real>& gradient, int64_t begin) {
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
    Real* const d_weight = gradient.score_weight + m * 2 * rows;
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
      Real d_of_a[kWidth], d_of_b[kWidth];
      MODLAB_INDEPENDENT
      for (int i = 0; i < kWidth; ++i) {
        const Real both = d_a[i];
        d_of_a[i] = d_score[i] * Relu(a[i]);
        d_of_b[i] = d_score[i] * Relu(b[i]);
        d_a[i] = both + (a[i] > Real{0} ? of_a * d_score[i] : Real{0});
        d_b[i] = both + (b[i] > Real{0} ? of_b * d_score[i] : Real{0});
      }
      d_weight[row] += Sum<Real, kWidth>(d_of_a);
      d_weight[rows + row] += Sum<Real, kWidth>(d_of_b);
    }
  }
}

template <typename Real, int kWidth>
MODLAB_INLINE void BackwardTile(const LstmSizes& sizes, const LstmStep<Real>& step,
                                const LstmStepGradient<Real>& gradient, int64_t begin,
                                bool scored) {
  const int64_t B = sizes.samples, next_gate = sizes.hidden * B;
  for (int64_t m = 0; m < sizes.modules; ++m) {
    Real* const d_p = gradient.p + m * B + begin;
    for (int i = 0; i < kWidth; ++i) d_p[i] = 0;
  }
  for (int64_t k = 0; k < sizes.hidden; ++k) {
    const Real* const before = step.cell_before + k * B + begin;
    const Real* const d_hidden = gradient.hidden + k * B + begin;
    Real* const to_cell = gradient.cell + k * B + begin;
    Real d_cell[kWidth], d_before[kWidth] = {};
    for (int i = 0; i < kWidth; ++i) d_cell[i] = to_cell[i];
    for (int64_t m = 0; m < sizes.modules; ++m) {
      const int64_t at = (m * 4 * sizes.hidden + k) * B + begin;
      const Real* const a = step.from_input + at;
      const Real* const b = scored ? step.from_hidden + at : nullptr;
      const Real* const p = step.p + m * B + begin;
      Real* const d_p = gradient.p + m * B + begin;
      Real* const d_a = gradient.from_input + at;
      MODLAB_INDEPENDENT
      for (int i = 0; i < kWidth; ++i) {
        Real gate_i = a[i], gate_f = a[next_gate + i];
        Real gate_o = a[2 * next_gate + i], gate_g = a[3 * next_gate + i];
        if (scored) {
          gate_i += b[i];
          gate_f += b[next_gate + i];
          gate_o += b[2 * next_gate + i];
          gate_g += b[3 * next_gate + i];
        }
        gate_i = Sigmoid(gate_i);
        gate_f = Sigmoid(gate_f);
        gate_o = Sigmoid(gate_o);
        gate_g = Tanh(gate_g);
        const Real c = gate_f * before[i] + gate_i * gate_g;
        const Real bent = Tanh(c);
        d_p[i] += d_hidden[i] * (gate_o * bent) + d_cell[i] * c;
        const Real d_h = p[i] * d_hidden[i];
        const Real d_c = p[i] * d_cell[i] + d_h * gate_o * (Real{1} - bent * bent);
        d_before[i] += d_c * gate_f;
        d_a[i] = d_c * gate_g * gate_i * (Real{1} - gate_i);
        d_a[next_gate + i] = d_c * before[i] * gate_f * (Real{1} - gate_f);
        d_a[2 * next_gate + i] = d_h * bent * gate_o * (Real{1} - gate_o);
        d_a[3 * next_gate + i] = d_c * gate_i * (Real{1} - gate_g * gate_g);
      }
    }
    for (int i = 0; i < kWidth; ++i) to_cell[i] = d_before[i];
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
