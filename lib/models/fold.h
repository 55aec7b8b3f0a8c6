// Products of weight matrices, made once a step where linear layers meet with nothing
// between them; part of the graph that backward() goes through.
//
// Written by hand in both directions: composed of slices and concatenations they would
// cost as much as the samples of a small model. Each job is computed alone. Thread-safe.

#ifndef MODLAB_LIB_MODELS_FOLD_H_
#define MODLAB_LIB_MODELS_FOLD_H_

#include <ATen/ATen.h>

namespace modlab {

// Two encoded digits and a rule meet the modules' first layer: M modules of K units, R
// rules.
struct InputFold {
  at::Tensor weight;     // [J, M, K, 3e] of (digit a, digit b, rule); or [J, K, 3e], one module
  at::Tensor bias;       // [J, 1, M, K], or [J, K]
  at::Tensor rule_code;  // [J, e, R]
  // The digit encoder's last layer, [J, e, e] and [J, e]. Undefined: it is no part of the
  // fold.
  at::Tensor digit_weight = {};
  at::Tensor digit_bias = {};
};

// [J, 2e + R, M K]: what the digit encoder's hidden units for a and for b (its outputs,
// where it is no part of the fold), and the one-hot rule, give to the modules' units. All
// biases are in the rules' rows, as each sample has one rule.
at::Tensor FoldInputs(const InputFold& fold);

// The modules' last layer, weight [J, M, K, D + S] and bias [J, 1, M, D + S], meets the
// decoder's first, [J, e, D]. Of each module S outputs, none or one, are its scores.
struct DecoderFold {
  at::Tensor last;          // [J, e, M K + M] of the mixed hidden units and p
  at::Tensor score_weight;  // [J, M, K S]
  at::Tensor score_bias;    // [J, M S]
};
DecoderFold FoldDecoder(const at::Tensor& decoder, const at::Tensor& weight,
                        const at::Tensor& bias);

// Both on any device.
at::Tensor ComposedFoldInputs(const InputFold& fold);
DecoderFold ComposedFoldDecoder(const at::Tensor& decoder, const at::Tensor& weight,
                                const at::Tensor& bias);

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_FOLD_H_
