// Mixing of modules before their last layer, with the scores that it may follow, and
// its gradient, on the processor, for one job. Without LibTorch: numbers behind
// pointers. (section 2, "joint scorer")
//
// Every array is a matrix with a row of T columns per feature, rows one after the
// other. Pure, thread-safe; arrays must not overlap.

#ifndef MODLAB_LIB_MODELS_MIXING_KERNEL_H_
#define MODLAB_LIB_MODELS_MIXING_KERNEL_H_

#include <cstdint>

namespace modlab {

struct MixingSizes {
  int64_t modules = 0;  // M
  int64_t units = 0;    // K, of each module
  int64_t columns = 0;  // T
};

template <typename Real>
struct Mixing {
  const Real* hidden = nullptr;        // [M K, T] what the modules compute
  const Real* score_weight = nullptr;  // [M, K]; null: p is given
  const Real* score_bias = nullptr;    // [M]; null likewise
  Real* mixed = nullptr;               // [M K, T] made: p_m times module m's units
  Real* p = nullptr;                   // [M, T] given, or made: softmax of the scores
};

template <typename Real>
struct MixingGradient {
  const Real* mixed = nullptr;   // [M K, T] of the loss with respect to Mixing::mixed
  Real* p = nullptr;             // [M, T] in: to p alone; out: to p in all, or to the scores
  Real* hidden = nullptr;        // [M K, T] made
  Real* score_weight = nullptr;  // [M, K] added to, if there is one
  Real* score_bias = nullptr;    // [M] likewise
};

void Mix(const MixingSizes& sizes, const Mixing<float>& mixing);
void Mix(const MixingSizes& sizes, const Mixing<double>& mixing);

// Mixing::mixed is not looked at.
void MixBackward(const MixingSizes& sizes, const Mixing<float>& mixing,
                 const MixingGradient<float>& gradient);
void MixBackward(const MixingSizes& sizes, const Mixing<double>& mixing,
                 const MixingGradient<double>& gradient);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_MIXING_KERNEL_H_
