#include "lib/models/digit_kernel.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "lib/models/transpose.h"
#include "lib/models/vector_math.h"

namespace modlab {
namespace {

// Units that are worked on at once, so that their lines stay in the cache. Blocks are
// filled up with zeros.
constexpr int64_t kUnits = 64;
// Columns that are turned at once: units lie side by side while lines are added up, columns
// in the arrays outside.
constexpr int64_t kTile = 16;

// An interval's line in a digit: a slope and an offset a unit.
constexpr int64_t kLine = 2 * kUnits;

// The hinges in the order of their knots. A hinge with a rising slope is bent open in the
// intervals after its knot, one with a falling slope in those up to it.
template <typename Real>
struct Knots {
  std::vector<Real> at;
  std::vector<int64_t> hinge;  // of each
};

// A hinge without a slope is open everywhere or nowhere; what is no number is open
// everywhere, so that it is not lost.
template <typename Real>
Real KnotOf(Real slope, Real offset) {
  constexpr Real kEnd = std::numeric_limits<Real>::infinity();
  const Real at = -offset / slope;
  if (slope == Real{0}) return offset <= Real{0} ? kEnd : -kEnd;
  if (std::isnan(at)) return slope < Real{0} ? kEnd : -kEnd;
  return at;
}

template <typename Real>
bool Rises(Real slope) {
  return !(slope < Real{0});
}

template <typename Real>
Knots<Real> SortKnots(const DigitSizes& sizes, const DigitLines<Real>& lines) {
  std::vector<Real> at(sizes.hinges);
  for (int64_t i = 0; i < sizes.hinges; ++i) at[i] = KnotOf(lines.slope[i], lines.offset[i]);
  Knots<Real> knots;
  knots.hinge.resize(sizes.hinges);
  std::iota(knots.hinge.begin(), knots.hinge.end(), 0);
  std::sort(knots.hinge.begin(), knots.hinge.end(),
            [&](int64_t i, int64_t j) { return at[i] != at[j] ? at[i] < at[j] : i < j; });
  for (const int64_t i : knots.hinge) knots.at.push_back(at[i]);
  return knots;
}

// Where each column finds its lines.
struct Places {
  std::vector<int32_t> interval[2];  // the knots below each digit
  std::vector<int32_t> rule;
};

template <typename Real>
MODLAB_INLINE Places FindPlaces(const DigitSizes& sizes, const DigitLines<Real>& lines,
                                const Knots<Real>& knots) {
  const int64_t T = sizes.columns;
  Places places;
  for (int digit = 0; digit < 2; ++digit) {
    places.interval[digit].assign(T, 0);
    const Real* const x = lines.digits + digit * T;
    int32_t* const interval = places.interval[digit].data();
    for (const Real at : knots.at) {
      for (int64_t t = 0; t < T; ++t) interval[t] += at < x[t] ? 1 : 0;
    }
  }
  places.rule.assign(T, 0);
  int32_t* const rule = places.rule.data();
  for (int64_t r = 1; r < sizes.rules; ++r) {
    const Real* const is = lines.rule + r * T;
    for (int64_t t = 0; t < T; ++t) rule[t] += is[t] != Real{0} ? static_cast<int32_t>(r) : 0;
  }
  return places;
}

// Copies `count` numbers, which are kUsual but for the last. A constant takes a few vectors,
// where compilers make of the rest a loop that is slow to start.
template <int64_t kUsual, typename Real>
MODLAB_INLINE void CopyMostly(const Real* from, int64_t count, Real* to) {
  if (count == kUsual) {
    std::memcpy(to, from, kUsual * sizeof(Real));
  } else {
    std::copy_n(from, count, to);
  }
}

// Sums of a hinge's gradients are kept in so many parts until all units are done.
constexpr int64_t kParts = 16;

// Adds a[u] b[u] for all units.
template <typename Real>
MODLAB_INLINE void AddProducts(const Real* a, const Real* b, Real* __restrict parts) {
  for (int64_t u = 0; u < kUnits; u += kParts) {
    for (int64_t i = 0; i < kParts; ++i) parts[i] += a[u + i] * b[u + i];
  }
}

// One block of units, all of a job's columns.
template <typename Real>
class Block {
 public:
  Block(const DigitSizes& sizes, const DigitLines<Real>& lines, const Knots<Real>& knots,
        const Places& places)
      : sizes_(sizes),
        lines_(lines),
        knots_(knots),
        places_(places),
        table_(2 * (sizes.hinges + 1) * kLine),
        hinges_(sizes.hinges * 2 * kParts) {}

  MODLAB_INLINE void Forward(int64_t first) {
    Load(first);
    for (int digit = 0; digit < 2; ++digit) MakeLines(digit);
    Real by_column[kTile * kUnits], by_unit[kUnits * kTile];
    ForEachTile([&](const Tile& tile) {
      for (int64_t j = 0; j < tile.columns; ++j) AddUp(tile.column + j, by_column + j * kUnits);
      TransposeDense<kTile, kUnits>(by_column, by_unit);
      for (int64_t u = tile.begin; u < tile.end; ++u) {
        CopyMostly<kTile>(by_unit + u * kTile, tile.columns, lines_.y + PlaceOf(tile, u));
      }
    });
  }

  MODLAB_INLINE void Backward(int64_t first, const DigitGradient<Real>& gradient) {
    Load(first);
    std::fill(table_.begin(), table_.end(), Real{0});
    of_rules_.assign(sizes_.rules * kUnits, Real{0});
    Real by_column[kTile * kUnits], by_unit[kUnits * kTile];
    ForEachTile([&](const Tile& tile) {
      if (tile.end - tile.begin < kUnits) std::fill_n(by_unit, kUnits * kTile, Real{0});
      for (int64_t u = tile.begin; u < tile.end; ++u) {
        const Real *const y = lines_.y + PlaceOf(tile, u), *const d_y =
                                                               gradient.y + PlaceOf(tile, u);
        Real* const d_z = by_unit + u * kTile;
        for (int64_t j = 0; j < tile.columns; ++j) d_z[j] = y[j] > Real{0} ? d_y[j] : Real{0};
      }
      TransposeDense<kUnits, kTile>(by_unit, by_column);
      for (int64_t j = 0; j < tile.columns; ++j) Share(tile.column + j, by_column + j * kUnits);
    });
    for (int digit = 0; digit < 2; ++digit) GiveHinges(digit, gradient);
    for (int64_t r = 0; r < sizes_.rules; ++r) {
      Store(of_rules_.data() + r * kUnits, 2 * sizes_.hinges + r, gradient);
    }
  }

  // What all calls of Backward() give to the hinges.
  MODLAB_INLINE void AddHinges(const DigitGradient<Real>& gradient) const {
    for (int64_t i = 0; i < sizes_.hinges; ++i) {
      const Real* const parts = hinges_.data() + i * 2 * kParts;
      gradient.slope[i] += RowSum<Real, kParts>(parts, kParts);
      gradient.offset[i] += RowSum<Real, kParts>(parts + kParts, kParts);
    }
  }

 private:
  // Columns that one group computes of units [begin, end) of the block.
  struct Tile {
    int64_t begin, end;
    int64_t row;  // of the block's first unit in y
    int64_t column, columns;
  };

  MODLAB_INLINE void Load(int64_t first) {
    first_ = first;
    count_ = std::min(kUnits, sizes_.units - first);
    weight_ = lines_.weight + first;
    stride_ = sizes_.units;
    if (count_ == kUnits) return;
    const int64_t rows = 2 * sizes_.hinges + sizes_.rules;
    filled_.assign(rows * kUnits, Real{0});
    for (int64_t i = 0; i < rows; ++i) {
      std::copy_n(weight_ + i * stride_, count_, filled_.data() + i * kUnits);
    }
    weight_ = filled_.data();
    stride_ = kUnits;
  }

  template <typename Visit>
  MODLAB_INLINE void ForEachTile(const Visit& visit) const {
    const int64_t K = sizes_.units / sizes_.groups;
    for (int64_t g = first_ / K; g * K < first_ + count_; ++g) {
      Tile tile;
      tile.begin = std::max(g * K - first_, int64_t{0});
      tile.end = std::min((g + 1) * K - first_, count_);
      tile.row = first_ - g * K;
      for (tile.column = sizes_.begins[g]; tile.column < sizes_.begins[g + 1];
           tile.column += kTile) {
        tile.columns = std::min(kTile, sizes_.begins[g + 1] - tile.column);
        visit(tile);
      }
    }
  }

  // Of the tile's first number of a unit in y.
  int64_t PlaceOf(const Tile& tile, int64_t unit) const {
    return (tile.row + unit) * sizes_.columns + tile.column;
  }
  Real* LineOf(int digit, int64_t interval) {
    return table_.data() + (digit * (sizes_.hinges + 1) + interval) * kLine;
  }
  const Real* WeightOf(int digit, int64_t hinge) const {
    return weight_ + (digit * sizes_.hinges + hinge) * stride_;
  }

  // The lines of a digit in every interval.
  MODLAB_INLINE void MakeLines(int digit) {
    Real sum[kLine] = {};
    const auto add = [&](int64_t hinge, bool open) {
      if (!open) return;
      const Real* const weight = WeightOf(digit, hinge);
      const Real slope = lines_.slope[hinge], offset = lines_.offset[hinge];
      for (int64_t u = 0; u < kUnits; ++u) sum[u] += weight[u] * slope;
      for (int64_t u = 0; u < kUnits; ++u) sum[kUnits + u] += weight[u] * offset;
    };
    std::fill_n(LineOf(digit, 0), kLine, Real{0});
    for (int64_t k = 0; k < sizes_.hinges; ++k) {
      add(knots_.hinge[k], Rises(lines_.slope[knots_.hinge[k]]));
      std::memcpy(LineOf(digit, k + 1), sum, sizeof sum);
    }
    std::fill_n(sum, kLine, Real{0});
    for (int64_t k = sizes_.hinges - 1; k >= 0; --k) {
      add(knots_.hinge[k], !Rises(lines_.slope[knots_.hinge[k]]));
      Real* const line = LineOf(digit, k);
      for (int64_t i = 0; i < kLine; ++i) line[i] += sum[i];
    }
  }

  // What a column gives to the units.
  MODLAB_INLINE void AddUp(int64_t column, Real* __restrict y) {
    const Real a = lines_.digits[column], b = lines_.digits[sizes_.columns + column];
    const Real* const of_a = LineOf(0, places_.interval[0][column]);
    const Real* const of_b = LineOf(1, places_.interval[1][column]);
    const Real* const of_rule = weight_ + (2 * sizes_.hinges + places_.rule[column]) * stride_;
    for (int64_t u = 0; u < kUnits; ++u) {
      const Real z =
          (of_a[u] * a + of_a[kUnits + u]) + (of_b[u] * b + of_b[kUnits + u]) + of_rule[u];
      y[u] = z < Real{0} ? Real{0} : z;  // NaN stays
    }
  }

  // The gradient of a column to the lines that it is made of.
  MODLAB_INLINE void Share(int64_t column, const Real* __restrict d_z) {
    for (int digit = 0; digit < 2; ++digit) {
      const Real x = lines_.digits[digit * sizes_.columns + column];
      Real* __restrict line = LineOf(digit, places_.interval[digit][column]);
      for (int64_t u = 0; u < kUnits; ++u) {
        line[u] += d_z[u] * x;
        line[kUnits + u] += d_z[u];
      }
    }
    Real* __restrict rule = of_rules_.data() + places_.rule[column] * kUnits;
    for (int64_t u = 0; u < kUnits; ++u) rule[u] += d_z[u];
  }

  // From the gradients of lines to those of hinges and weights.
  MODLAB_INLINE void GiveHinges(int digit, const DigitGradient<Real>& gradient) {
    Real sum[kLine] = {};
    const auto give = [&](int64_t hinge, bool open) {
      if (!open) return;
      const Real* const weight = WeightOf(digit, hinge);
      const Real slope = lines_.slope[hinge], offset = lines_.offset[hinge];
      Real d_weight[kUnits];
      for (int64_t u = 0; u < kUnits; ++u) {
        d_weight[u] = sum[u] * slope + sum[kUnits + u] * offset;
      }
      Store(d_weight, digit * sizes_.hinges + hinge, gradient);
      Real* const parts = hinges_.data() + hinge * 2 * kParts;
      AddProducts(weight, sum, parts);
      AddProducts(weight, sum + kUnits, parts + kParts);
    };
    const auto add = [&](int64_t interval) {
      const Real* const line = LineOf(digit, interval);
      for (int64_t i = 0; i < kLine; ++i) sum[i] += line[i];
    };
    for (int64_t k = sizes_.hinges; k > 0; --k) {
      add(k);
      give(knots_.hinge[k - 1], Rises(lines_.slope[knots_.hinge[k - 1]]));
    }
    std::fill_n(sum, kLine, Real{0});
    for (int64_t k = 0; k < sizes_.hinges; ++k) {
      add(k);
      give(knots_.hinge[k], !Rises(lines_.slope[knots_.hinge[k]]));
    }
  }

  MODLAB_INLINE void Store(const Real* from, int64_t row, const DigitGradient<Real>& gradient) {
    CopyMostly<kUnits>(from, count_, gradient.weight + row * sizes_.units + first_);
  }

  const DigitSizes& sizes_;
  const DigitLines<Real>& lines_;
  const Knots<Real>& knots_;
  const Places& places_;
  int64_t first_ = 0;
  int64_t count_ = 0;
  const Real* weight_ = nullptr;  // [2e + R, kUnits]
  int64_t stride_ = 0;            // of its rows
  std::vector<Real> filled_;      // it, where the block is not whole
  std::vector<Real> table_;       // [2, e + 1, kLine]: lines, or their gradients
  std::vector<Real> of_rules_;    // [R, kUnits] gradients
  std::vector<Real> hinges_;      // [e, 2, kParts] gradients by slope and offset
};

template <typename Real>
MODLAB_INLINE void ForwardTo(const DigitSizes& sizes, const DigitLines<Real>& lines) {
  const Knots<Real> knots = SortKnots(sizes, lines);
  const Places places = FindPlaces(sizes, lines, knots);
  Block<Real> block(sizes, lines, knots, places);
  for (int64_t u = 0; u < sizes.units; u += kUnits) block.Forward(u);
}

template <typename Real>
MODLAB_INLINE void BackwardTo(const DigitSizes& sizes, const DigitLines<Real>& lines,
                              const DigitGradient<Real>& gradient) {
  const Knots<Real> knots = SortKnots(sizes, lines);
  const Places places = FindPlaces(sizes, lines, knots);
  Block<Real> block(sizes, lines, knots, places);
  for (int64_t u = 0; u < sizes.units; u += kUnits) block.Backward(u, gradient);
  block.AddHinges(gradient);
}

}  // namespace

MODLAB_VECTOR_CLONES
void DigitForward(const DigitSizes& sizes, const DigitLines<float>& lines) {
  ForwardTo(sizes, lines);
}

void DigitForward(const DigitSizes& sizes, const DigitLines<double>& lines) {
  ForwardTo(sizes, lines);
}

MODLAB_VECTOR_CLONES
void DigitBackward(const DigitSizes& sizes, const DigitLines<float>& lines,
                   const DigitGradient<float>& gradient) {
  BackwardTo(sizes, lines, gradient);
}

void DigitBackward(const DigitSizes& sizes, const DigitLines<double>& lines,
                   const DigitGradient<double>& gradient) {
  BackwardTo(sizes, lines, gradient);
}

}  // namespace modlab
