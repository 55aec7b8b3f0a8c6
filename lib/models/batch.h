// What a model is given: samples for every job of a gang.

#ifndef MODLAB_LIB_MODELS_BATCH_H_
#define MODLAB_LIB_MODELS_BATCH_H_

#include <ATen/ATen.h>

#include <cstdint>

namespace modlab {

// B samples of `length` tokens for each of J jobs; an MLP's sample is one token.
// T = length * B: token n of sample b is column n * B + b, so that one step of
// all samples lies together. Features come before columns everywhere: whatever
// is done to each number runs along neighbours in memory.
struct Batch {
  at::Tensor input;   // [J, C, T] the real-valued inputs
  at::Tensor rule;    // [J, R, T] one-hot
  at::Tensor target;  // [J, O, T] numbers, or labels 0/1
  int64_t length = 1;

  int64_t jobs() const { return rule.size(0); }
  int64_t columns() const { return rule.size(2); }
};

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_BATCH_H_
