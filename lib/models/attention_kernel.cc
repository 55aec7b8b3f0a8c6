#include "lib/models/attention_kernel.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "lib/models/vector_math.h"

namespace modlab {
namespace {

// A line has one number of each of several samples. Every step below is done to whole
// lines, so that it takes vector instructions whatever the shape. Lines are as wide as
// AVX2's vectors: what is wider, compilers take apart through memory where they must,
// and machines with AVX-512 gain nothing by it.
constexpr int64_t kLineBytes = 32;

template <typename Number>
struct alignas(kLineBytes) Line {
  typedef Number Numbers __attribute__((vector_size(kLineBytes)));
  static constexpr int64_t kSamples = kLineBytes / static_cast<int64_t>(sizeof(Number));
  Numbers of;
};

// A factor of a product of matrices of lines: where element (index, depth) is.
template <typename Number>
struct Factor {
  const Line<Number>* data;
  int64_t index;
  int64_t depth;
};

// out[x * columns + y] = sum over z of a(x, z) b(y, z), two by two elements at a
// time. At an odd edge the last element is computed twice.
template <typename Number>
MODLAB_INLINE void Multiply(int64_t rows, int64_t columns, int64_t depth, const Factor<Number>& a,
                            const Factor<Number>& b, Line<Number>* out) {
  using Numbers = typename Line<Number>::Numbers;
  for (int64_t x = 0; x < rows; x += 2) {
    const int64_t x2 = std::min(x + 1, rows - 1);
    for (int64_t y = 0; y < columns; y += 2) {
      const int64_t y2 = std::min(y + 1, columns - 1);
      Numbers sum11{}, sum12{}, sum21{}, sum22{};
      for (int64_t z = 0; z < depth; ++z) {
        const Line<Number>* const a_z = a.data + z * a.depth;
        const Line<Number>* const b_z = b.data + z * b.depth;
        sum11 += a_z[x * a.index].of * b_z[y * b.index].of;
        sum12 += a_z[x * a.index].of * b_z[y2 * b.index].of;
        sum21 += a_z[x2 * a.index].of * b_z[y * b.index].of;
        sum22 += a_z[x2 * a.index].of * b_z[y2 * b.index].of;
      }
      out[x * columns + y].of = sum11;
      out[x * columns + y2].of = sum12;
      out[x2 * columns + y].of = sum21;
      out[x2 * columns + y2].of = sum22;
    }
  }
}

// One head for a line's samples. Matrices [h, N] of tokens, [N, N] of pairs.
template <typename Number>
class Head {
 public:
  using Lines = Line<Number>;
  static constexpr int64_t kSamples = Lines::kSamples;

  Head(const AttentionShape& shape, int64_t samples)
      : width_(shape.width),
        length_(shape.length),
        samples_(samples),
        query_(Tokens()),
        key_(Tokens()),
        value_(Tokens()),
        output_(Tokens()),
        weight_(length_ * length_),
        change_(length_ * length_) {}

  // Samples [first, first + kSamples), as far as there are any, of the head whose
  // queries, keys and values begin at these.
  MODLAB_INLINE void Load(const Number* query, const Number* key, const Number* value,
                          int64_t first) {
    Gather(query, row(), first, &query_);
    Gather(key, row(), first, &key_);
    Gather(value, row(), first, &value_);
  }

  // Rows of the output are `stride` apart.
  MODLAB_INLINE void Forward(Number* output, int64_t stride, int64_t first) {
    Weigh();
    Multiply(width_, length_, length_, OfToken(value_), FromToken(weight_), output_.data());
    Scatter(output_, first, stride, output);
  }

  MODLAB_INLINE void Backward(const Number* output_gradient, int64_t stride, Number* query_gradient,
                              Number* key_gradient, Number* value_gradient, int64_t first) {
    Weigh();
    Gather(output_gradient, stride, first, &output_);
    Multiply(length_, length_, width_, OfFeature(output_), OfFeature(value_), change_.data());
    Multiply(width_, length_, length_, OfToken(output_), ToToken(weight_), value_.data());
    Scatter(value_, first, row(), value_gradient);
    // From the gradient by the weights that by the scores, as softmax has it.
    for (int64_t i = 0; i < length_; ++i) {
      Lines* const change = change_.data() + i * length_;
      const Lines* const weight = weight_.data() + i * length_;
      typename Lines::Numbers mean{};
      for (int64_t j = 0; j < length_; ++j) mean += weight[j].of * change[j].of;
      for (int64_t j = 0; j < length_; ++j) change[j].of = weight[j].of * (change[j].of - mean);
    }
    Multiply(width_, length_, length_, OfToken(key_), FromToken(change_), output_.data());
    Scatter(output_, first, row(), query_gradient);
    Multiply(width_, length_, length_, OfToken(query_), ToToken(change_), output_.data());
    Scatter(output_, first, row(), key_gradient);
  }

 private:
  using Block = std::vector<Lines>;

  int64_t Tokens() const { return width_ * length_; }

  // Factors by what is summed over: features d of (d, n); tokens n of (d, n); in
  // pairs (i, j) the token j that is looked at, or the token i that looks.
  MODLAB_INLINE Factor<Number> OfFeature(const Block& block) const {
    return {block.data(), 1, length_};
  }
  MODLAB_INLINE Factor<Number> OfToken(const Block& block) const {
    return {block.data(), length_, 1};
  }
  MODLAB_INLINE Factor<Number> FromToken(const Block& block) const {
    return {block.data(), length_, 1};
  }
  MODLAB_INLINE Factor<Number> ToToken(const Block& block) const {
    return {block.data(), 1, length_};
  }

  // Of rows that are dense.
  int64_t row() const { return length_ * samples_; }

  // Rows of `from` are `stride` apart. The lines' places past the last sample hold zeros,
  // which do no harm.
  MODLAB_INLINE void Gather(const Number* from, int64_t stride, int64_t first, Block* to) const {
    const int64_t count = std::min(kSamples, samples_ - first);
    for (int64_t d = 0; d < width_; ++d) {
      for (int64_t n = 0; n < length_; ++n) {
        const Number* const begin = from + d * stride + n * samples_ + first;
        Lines& line = (*to)[d * length_ + n];
        if (count == kSamples) {
          std::memcpy(&line, begin, kLineBytes);
        } else {
          for (int64_t s = 0; s < kSamples; ++s) line.of[s] = s < count ? begin[s] : Number{};
        }
      }
    }
  }

  MODLAB_INLINE void Scatter(const Block& from, int64_t first, int64_t stride, Number* to) const {
    const int64_t count = std::min(kSamples, samples_ - first);
    for (int64_t d = 0; d < width_; ++d) {
      for (int64_t n = 0; n < length_; ++n) {
        Number* const begin = to + d * stride + n * samples_ + first;
        const Lines& line = from[d * length_ + n];
        if (count == kSamples) {
          std::memcpy(begin, &line, kLineBytes);
        } else {
          for (int64_t s = 0; s < count; ++s) begin[s] = line.of[s];
        }
      }
    }
  }

  // Row i of weight_: the softmax of token i's scores over the other tokens.
  MODLAB_INLINE void Weigh() {
    using Numbers = typename Lines::Numbers;
    Multiply(length_, length_, width_, OfFeature(query_), OfFeature(key_), weight_.data());
    for (int64_t i = 0; i < length_; ++i) {
      Lines* const row = weight_.data() + i * length_;
      row[i].of = row[i == 0 ? 1 : 0].of;  // so that the greatest is another token's
      Numbers greatest = row[0].of;
      for (int64_t j = 1; j < length_; ++j) {
        greatest = row[j].of > greatest ? row[j].of : greatest;
      }
      for (int64_t j = 0; j < length_; ++j) row[j].of -= greatest;
      Number* const numbers = reinterpret_cast<Number*>(row);
      for (int64_t s = 0; s < length_ * kSamples; ++s) numbers[s] = Exp(numbers[s]);
      row[i].of = Numbers{};
      Numbers sum{};
      for (int64_t j = 0; j < length_; ++j) sum += row[j].of;
      const Numbers scale = 1 / sum;
      for (int64_t j = 0; j < length_; ++j) row[j].of *= scale;
    }
  }

  const int64_t width_;
  const int64_t length_;
  const int64_t samples_;
  Block query_, key_, value_;
  Block output_;  // or its gradient
  Block weight_;
  Block change_;  // gradient by weights, then by scores
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
      for (int64_t first = 0; first < samples; first += head.kSamples) {
        head.Load(query, query + size, query + 2 * size, first);
        head.Forward(joined, joined_stride, first);
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
      for (int64_t first = 0; first < samples; first += head.kSamples) {
        head.Load(query, query + size, query + 2 * size, first);
        head.Backward(joined_gradient, joined_stride, gradient, gradient + size,
                      gradient + 2 * size, first);
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
