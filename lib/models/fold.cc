#include "lib/models/fold.h"

#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdint>

#include "lib/models/job_tensor.h"
#include "lib/models/matrix.h"

namespace modlab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

template <typename Real>
Matrix<Real> Dense(const at::Tensor& tensor, int64_t job) {
  return {JobOf<Real>(tensor, job), tensor.size(-1)};
}

template <typename Real>
void Copy(int64_t rows, int64_t columns, const Matrix<const Real>& from, const Matrix<Real>& to) {
  for (int64_t i = 0; i < rows; ++i) {
    if (!from.transposed && !to.transposed) {
      std::copy_n(from.From(i, 0).data, columns, to.From(i, 0).data);
    } else {
      for (int64_t j = 0; j < columns; ++j) *to.From(i, j).data = *from.From(i, j).data;
    }
  }
}

struct InputSizes {
  InputSizes(const at::Tensor& weight, const at::Tensor& rule_code)
      : jobs(weight.size(0)),
        modules(weight.dim() > 3 ? weight.size(1) : 1),
        units(weight.size(-2)),
        e(weight.size(-1) / 3),
        rules(rule_code.size(2)),
        width(2 * e + rules) {}
  int64_t jobs, modules, units, e, rules, width;
};

// In what follows matrices have a row an input, and a column for each of a module's units.

template <typename Real>
void Fold(const InputSizes& sizes, const InputFold& in, const at::Tensor& out) {
  const int64_t e = sizes.e, K = sizes.units, all_units = sizes.modules * K;
  const at::Tensor biases = at::empty({K}, out.options());
  const Matrix<Real> shared{biases.data_ptr<Real>(), K};  // [1, K] of all rules
  for (int64_t job = 0; job < sizes.jobs; ++job) {
    const Matrix<const Real> digit = Dense<Real>(in.digit_weight, job);
    const Matrix<const Real> digit_bias{JobOf<Real>(in.digit_bias, job), e};  // [1, e]
    const Matrix<const Real> code = Dense<Real>(in.rule_code, job);
    for (int64_t m = 0; m < sizes.modules; ++m) {
      const Matrix<const Real> weight = MatrixOf<Real>(in.weight, job, m).t();
      const Matrix<Real> to{JobOf<Real>(out, job, m * K), all_units};
      std::copy_n(JobOf<Real>(in.bias, job, m * K), K, shared.data);
      if (digit.data == nullptr) {
        Copy(2 * e, K, weight, to);
      } else {
        for (const int64_t part : {int64_t{0}, e}) {
          Multiply(e, K, e, digit.t(), weight.From(part, 0), Real{0}, to.From(part, 0));
          Multiply(1, K, e, digit_bias, weight.From(part, 0), Real{1}, shared);
        }
      }
      const Matrix<Real> to_rules = to.From(2 * e, 0);
      for (int64_t r = 0; r < sizes.rules; ++r)
        std::copy_n(shared.data, K, to_rules.From(r, 0).data);
      Multiply(sizes.rules, K, e, code.t(), weight.From(2 * e, 0), Real{1}, to_rules);
    }
  }
}

// The gradients of `in` are laid out as it is.
template <typename Real>
void FoldBackward(const InputSizes& sizes, const InputFold& in, const at::Tensor& d_out,
                  const InputFold& gradient) {
  const int64_t e = sizes.e, K = sizes.units, all_units = sizes.modules * K;
  for (int64_t job = 0; job < sizes.jobs; ++job) {
    const Matrix<const Real> digit = Dense<Real>(in.digit_weight, job);
    const Matrix<const Real> digit_bias{JobOf<Real>(in.digit_bias, job), 1};  // [e, 1]
    const Matrix<const Real> code = Dense<Real>(in.rule_code, job);
    const Matrix<Real> d_digit = Dense<Real>(gradient.digit_weight, job);
    const Matrix<Real> d_digit_bias{JobOf<Real>(gradient.digit_bias, job), 1};
    const Matrix<Real> d_code = Dense<Real>(gradient.rule_code, job);
    for (int64_t m = 0; m < sizes.modules; ++m) {
      const Matrix<const Real> weight = MatrixOf<Real>(in.weight, job, m).t();
      const Matrix<Real> d_weight = MatrixOf<Real>(gradient.weight, job, m).t();
      const Matrix<const Real> from{JobOf<Real>(d_out, job, m * K), all_units};
      const Matrix<const Real> of_rules = from.From(2 * e, 0);
      Real* const d_bias = JobOf<Real>(gradient.bias, job, m * K);
      for (int64_t r = 0; r < sizes.rules; ++r) {
        for (int64_t k = 0; k < K; ++k) d_bias[k] += of_rules.data[r * all_units + k];
      }
      Multiply(e, K, sizes.rules, code, of_rules, Real{0}, d_weight.From(2 * e, 0));
      Multiply(e, sizes.rules, K, weight.From(2 * e, 0), of_rules.t(), Real{1}, d_code);
      if (digit.data == nullptr) {
        Copy(2 * e, K, from, d_weight);
        continue;
      }
      const Matrix<const Real> shared{d_bias, K};  // [1, K]
      for (const int64_t part : {int64_t{0}, e}) {
        const Matrix<const Real> d_part = from.From(part, 0);
        Multiply(e, K, e, digit, d_part, Real{0}, d_weight.From(part, 0));
        Multiply(e, K, 1, digit_bias, shared, Real{1}, d_weight.From(part, 0));
        Multiply(e, e, K, weight.From(part, 0), d_part.t(), Real{1}, d_digit);
        Multiply(e, 1, K, weight.From(part, 0), shared.t(), Real{1}, d_digit_bias);
      }
    }
  }
}

class FoldInputsFunction : public torch::autograd::Function<FoldInputsFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& rule_code,
                            const at::Tensor& digit_weight, const at::Tensor& digit_bias) {
    const InputSizes sizes(weight, rule_code);
    const at::Tensor out =
        at::empty({sizes.jobs, sizes.width, sizes.modules * sizes.units}, weight.options());
    AT_DISPATCH_FLOATING_TYPES(out.scalar_type(), "FoldInputs", [&] {
      Fold<scalar_t>(sizes, {weight, bias, rule_code, digit_weight, digit_bias}, out);
    });
    context->save_for_backward({weight, bias, rule_code, digit_weight, digit_bias});
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list d_outputs) {
    const variable_list saved = context->get_saved_variables();
    const InputFold in{saved[0], saved[1], saved[2], saved[3], saved[4]};
    const at::Tensor d_out = d_outputs[0].contiguous();
    const InputFold gradient{LikeMatrices(in.weight), ZerosLike(in.bias), ZerosLike(in.rule_code),
                             ZerosLike(in.digit_weight), ZerosLike(in.digit_bias)};
    AT_DISPATCH_FLOATING_TYPES(d_out.scalar_type(), "FoldInputsBackward", [&] {
      FoldBackward<scalar_t>(InputSizes(in.weight, in.rule_code), in, d_out, gradient);
    });
    return {gradient.weight, gradient.bias, gradient.rule_code, Given(gradient.digit_weight),
            Given(gradient.digit_bias)};
  }
};

struct DecoderSizes {
  DecoderSizes(const at::Tensor& decoder, const at::Tensor& weight)
      : jobs(weight.size(0)),
        modules(weight.size(1)),
        units(modules * weight.size(2)),
        e(decoder.size(1)),
        outputs(decoder.size(2)),
        scores(weight.size(3) - outputs) {}
  int64_t jobs, modules;
  int64_t units;  // M K
  int64_t e, outputs, scores;
};

// Rows of D outputs and perhaps a score: the score of each <-> `scores`.
template <typename Real>
void TakeScores(const Matrix<const Real>& from, int64_t rows, int64_t outputs, Real* scores) {
  for (int64_t i = 0; i < rows; ++i) scores[i] = *from.From(i, outputs).data;
}
template <typename Real>
void PutScores(const Real* scores, int64_t rows, int64_t outputs, const Matrix<Real>& to) {
  for (int64_t i = 0; i < rows; ++i) *to.From(i, outputs).data = scores[i];
}

class FoldDecoderFunction : public torch::autograd::Function<FoldDecoderFunction> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& decoder,
                               const at::Tensor& weight, const at::Tensor& bias) {
    const DecoderSizes sizes(decoder, weight);
    const int64_t units = sizes.units, modules = sizes.modules;
    const at::TensorOptions options = weight.options();
    const at::Tensor last = at::empty({sizes.jobs, sizes.e, units + modules}, options);
    const at::Tensor score_weight =
        at::empty({sizes.jobs, modules, units / modules * sizes.scores}, options);
    const at::Tensor score_bias = at::empty({sizes.jobs, modules * sizes.scores}, options);
    AT_DISPATCH_FLOATING_TYPES(last.scalar_type(), "FoldDecoder", [&] {
      for (int64_t job = 0; job < sizes.jobs; ++job) {
        const Matrix<const scalar_t> from = Dense<scalar_t>(decoder, job);
        const Matrix<const scalar_t> of_weight = Dense<scalar_t>(weight, job);
        const Matrix<const scalar_t> of_bias = Dense<scalar_t>(bias, job);
        const Matrix<scalar_t> to = Dense<scalar_t>(last, job);
        Multiply(sizes.e, units, sizes.outputs, from, of_weight.t(), scalar_t{0}, to);
        Multiply(sizes.e, modules, sizes.outputs, from, of_bias.t(), scalar_t{0},
                 to.From(0, units));
        if (sizes.scores == 0) continue;
        TakeScores(of_weight, units, sizes.outputs, JobOf<scalar_t>(score_weight, job));
        TakeScores(of_bias, modules, sizes.outputs, JobOf<scalar_t>(score_bias, job));
      }
    });
    context->save_for_backward({decoder, weight, bias});
    return {last, score_weight, score_bias};
  }

  static variable_list backward(AutogradContext* context, variable_list d_outputs) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &decoder = saved[0], &weight = saved[1], &bias = saved[2];
    const DecoderSizes sizes(decoder, weight);
    const int64_t units = sizes.units, modules = sizes.modules;
    const at::Tensor d_last = d_outputs[0].contiguous();
    const at::Tensor d_score_weight = d_outputs[1].contiguous();
    const at::Tensor d_score_bias = d_outputs[2].contiguous();
    const at::Tensor d_decoder = at::empty(decoder.sizes(), decoder.options());
    const at::Tensor d_weight = at::empty(weight.sizes(), weight.options());
    const at::Tensor d_bias = at::empty(bias.sizes(), bias.options());
    AT_DISPATCH_FLOATING_TYPES(d_last.scalar_type(), "FoldDecoderBackward", [&] {
      for (int64_t job = 0; job < sizes.jobs; ++job) {
        const Matrix<const scalar_t> of_decoder = Dense<scalar_t>(decoder, job);
        const Matrix<const scalar_t> from = Dense<scalar_t>(d_last, job);
        const Matrix<const scalar_t> of_p = from.From(0, units);
        const Matrix<scalar_t> to = Dense<scalar_t>(d_decoder, job);
        const Matrix<scalar_t> to_weight = Dense<scalar_t>(d_weight, job);
        const Matrix<scalar_t> to_bias = Dense<scalar_t>(d_bias, job);
        Multiply(units, sizes.outputs, sizes.e, from.t(), of_decoder, scalar_t{0}, to_weight);
        Multiply(modules, sizes.outputs, sizes.e, of_p.t(), of_decoder, scalar_t{0}, to_bias);
        Multiply(sizes.e, sizes.outputs, units, from, Dense<scalar_t>(weight, job), scalar_t{0},
                 to);
        Multiply(sizes.e, sizes.outputs, modules, of_p, Dense<scalar_t>(bias, job), scalar_t{1},
                 to);
        if (sizes.scores == 0) continue;
        PutScores(JobOf<scalar_t>(d_score_weight, job), units, sizes.outputs, to_weight);
        PutScores(JobOf<scalar_t>(d_score_bias, job), modules, sizes.outputs, to_bias);
      }
    });
    return {d_decoder, d_weight, d_bias};
  }
};

}  // namespace

at::Tensor FoldInputs(const InputFold& fold) {
  if (!fold.weight.is_cpu()) return ComposedFoldInputs(fold);
  return FoldInputsFunction::apply(ByMatrix(fold.weight), ByJob(fold.bias), ByJob(fold.rule_code),
                                   Argument(fold.digit_weight, fold.weight),
                                   Argument(fold.digit_bias, fold.weight));
}

DecoderFold FoldDecoder(const at::Tensor& decoder, const at::Tensor& weight,
                        const at::Tensor& bias) {
  if (!weight.is_cpu()) return ComposedFoldDecoder(decoder, weight, bias);
  const variable_list out = FoldDecoderFunction::apply(ByJob(decoder), ByJob(weight), ByJob(bias));
  return {out[0], out[1], out[2]};
}

at::Tensor ComposedFoldInputs(const InputFold& fold) {
  const int64_t jobs = fold.weight.size(0), e = fold.rule_code.size(1);
  const at::Tensor weight = fold.weight.reshape({jobs, -1, 3 * e});
  const at::Tensor of_a = weight.narrow(2, 0, e), of_b = weight.narrow(2, e, e);
  at::Tensor shared = fold.bias.reshape({jobs, -1, 1});
  at::Tensor of_digits = weight.narrow(2, 0, 2 * e);
  if (fold.digit_weight.defined()) {
    shared = at::baddbmm(shared, of_a + of_b, fold.digit_bias.unsqueeze(-1));
    of_digits = at::cat({at::bmm(of_a, fold.digit_weight), at::bmm(of_b, fold.digit_weight)}, 2);
  }
  return at::cat({of_digits, at::baddbmm(shared, weight.narrow(2, 2 * e, e), fold.rule_code)}, 2)
      .transpose(1, 2);
}

DecoderFold ComposedFoldDecoder(const at::Tensor& decoder, const at::Tensor& weight,
                                const at::Tensor& bias) {
  const int64_t jobs = weight.size(0), outputs = decoder.size(2);
  const int64_t scores = weight.size(3) - outputs;
  const at::Tensor stacked = weight.narrow(3, 0, outputs).reshape({jobs, -1, outputs});
  const at::Tensor of_bias = bias.narrow(-1, 0, outputs).reshape({jobs, -1, outputs});
  return {at::cat({at::bmm(decoder, stacked.transpose(1, 2)),
                   at::bmm(decoder, of_bias.transpose(1, 2))},
                  2),
          weight.narrow(3, outputs, scores).reshape({jobs, weight.size(1), -1}),
          bias.narrow(-1, outputs, scores).reshape({jobs, -1})};
}

}  // namespace modlab
