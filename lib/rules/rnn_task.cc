#include "lib/rules/rnn_task.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/rules/numpy_random.h"
#include "lib/rules/task.h"
#include "lib/rules/token_draw.h"
#include "lib/rules/vector_widths.h"

namespace modlab {
namespace {

// Rows of a matrix that are added up in one go, in registers.
constexpr int64_t kRows = 8;

// Samples that run side by side, so that numbers between rows and columns move a
// cache line at a time.
constexpr int64_t kTile = 16;

// out = x m for a matrix of `rows` rows, a multiple of kRows. The order of the sums
// is written out, so that every vector width rounds alike.
MODLAB_VECTOR_WIDTHS
void Multiply(const float* __restrict x, const float* __restrict m, int64_t rows, int64_t columns,
              float* __restrict out) {
  std::fill_n(out, columns, 0.0F);
  for (int64_t k = 0; k < rows; k += kRows, x += kRows, m += kRows * columns) {
    for (int64_t n = 0; n < columns; ++n) {
      const float* const column = m + n;
      out[n] += ((x[0] * column[0] + x[1] * column[columns]) +
                 (x[2] * column[2 * columns] + x[3] * column[3 * columns])) +
                ((x[4] * column[4 * columns] + x[5] * column[5 * columns]) +
                 (x[6] * column[6 * columns] + x[7] * column[7 * columns]));
    }
  }
}

// randn(...) / sqrt(fan_in).
std::vector<double> ScaledNormals(int64_t count, int64_t fan_in, RandomState* random) {
  std::vector<double> values = random->Normals(count);
  const double root = std::sqrt(static_cast<double>(fan_in));
  for (double& value : values) value /= root;
  return values;
}

}  // namespace

RnnTask::RnnTask(const v1::JobConfig& canonical)
    : rules_(canonical.rules()),
      dim_(canonical.input_dim()),
      order_(canonical.order()),
      labels_(canonical.target() == v1::CLASSIFICATION),
      data_seed_(static_cast<uint32_t>(canonical.data_seed())),
      rows_(((1 + order_) * dim_ + kRows - 1) / kRows * kRows) {
  const std::vector<Coefficients> drawn = coefficients();
  const std::vector<double>& a = drawn[0].values;
  const std::vector<double>& b = drawn[1].values;
  const auto to_float = [](double value) { return static_cast<float>(value); };
  matrices_.resize(static_cast<size_t>(rules_ * rows_ * dim_));
  const int64_t square = dim_ * dim_;
  for (int64_t c = 0; c < rules_; ++c) {
    float* const matrix = matrices_.data() + c * rows_ * dim_;
    std::transform(b.data() + c * square, b.data() + (c + 1) * square, matrix, to_float);
    std::transform(a.data() + c * order_ * square, a.data() + (c + 1) * order_ * square,
                   matrix + square, to_float);
  }
  if (labels_) {
    w_.resize(static_cast<size_t>(dim_));
    std::transform(drawn[2].values.begin(), drawn[2].values.end(), w_.begin(), to_float);
  }
}

// Drawn again: as doubles they are rarely wanted, and there may be many.
std::vector<Coefficients> RnnTask::coefficients() const {
  RandomState random(data_seed_);
  const int64_t square = dim_ * dim_;
  std::vector<Coefficients> drawn;
  drawn.push_back({"A",
                   {rules_, order_, dim_, dim_},
                   ScaledNormals(rules_ * order_ * square, order_ * dim_, &random)});
  drawn.push_back({"B", {rules_, dim_, dim_}, ScaledNormals(rules_ * square, dim_, &random)});
  if (labels_) drawn.push_back({"w", {dim_, 1}, random.Normals(dim_)});
  return drawn;
}

void RnnTask::Sample(const SampleRequest& request, const SampleBuffers& buffers) const {
  DrawTokens(request, dim_, static_cast<int32_t>(rules_), buffers);
  const int64_t samples = request.samples;
  const int64_t tokens = request.length * samples;
  std::vector<float> histories(static_cast<size_t>(kTile * rows_));
  std::vector<float> states(static_cast<size_t>(kTile * dim_));
  for (int64_t first = 0; first < samples; first += kTile) {
    const int64_t count = std::min(kTile, samples - first);
    std::fill(histories.begin(), histories.end(), 0.0F);
    for (int64_t step = 0; step < request.length; ++step) {
      const int64_t column = step * samples + first;
      for (int64_t n = 0; n < dim_; ++n) {
        const float* const input = buffers.input + n * tokens + column;
        for (int64_t b = 0; b < count; ++b) histories[b * rows_ + n] = input[b];
      }
      for (int64_t b = 0; b < count; ++b) {
        float* const history = histories.data() + b * rows_;
        float* const state = states.data() + b * dim_;
        Multiply(history, matrices_.data() + buffers.rule[column + b] * rows_ * dim_, rows_, dim_,
                 state);
        // The oldest state leaves, the new one is the youngest.
        std::copy_backward(history + dim_, history + order_ * dim_, history + (order_ + 1) * dim_);
        std::copy_n(state, dim_, history + dim_);
      }
      WriteTargets(states.data(), count, tokens, buffers.target + column);
    }
  }
}

// Writes the targets of `count` neighbouring tokens with the states [count, q].
void RnnTask::WriteTargets(const float* states, int64_t count, int64_t tokens,
                           float* target) const {
  if (!labels_) {
    for (int64_t n = 0; n < dim_; ++n) {
      for (int64_t b = 0; b < count; ++b) target[n * tokens + b] = states[b * dim_ + n];
    }
    return;
  }
  float decoded[kTile] = {};
  for (int64_t n = 0; n < dim_; ++n) {
    for (int64_t b = 0; b < count; ++b) decoded[b] += states[b * dim_ + n] * w_[n];
  }
  for (int64_t b = 0; b < count; ++b) target[b] = decoded[b] >= 0.0F ? 1.0F : 0.0F;
}

}  // namespace modlab
