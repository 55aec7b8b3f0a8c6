// What a training step has to multiply: the measure that `./x bench train` holds its
// times to.

#ifndef MODLAB_TESTS_BENCH_MULTIPLY_ADDS_H_
#define MODLAB_TESTS_BENCH_MULTIPLY_ADDS_H_

#include "lib/config/widths.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Multiply-adds that the rearranged formulas (ARCHITECTURE.md) need for one token, there
// and not back. One-hot inputs choose, and cost nothing; an MLP's digits cost two a unit that
// they meet, however wide their encoder is; GT_MODULAR computes the module
// of the token's rule alone. Products of weight matrices, made once a step, are not
// counted. Pure, thread-safe.
inline double MultiplyAddsPerToken(const v1::JobConfig& canonical) {
  const double R = canonical.rules(), e = canonical.encoder_dim(), D = canonical.model_dim();
  const double M = canonical.modules();
  const bool scored = canonical.model() == v1::MODULAR, given = canonical.model() == v1::GT_MODULAR;
  const double computed = given ? 1.0 : M;  // modules
  if (canonical.architecture() == v1::MLP) {
    const double K = D / M;
    return computed * K * (2 + e + (scored ? 1 : 0)) + e;
  }
  if (canonical.architecture() == v1::MHA) {
    const double H = canonical.heads(), N = canonical.sequence_length();
    const double h = static_cast<double>(HeadWidth(canonical));
    const double I = static_cast<double>(ModuleHiddenWidth(canonical));
    const double inputs = (canonical.search_version() == 2 ? 6 : 4) * R;
    // Others may look at a token with any module: its keys and values are needed of all.
    const double projected = 2 * M * H * h + computed * (H + 1) * h;
    const double attention = computed * H * 2 * N * h;
    return inputs * e + projected * e + attention +
           computed * (I * (H + 1) * h + I * (e + (scored ? 1 : 0))) + e;
  }
  const double h = static_cast<double>(CellWidth(canonical));
  const double inputs = canonical.input_dim();
  const double outputs = canonical.target() == v1::REGRESSION ? inputs : 1;
  return inputs * e + computed * (4 * h * (e + h) + (scored ? 8 * h : 0)) + h * h + h * outputs;
}

}  // namespace modlab

#endif  // MODLAB_TESTS_BENCH_MULTIPLY_ADDS_H_
