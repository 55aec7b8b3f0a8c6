// Both digits of an MLP's sample on their way to the modules' first hidden units, and the
// gradient, on the processor, for one job. Without LibTorch: numbers behind pointers.
//
// y_u = ReLU(sum_i A_iu ReLU(w_i a + v_i) + sum_i B_iu ReLU(w_i b + v_i) + C_cu) for the
// digits a, b and the rule c. (section 2, "MLP") In a digit alone such a sum is a linear
// spline: between two neighbours of its knots -v_i / w_i it is a line, whose slope and
// offset are sums of A_iu w_i and A_iu v_i over the hinges i that are bent open there. All
// lines of all units come of one pass over the sorted knots, so that a sample costs two
// multiplications a unit and not e; the gradient goes the same way back: samples are
// added up interval by interval, and hinges get running sums of intervals. With e hinges,
// T samples and U units this is O((T + e) U) where the products would be O(T e U).
//
// The same samples at another place of the batch give the same numbers. Pure, thread-safe;
// arrays must not overlap.

#ifndef MODLAB_LIB_MODELS_DIGIT_KERNEL_H_
#define MODLAB_LIB_MODELS_DIGIT_KERNEL_H_

#include <cstdint>

namespace modlab {

struct DigitSizes {
  int64_t hinges = 0;   // e
  int64_t rules = 0;    // R
  int64_t units = 0;    // U, of all groups
  int64_t columns = 0;  // T
  // Group g computes columns [begins[g], begins[g + 1]) of its units, which are units /
  // groups.
  int64_t groups = 1;
  const int64_t* begins = nullptr;  // [groups + 1]
};

template <typename Real>
struct DigitLines {
  const Real* slope = nullptr;   // [e] w
  const Real* offset = nullptr;  // [e] v
  const Real* weight = nullptr;  // [2e + R, U]: A, B and C
  const Real* digits = nullptr;  // [2, T]: a and b
  const Real* rule = nullptr;    // [R, T] one-hot
  Real* y = nullptr;             // [units of a group, T] made
};

template <typename Real>
struct DigitGradient {
  const Real* y = nullptr;  // [units of a group, T] of the loss with respect to y
  Real* slope = nullptr;    // [e] added to
  Real* offset = nullptr;   // [e] likewise
  Real* weight = nullptr;   // [2e + R, U] made
};

void DigitForward(const DigitSizes& sizes, const DigitLines<float>& lines);
void DigitForward(const DigitSizes& sizes, const DigitLines<double>& lines);

void DigitBackward(const DigitSizes& sizes, const DigitLines<float>& lines,
                   const DigitGradient<float>& gradient);
void DigitBackward(const DigitSizes& sizes, const DigitLines<double>& lines,
                   const DigitGradient<double>& gradient);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_DIGIT_KERNEL_H_
