#include "lib/models/attention_kernel.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "lib/models/lanes.h"
#include "lib/models/vector_math.h"

namespace modlab {
namespace {

static_assert(kAttentionSamples == kLanes);

// A line is one number of each of kLanes samples. Every step below is done to whole
// lines, so that it takes vector instructions whatever the shape.

// Where a line of our own lies.
template <typename Number>
struct alignas(kLanes * sizeof(Number)) Place {
  Number of[kLanes];
};

// A matrix of lines; element (i, j) begins at data + i * down + j * right.
template <typename Number>
struct Grid {
  Number* data;
  int64_t down;
  int64_t right;

  Grid t() const { return {data, right, down}; }
  operator Grid<const Number>() const { return {data, down, right}; }
};

// Columns that Multiply() takes at a time.
constexpr int kAcross = 5;

// out = a b, ten elements at a time, for as many sums are needed to keep two multipliers
// busy. At an edge the last row or column is computed again.
template <typename Number>
MODLAB_INLINE void Multiply(int64_t rows, int64_t columns, int64_t depth,
                            const Grid<const Number>& a, const Grid<const Number>& b,
                            const Grid<Number>& out) {
  for (int64_t x = 0; x < rows; x += 2) {
    const int64_t x2 = std::min(x + 1, rows - 1);
    for (int64_t first = 0; first < columns; first += kAcross) {
      int64_t y[kAcross];
      for (int k = 0; k < kAcross; ++k) y[k] = std::min(first + k, columns - 1);
      Lanes<Number> sum1[kAcross] = {}, sum2[kAcross] = {};
      const Number* a1 = a.data + x * a.down;
      const Number* a2 = a.data + x2 * a.down;
      const Number* of_b = b.data;
      for (int64_t z = 0; z < depth; ++z) {
        const Lanes<Number> of_a1 = Load(a1), of_a2 = Load(a2);
#pragma GCC unroll 5
        for (int k = 0; k < kAcross; ++k) {
          const Lanes<Number> line = Load(of_b + y[k] * b.right);
          sum1[k] += of_a1 * line;
          sum2[k] += of_a2 * line;
        }
        a1 += a.right;
        a2 += a.right;
        of_b += b.down;
      }
#pragma GCC unroll 5
      for (int k = 0; k < kAcross; ++k) {
        Store(sum1[k], out.data + x * out.down + y[k] * out.right);
        Store(sum2[k], out.data + x2 * out.down + y[k] * out.right);
      }
    }
  }
}

// One head for a line's samples. Grids [h, N] of tokens, [N, N] of pairs (i, j): token i
// looks at token j.
template <typename Number>
class Head {
 public:
  Head(const AttentionShape& shape, int64_t samples)
      : width_(shape.width),
        length_(shape.length),
        samples_(samples),
        spaces_(kSpaces * width_ * length_),
        weights_(length_ * length_),
        changes_(length_ * length_) {}

  // Samples [first, first + kLanes), as far as there are any, of the head whose
  // queries, keys and values begin at these.
  MODLAB_INLINE void Take(const Number* query, const Number* key, const Number* value,
                          int64_t first) {
    first_ = first;
    query_ = In(query, row(), kQuery);
    key_ = In(key, row(), kKey);
    value_ = In(value, row(), kValue);
  }

  // Rows of the output are `stride` apart.
  MODLAB_INLINE void Forward(Number* output, int64_t stride) {
    Weigh();
    Write(value_, weight().t(), output, stride);
  }

  MODLAB_INLINE void Backward(const Number* output_gradient, int64_t stride, Number* query_gradient,
                              Number* key_gradient, Number* value_gradient) {
    Weigh();
    const Grid<const Number> output = In(output_gradient, stride, kOutput);
    Write(output, weight(), value_gradient, row());
    Multiply<Number>(length_, length_, width_, output.t(), value_, change());
    // From the gradient by the weights that by the scores, as softmax has it.
    for (int64_t i = 0; i < length_; ++i) {
      Number* const change = changes_[i * length_].of;
      const Number* const weight = weights_[i * length_].of;
      Lanes<Number> mean{};
      for (int64_t j = 0; j < length_; ++j) {
        mean += Load(weight + j * kLanes) * Load(change + j * kLanes);
      }
      for (int64_t j = 0; j < length_; ++j) {
        const Lanes<Number> from_mean = Load(change + j * kLanes) - mean;
        Store(Load(weight + j * kLanes) * from_mean, change + j * kLanes);
      }
    }
    Write(key_, change().t(), query_gradient, row());
    Write(query_, change(), key_gradient, row());
  }

 private:
  // Spaces of tokens that are short of a line.
  enum Space { kQuery, kKey, kValue, kOutput, kProduct, kSpaces };

  // Of rows that are dense.
  int64_t row() const { return length_ * samples_; }

  Grid<Number> OfPairs(std::vector<Place<Number>>& places) const {
    return {places[0].of, length_ * kLanes, kLanes};
  }
  Grid<Number> weight() { return OfPairs(weights_); }
  Grid<Number> change() { return OfPairs(changes_); }
  Grid<Number> At(Space space) {
    return {spaces_[space * width_ * length_].of, length_ * kLanes, kLanes};
  }

  bool whole() const { return samples_ - first_ >= kLanes; }

  // Tokens where they lie, rows `stride` apart; or, if there are not samples enough for a
  // line, a copy in that space: places past the last sample hold zeros, which do no harm.
  MODLAB_INLINE Grid<const Number> In(const Number* from, int64_t stride, Space space) {
    if (whole()) return {from + first_, stride, samples_};
    const Grid<Number> copy = At(space);
    for (int64_t d = 0; d < width_; ++d) {
      for (int64_t n = 0; n < length_; ++n) {
        Number* const to = copy.data + d * copy.down + n * copy.right;
        std::fill_n(to, kLanes, Number{0});
        std::copy_n(from + d * stride + n * samples_ + first_, samples_ - first_, to);
      }
    }
    return copy;
  }

  // tokens x pairs, to rows `stride` apart.
  MODLAB_INLINE void Write(const Grid<const Number>& tokens, const Grid<const Number>& pairs,
                           Number* to, int64_t stride) {
    if (whole()) {
      return Multiply<Number>(width_, length_, length_, tokens, pairs,
                              {to + first_, stride, samples_});
    }
    const Grid<Number> product = At(kProduct);
    Multiply<Number>(width_, length_, length_, tokens, pairs, product);
    for (int64_t d = 0; d < width_; ++d) {
      for (int64_t n = 0; n < length_; ++n) {
        std::copy_n(product.data + d * product.down + n * product.right, samples_ - first_,
                    to + d * stride + n * samples_ + first_);
      }
    }
  }

  // Row i of the weights: the softmax of token i's scores over the other tokens.
  MODLAB_INLINE void Weigh() {
    Multiply<Number>(length_, length_, width_, query_.t(), key_, weight());
    for (int64_t i = 0; i < length_; ++i) {
      Number* const row = weights_[i * length_].of;
      const auto at = [row](int64_t j) { return row + j * kLanes; };
      Lanes<Number> greatest = Load(at(i == 0 ? 1 : 0));
      for (int64_t j = 0; j < length_; ++j) {
        if (j == i) continue;
        const Lanes<Number> score = Load(at(j));
        greatest = score > greatest ? score : greatest;
      }
      Lanes<Number> sum{};
      for (int64_t j = 0; j < length_; ++j) {
        const Lanes<Number> weight =
            j == i ? Lanes<Number>{} : ExpOfNegative(Load(at(j)) - greatest);
        sum += weight;
        Store(weight, at(j));
      }
      const Lanes<Number> scale = 1 / sum;
      for (int64_t j = 0; j < length_; ++j) Store(Load(at(j)) * scale, at(j));
    }
  }

  const int64_t width_;
  const int64_t length_;
  const int64_t samples_;
  int64_t first_ = 0;
  Grid<const Number> query_{}, key_{}, value_{};
  std::vector<Place<Number>> spaces_;  // of tokens
  std::vector<Place<Number>> weights_;
  std::vector<Place<Number>> changes_;  // gradient by weights, then by scores
};

template <typename Number>
MODLAB_INLINE void Forward(const AttentionShape& shape, int64_t samples, const Number* projected,
                           Number* joined, int64_t joined_stride) {
  const int64_t row = shape.length * samples, head_size = shape.width * row;
  const int64_t size = shape.queries() * shape.length * samples;
  Head<Number> head(shape, samples);
  for (int64_t m = 0; m < shape.modules; ++m) {
    for (int64_t i = 0; i < shape.heads; ++i) {
      const Number* const query = projected + (m * shape.heads + i) * head_size;
      for (int64_t first = 0; first < samples; first += kLanes) {
        head.Take(query, query + size, query + 2 * size, first);
        head.Forward(joined, joined_stride);
      }
      joined += shape.width * joined_stride;
    }
    const Number* from = projected + 3 * size + m * head_size;
    for (int64_t d = 0; d < shape.width; ++d, from += row, joined += joined_stride) {
      std::copy_n(from, row, joined);
    }
  }
}

template <typename Number>
MODLAB_INLINE void Backward(const AttentionShape& shape, int64_t samples, const Number* projected,
                            const Number* joined_gradient, int64_t joined_stride,
                            Number* projected_gradient) {
  const int64_t row = shape.length * samples, head_size = shape.width * row;
  const int64_t size = shape.queries() * shape.length * samples;
  Head<Number> head(shape, samples);
  for (int64_t m = 0; m < shape.modules; ++m) {
    for (int64_t i = 0; i < shape.heads; ++i) {
      const int64_t offset = (m * shape.heads + i) * head_size;
      const Number* const query = projected + offset;
      Number* const gradient = projected_gradient + offset;
      for (int64_t first = 0; first < samples; first += kLanes) {
        head.Take(query, query + size, query + 2 * size, first);
        head.Backward(joined_gradient, joined_stride, gradient, gradient + size,
                      gradient + 2 * size);
      }
      joined_gradient += shape.width * joined_stride;
    }
    Number* to = projected_gradient + 3 * size + m * head_size;
    for (int64_t d = 0; d < shape.width; ++d, to += row, joined_gradient += joined_stride) {
      std::copy_n(joined_gradient, row, to);
    }
  }
}

}  // namespace

MODLAB_VECTOR_CLONES
void AttentionForward(const AttentionShape& shape, int64_t samples, const float* projected,
                      float* joined, int64_t joined_stride) {
  Forward(shape, samples, projected, joined, joined_stride);
}

void AttentionForward(const AttentionShape& shape, int64_t samples, const double* projected,
                      double* joined, int64_t joined_stride) {
  Forward(shape, samples, projected, joined, joined_stride);
}

MODLAB_VECTOR_CLONES
void AttentionBackward(const AttentionShape& shape, int64_t samples, const float* projected,
                       const float* joined_gradient, int64_t joined_stride,
                       float* projected_gradient) {
  Backward(shape, samples, projected, joined_gradient, joined_stride, projected_gradient);
}

void AttentionBackward(const AttentionShape& shape, int64_t samples, const double* projected,
                       const double* joined_gradient, int64_t joined_stride,
                       double* projected_gradient) {
  Backward(shape, samples, projected, joined_gradient, joined_stride, projected_gradient);
}

}  // namespace modlab
