#include "lib/models/lstm_sorted.h"

#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>

#include "lib/models/job_tensor.h"
#include "lib/models/lstm_kernel.h"
#include "lib/models/matrix.h"
#include "lib/models/rule_order.h"

namespace modlab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Sizes {
  Sizes(const at::Tensor& input, const at::Tensor& weight, int64_t module_count, int64_t length)
      : jobs(weight.size(0)),
        modules(module_count),
        inputs(input.size(1)),
        width(weight.size(2)),
        hidden(width - inputs),
        steps(length),
        samples(input.size(2) / length),
        padded((samples + kLstmSamples - 1) / kLstmSamples * kLstmSamples) {}

  int64_t gates() const { return 4 * hidden; }
  LstmSizes kernel() const { return {1, hidden, padded}; }

  int64_t jobs, modules, inputs;
  int64_t width;  // E + h
  int64_t hidden, steps, samples;
  int64_t padded;  // samples and columns of zeros
};

// What the forward pass computes and the backward pass looks up; [J, N, .., padded], the
// samples of each step sorted by their module.
struct Tape {
  at::Tensor state;    // [J, N, E + h, padded] input, and hidden state before the step
  at::Tensor cell;     // [J, N, h, padded] before the step
  at::Tensor gates;    // [J, N, 4h, padded]
  at::Tensor order;    // [J N, B] the sample at each place
  at::Tensor columns;  // [J N, M + 1] where each module's samples begin
};

// One step of one job.
template <typename Real>
struct Step {
  Step(const Sizes& sizes, const Tape& tape, int64_t job, int64_t t)
      : state{At(tape.state, job, t), sizes.padded},
        cell(At(tape.cell, job, t)),
        gates{At(tape.gates, job, t), sizes.padded},
        order(tape.order.data_ptr<int64_t>() + (job * sizes.steps + t) * tape.order.stride(0)),
        columns(tape.columns.data_ptr<int64_t>() + (job * sizes.steps + t) * (sizes.modules + 1)) {}

  static Real* At(const at::Tensor& tensor, int64_t job, int64_t t) {
    return tensor.data_ptr<Real>() + job * tensor.stride(0) + t * tensor.stride(1);
  }

  Matrix<Real> state;
  Real* cell;
  Matrix<Real> gates;
  const int64_t* order;
  const int64_t* columns;
};

// Rows of samples as they stand in the batch -> sorted, and back.
template <typename Real>
void Sort(const Sizes& sizes, const int64_t* order, int64_t rows, const Real* from, int64_t stride,
          Real* to) {
  for (int64_t row = 0; row < rows; ++row, from += stride, to += sizes.padded) {
    for (int64_t i = 0; i < sizes.samples; ++i) to[i] = from[order[i]];
  }
}

template <typename Real>
void Restore(const Sizes& sizes, const int64_t* order, int64_t rows, const Real* from, Real* to,
             int64_t stride) {
  for (int64_t row = 0; row < rows; ++row, from += sizes.padded, to += stride) {
    for (int64_t i = 0; i < sizes.samples; ++i) to[order[i]] = from[i];
  }
}

// [J, F, T]: row 0 of step t.
template <typename Real>
Real* Features(const Sizes& sizes, const at::Tensor& features, int64_t job, int64_t t) {
  return JobOf<Real>(features, job, t * sizes.samples);
}

template <typename Real>
LstmStep<Real> KernelStep(const Step<Real>& step, Real* ones, Real* hidden, Real* cell) {
  LstmStep<Real> arrays;
  arrays.from_input = step.gates.data;
  arrays.cell_before = step.cell;
  arrays.p = ones;
  arrays.hidden = hidden;
  arrays.cell = cell;
  return arrays;
}

// Sets the tape but for order and columns, which are given.
template <typename Real>
void Forward(const Sizes& sizes, const at::Tensor& input, const at::Tensor& weight, Tape* tape,
             const at::Tensor& out) {
  const at::TensorOptions options = input.options();
  const int64_t T = sizes.steps * sizes.samples;
  tape->state = at::zeros({sizes.jobs, sizes.steps, sizes.width, sizes.padded}, options);
  tape->cell = at::zeros({sizes.jobs, sizes.steps, sizes.hidden, sizes.padded}, options);
  tape->gates = at::zeros({sizes.jobs, sizes.steps, sizes.gates(), sizes.padded}, options);
  const at::Tensor ones = at::ones({sizes.padded}, options);
  const at::Tensor hidden = at::empty({sizes.hidden, sizes.padded}, options);
  const at::Tensor cell = at::empty({sizes.hidden, sizes.padded}, options);
  const at::Tensor cell_in_batch = at::empty({sizes.hidden, sizes.samples}, options);
  for (int64_t job = 0; job < sizes.jobs; ++job) {
    const Matrix<const Real> of_weight{JobOf<Real>(weight, job), sizes.width};
    for (int64_t t = 0; t < sizes.steps; ++t) {
      const Step<Real> step(sizes, *tape, job, t);
      Sort<Real>(sizes, step.order, sizes.inputs, Features<Real>(sizes, input, job, t), T,
                 step.state.data);
      if (t > 0) {
        Sort<Real>(sizes, step.order, sizes.hidden, Features<Real>(sizes, out, job, t - 1), T,
                   step.state.From(sizes.inputs, 0).data);
        Sort<Real>(sizes, step.order, sizes.hidden, cell_in_batch.data_ptr<Real>(), sizes.samples,
                   step.cell);
      }
      for (int64_t m = 0; m < sizes.modules; ++m) {
        const int64_t begin = step.columns[m], end = step.columns[m + 1];
        Multiply(sizes.gates(), end - begin, sizes.width, of_weight.From(m * sizes.gates(), 0),
                 step.state.From(0, begin), Real{0}, step.gates.From(0, begin));
      }
      LstmForward(sizes.kernel(), KernelStep(step, ones.data_ptr<Real>(), hidden.data_ptr<Real>(),
                                             cell.data_ptr<Real>()));
      Restore<Real>(sizes, step.order, sizes.hidden, hidden.data_ptr<Real>(),
                    Features<Real>(sizes, out, job, t), T);
      Restore<Real>(sizes, step.order, sizes.hidden, cell.data_ptr<Real>(),
                    cell_in_batch.data_ptr<Real>(), sizes.samples);
    }
  }
}

// Adds to d_weight, sets d_input.
template <typename Real>
void Backward(const Sizes& sizes, const at::Tensor& weight, const Tape& tape,
              const at::Tensor& d_out, const at::Tensor& d_weight, const at::Tensor& d_input) {
  const at::TensorOptions options = d_out.options();
  const int64_t T = sizes.steps * sizes.samples;
  const at::Tensor ones = at::ones({sizes.padded}, options);
  const at::Tensor unused = at::empty({2, sizes.hidden, sizes.padded}, options);
  const at::Tensor d_p = at::empty({sizes.padded}, options);
  const at::Tensor d_gates = at::empty({sizes.gates(), sizes.padded}, options);
  const at::Tensor d_hidden = at::zeros({sizes.hidden, sizes.padded}, options);
  const at::Tensor d_cell = at::zeros({sizes.hidden, sizes.padded}, options);
  const at::Tensor d_cell_before = at::empty({sizes.hidden, sizes.padded}, options);
  const at::Tensor d_state = at::zeros({sizes.width, sizes.padded}, options);
  // As they stand in the batch: from the step behind to what this one gives.
  const at::Tensor hidden_in_batch = at::empty({sizes.hidden, sizes.samples}, options);
  const at::Tensor cell_in_batch = at::empty({sizes.hidden, sizes.samples}, options);
  for (int64_t job = 0; job < sizes.jobs; ++job) {
    const Matrix<const Real> of_weight{JobOf<Real>(weight, job), sizes.width};
    const Matrix<Real> to_weight{JobOf<Real>(d_weight, job), sizes.width};
    hidden_in_batch.zero_();
    cell_in_batch.zero_();
    for (int64_t t = sizes.steps - 1; t >= 0; --t) {
      const Step<Real> step(sizes, tape, job, t);
      const Real* from = Features<Real>(sizes, d_out, job, t);
      Real* to = hidden_in_batch.data_ptr<Real>();
      for (int64_t row = 0; row < sizes.hidden; ++row, from += T, to += sizes.samples) {
        for (int64_t b = 0; b < sizes.samples; ++b) to[b] += from[b];
      }
      Sort<Real>(sizes, step.order, sizes.hidden, hidden_in_batch.data_ptr<Real>(), sizes.samples,
                 d_hidden.data_ptr<Real>());
      Sort<Real>(sizes, step.order, sizes.hidden, cell_in_batch.data_ptr<Real>(), sizes.samples,
                 d_cell.data_ptr<Real>());
      LstmStepGradient<Real> arrays;
      arrays.hidden = d_hidden.data_ptr<Real>();
      arrays.cell = d_cell.data_ptr<Real>();
      arrays.cell_before = d_cell_before.data_ptr<Real>();
      arrays.from_input = d_gates.data_ptr<Real>();
      arrays.p = d_p.data_ptr<Real>();
      LstmBackward(sizes.kernel(),
                   KernelStep(step, ones.data_ptr<Real>(), unused.data_ptr<Real>(),
                              unused.data_ptr<Real>() + sizes.hidden * sizes.padded),
                   arrays);
      const Matrix<const Real> of_gates{d_gates.data_ptr<Real>(), sizes.padded};
      const Matrix<Real> to_state{d_state.data_ptr<Real>(), sizes.padded};
      for (int64_t m = 0; m < sizes.modules; ++m) {
        const int64_t begin = step.columns[m], count = step.columns[m + 1] - begin;
        if (count == 0) continue;
        const int64_t row = m * sizes.gates();
        Multiply(sizes.width, count, sizes.gates(), of_weight.From(row, 0).t(),
                 of_gates.From(0, begin), Real{0}, to_state.From(0, begin));
        Multiply(sizes.gates(), sizes.width, count, of_gates.From(0, begin),
                 Matrix<const Real>(step.state.From(0, begin)).t(), Real{1},
                 to_weight.From(row, 0));
      }
      Restore<Real>(sizes, step.order, sizes.inputs, to_state.data,
                    Features<Real>(sizes, d_input, job, t), T);
      Restore<Real>(sizes, step.order, sizes.hidden, to_state.From(sizes.inputs, 0).data,
                    hidden_in_batch.data_ptr<Real>(), sizes.samples);
      Restore<Real>(sizes, step.order, sizes.hidden, d_cell_before.data_ptr<Real>(),
                    cell_in_batch.data_ptr<Real>(), sizes.samples);
    }
  }
}

class SortedLstmFunction : public torch::autograd::Function<SortedLstmFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& weight, const at::Tensor& routing, int64_t length) {
    const Sizes sizes(input, weight, routing.size(1), length);
    // Every step of every job has an order of its own.
    const RuleOrder order(routing.view({sizes.jobs, sizes.modules, length, sizes.samples})
                              .transpose(1, 2)
                              .reshape({sizes.jobs * length, sizes.modules, sizes.samples}));
    Tape tape;
    tape.order = order.order();
    tape.columns = order.columns();
    const at::Tensor out = at::empty({sizes.jobs, sizes.hidden, input.size(2)}, input.options());
    AT_DISPATCH_FLOATING_TYPES(input.scalar_type(), "SortedLstm",
                               [&] { Forward<scalar_t>(sizes, input, weight, &tape, out); });
    context->save_for_backward(
        {input, weight, tape.state, tape.cell, tape.gates, tape.order, tape.columns});
    context->saved_data["length"] = length;
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list d_outputs) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1];
    const Tape tape{saved[2], saved[3], saved[4], saved[5], saved[6]};
    const Sizes sizes(input, weight, tape.columns.size(1) - 1,
                      context->saved_data["length"].toInt());
    const at::Tensor d_weight = at::zeros(weight.sizes(), weight.options());
    const at::Tensor d_input = at::empty(input.sizes(), input.options());
    AT_DISPATCH_FLOATING_TYPES(input.scalar_type(), "SortedLstmBackward", [&] {
      Backward<scalar_t>(sizes, weight, tape, ByJob(d_outputs[0]), d_weight, d_input);
    });
    return {d_input, d_weight, {}, {}};
  }
};

}  // namespace

at::Tensor SortedLstm(const LstmInput& in) {
  return SortedLstmFunction::apply(ByJob(in.input), ByJob(in.weight), in.routing.contiguous(),
                                   in.length);
}

}  // namespace modlab
