#include "lib/models/lstm.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "lib/models/lstm_kernel.h"

namespace modlab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Sizes {
  Sizes(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& routing,
        bool is_scored, int64_t length)
      : jobs(weight.size(0)),
        modules(routing.size(1)),
        inputs(input.size(1)),
        rows(weight.size(1)),
        width(weight.size(2)),
        hidden(width - inputs),
        steps(length),
        samples(input.size(2) / length),
        padded((samples + kLstmSamples - 1) / kLstmSamples * kLstmSamples),
        scored(is_scored) {}

  // The scores need what comes of the input and what comes of the hidden state:
  // two products. Otherwise one does.
  int64_t products() const { return scored ? 2 : 1; }
  int64_t product_begin(int64_t i) const { return i == 0 ? 0 : inputs; }
  int64_t product_width(int64_t i) const { return !scored ? width : i == 0 ? inputs : hidden; }
  LstmSizes kernel() const { return {modules, hidden, padded}; }

  int64_t jobs, modules, inputs;
  int64_t rows;   // 4 M h
  int64_t width;  // E + h
  int64_t hidden, steps, samples;
  int64_t padded;  // samples and columns of zeros
  bool scored;
};

// Work is done step by step, so a step's samples are put together.
// [J, F, T] -> [J N, F, padded], into rows [begin, begin + F) of the first N of
// every job's steps in `packed`.
void Pack(const Sizes& sizes, const at::Tensor& features, const at::Tensor& packed,
          int64_t begin = 0) {
  const int64_t count = features.size(1);
  packed.view({sizes.jobs, -1, packed.size(1), sizes.padded})
      .narrow(1, 0, sizes.steps)
      .narrow(2, begin, count)
      .narrow(3, 0, sizes.samples)
      .copy_(features.reshape({sizes.jobs, count, sizes.steps, sizes.samples}).transpose(1, 2));
}

// The way back, from steps [first, first + N).
at::Tensor Unpack(const Sizes& sizes, const at::Tensor& packed, int64_t begin, int64_t count,
                  int64_t first = 0) {
  return packed.view({sizes.jobs, -1, packed.size(1), sizes.padded})
      .narrow(1, first, sizes.steps)
      .narrow(2, begin, count)
      .narrow(3, 0, sizes.samples)
      .transpose(1, 2)
      .reshape({sizes.jobs, count, sizes.steps * sizes.samples});
}

// What the forward pass computes and the backward pass looks up. Contiguous.
struct Tape {
  at::Tensor weight[2];     // [J, 4 M h, width of the product]
  at::Tensor score_weight;  // [J, M, 8h]; undefined if p is given
  at::Tensor state;         // [J (N + 1), E + h, padded] input, and hidden state before it
  at::Tensor cell;          // [J (N + 1), h, padded] before every step, and after the last
  at::Tensor p;             // [J N, M, padded]
  // The products, each [1, 4 M h, padded]: product 0 and, if there is one, 1 of every
  // step, or of the last step alone. Most of the memory; the allocator returns what is
  // too large to the system, so they are not one tensor.
  std::vector<at::Tensor> gates;

  void AppendTo(variable_list* list) const {
    list->insert(list->end(), {weight[0], weight[1], score_weight, state, cell, p});
    list->insert(list->end(), gates.begin(), gates.end());
  }
  static Tape From(variable_list::const_iterator begin, variable_list::const_iterator end) {
    return {{begin[0], begin[1]}, begin[2], begin[3], begin[4], begin[5], {begin + 6, end}};
  }
  const at::Tensor& product(const Sizes& sizes, int64_t step, int64_t i) const {
    return gates[static_cast<size_t>(step * sizes.products() + i) % gates.size()];
  }
};

// Block i of a packed tensor, [1, F, padded].
at::Tensor Block(const at::Tensor& packed, int64_t i) { return packed.narrow(0, i, 1); }

template <typename Real>
Real* Data(const at::Tensor& packed, int64_t i) {
  return packed.defined() ? packed.data_ptr<Real>() + i * packed.stride(0) : nullptr;
}

template <typename Real>
LstmStep<Real> StepOf(const Sizes& sizes, const Tape& tape, int64_t job, int64_t t) {
  const int64_t step = job * sizes.steps + t, state = job * (sizes.steps + 1) + t;
  LstmStep<Real> arrays;
  arrays.from_input = Data<Real>(tape.product(sizes, step, 0), 0);
  if (sizes.scored) arrays.from_hidden = Data<Real>(tape.product(sizes, step, 1), 0);
  arrays.score_weight = Data<Real>(tape.score_weight, job);
  arrays.cell_before = Data<Real>(tape.cell, state);
  arrays.p = Data<Real>(tape.p, step);
  arrays.hidden = Data<Real>(tape.state, state + 1) + sizes.inputs * sizes.padded;
  arrays.cell = Data<Real>(tape.cell, state + 1);
  return arrays;
}

// `keep`: all that the backward pass needs.
Tape Forward(const Sizes& sizes, const at::Tensor& input, const at::Tensor& weight,
             const at::Tensor& routing, bool keep) {
  const at::TensorOptions options = input.options();
  const int64_t steps = sizes.jobs * sizes.steps;
  Tape tape;
  for (int64_t i = 0; i < sizes.products(); ++i) {
    tape.weight[i] = weight.narrow(2, sizes.product_begin(i), sizes.product_width(i)).contiguous();
  }
  for (int64_t i = 0; i < sizes.products() * (keep ? steps : 1); ++i) {
    tape.gates.push_back(at::empty({1, sizes.rows, sizes.padded}, options));
  }
  tape.state = at::zeros({steps + sizes.jobs, sizes.width, sizes.padded}, options);
  tape.cell = at::zeros({steps + sizes.jobs, sizes.hidden, sizes.padded}, options);
  tape.p = at::zeros({steps, sizes.modules, sizes.padded}, options);
  Pack(sizes, input, tape.state);
  if (sizes.scored) {
    tape.score_weight = routing.contiguous();
  } else {
    Pack(sizes, routing, tape.p);
  }
  for (int64_t job = 0; job < sizes.jobs; ++job) {
    for (int64_t t = 0; t < sizes.steps; ++t) {
      const at::Tensor state = Block(tape.state, job * (sizes.steps + 1) + t);
      for (int64_t i = 0; i < sizes.products(); ++i) {
        at::Tensor gates = tape.product(sizes, job * sizes.steps + t, i);
        at::bmm_out(gates, Block(tape.weight[i], job),
                    state.narrow(1, sizes.product_begin(i), sizes.product_width(i)));
      }
      if (input.scalar_type() == at::kFloat) {
        LstmForward(sizes.kernel(), StepOf<float>(sizes, tape, job, t));
      } else {
        LstmForward(sizes.kernel(), StepOf<double>(sizes, tape, job, t));
      }
    }
  }
  return tape;
}

// Gradients, packed like what they belong to in Tape.
struct Gradients {
  at::Tensor weight[2];
  at::Tensor score_weight;
  at::Tensor state;   // [J N, E + h, padded]
  at::Tensor hidden;  // [J N, h, padded] of what each step gives; in and out
  at::Tensor p;
  at::Tensor gates[2];  // [1, 4 M h, padded] of one step
  at::Tensor cell;      // [1, h, padded] of one step
};

template <typename Real>
void BackwardStep(const Sizes& sizes, const Tape& tape, int64_t job, int64_t t,
                  const Gradients& gradients) {
  const int64_t step = job * sizes.steps + t;
  LstmStepGradient<Real> arrays;
  arrays.hidden = Data<Real>(gradients.hidden, step);
  arrays.cell = Data<Real>(gradients.cell, 0);
  arrays.from_input = Data<Real>(gradients.gates[0], 0);
  arrays.from_hidden = Data<Real>(gradients.gates[1], 0);
  arrays.p = Data<Real>(gradients.p, step);
  arrays.score_weight = Data<Real>(gradients.score_weight, job);
  LstmBackward(sizes.kernel(), StepOf<Real>(sizes, tape, job, t), arrays);
}

Gradients Backward(const Sizes& sizes, const Tape& tape, const at::Tensor& d_hidden) {
  const at::TensorOptions options = d_hidden.options();
  const int64_t steps = sizes.jobs * sizes.steps;
  Gradients gradients;
  for (int64_t i = 0; i < sizes.products(); ++i) {
    gradients.weight[i] = at::zeros_like(tape.weight[i]);
    gradients.gates[i] = at::empty({1, sizes.rows, sizes.padded}, options);
  }
  if (sizes.scored) gradients.score_weight = at::zeros_like(tape.score_weight);
  gradients.state = at::empty({steps, sizes.width, sizes.padded}, options);
  gradients.hidden = at::zeros({steps, sizes.hidden, sizes.padded}, options);
  gradients.p = at::empty({steps, sizes.modules, sizes.padded}, options);
  gradients.cell = at::empty({1, sizes.hidden, sizes.padded}, options);
  Pack(sizes, d_hidden, gradients.hidden);
  for (int64_t job = 0; job < sizes.jobs; ++job) {
    gradients.cell.zero_();
    for (int64_t t = sizes.steps - 1; t >= 0; --t) {
      if (options.dtype() == at::kFloat) {
        BackwardStep<float>(sizes, tape, job, t, gradients);
      } else {
        BackwardStep<double>(sizes, tape, job, t, gradients);
      }
      const at::Tensor state = Block(tape.state, job * (sizes.steps + 1) + t);
      const at::Tensor d_state = Block(gradients.state, job * sizes.steps + t);
      // The products of a step while its gradients are still in the cache.
      for (int64_t i = 0; i < sizes.products(); ++i) {
        const int64_t begin = sizes.product_begin(i), width = sizes.product_width(i);
        at::Tensor d_part = d_state.narrow(1, begin, width);
        at::bmm_out(d_part, Block(tape.weight[i], job).transpose(1, 2), gradients.gates[i]);
        Block(gradients.weight[i], job)
            .baddbmm_(gradients.gates[i], state.narrow(1, begin, width).transpose(1, 2));
      }
      if (t > 0) {
        Block(gradients.hidden, job * sizes.steps + t - 1)
            .add_(d_state.narrow(1, sizes.inputs, sizes.hidden));
      }
    }
  }
  return gradients;
}

class LstmFunction : public torch::autograd::Function<LstmFunction> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& input,
                               const at::Tensor& weight, const at::Tensor& routing, bool scored,
                               int64_t length) {
    const Sizes sizes(input, weight, routing, scored, length);
    const Tape tape = Forward(sizes, input, weight, routing, /*keep=*/true);
    variable_list saved = {input, weight, routing};
    tape.AppendTo(&saved);
    context->save_for_backward(std::move(saved));
    context->saved_data["scored"] = scored;
    context->saved_data["length"] = length;
    at::Tensor hidden = Unpack(sizes, tape.state, sizes.inputs, sizes.hidden, /*first=*/1);
    at::Tensor p = Unpack(sizes, tape.p, 0, sizes.modules);
    context->mark_non_differentiable({p});
    return {hidden, p};
  }

  static variable_list backward(AutogradContext* context, variable_list d_outputs) {
    const variable_list saved = context->get_saved_variables();
    const Sizes sizes(saved[0], saved[1], saved[2], context->saved_data["scored"].toBool(),
                      context->saved_data["length"].toInt());
    const Gradients gradients =
        Backward(sizes, Tape::From(saved.begin() + 3, saved.end()), d_outputs[0]);
    const at::Tensor weight =
        sizes.scored ? at::cat({gradients.weight[0], gradients.weight[1]}, 2) : gradients.weight[0];
    const at::Tensor routing =
        sizes.scored ? gradients.score_weight : Unpack(sizes, gradients.p, 0, sizes.modules);
    return {Unpack(sizes, gradients.state, 0, sizes.inputs), weight, routing, {}, {}};
  }
};

}  // namespace

LstmOutput Lstm(const LstmInput& in) {
  if (!in.input.is_cpu()) return ComposedLstm(in);
  const bool differentiated =
      at::GradMode::is_enabled() &&
      (in.input.requires_grad() || in.weight.requires_grad() || in.routing.requires_grad());
  LstmOutput output;
  if (differentiated) {
    variable_list outputs =
        LstmFunction::apply(in.input, in.weight, in.routing, in.scored, in.length);
    output = {outputs[0], outputs[1]};
  } else {
    at::NoGradGuard no_grad;
    const Sizes sizes(in.input, in.weight, in.routing, in.scored, in.length);
    const Tape tape = Forward(sizes, in.input, in.weight, in.routing, /*keep=*/false);
    output.hidden = Unpack(sizes, tape.state, sizes.inputs, sizes.hidden, /*first=*/1);
    output.p = Unpack(sizes, tape.p, 0, sizes.modules);
  }
  if (!in.scored) output.p = in.routing;
  return output;
}

LstmOutput ComposedLstm(const LstmInput& in) {
  const Sizes sizes(in.input, in.weight, in.routing, in.scored, in.length);
  const int64_t jobs = sizes.jobs, samples = sizes.samples;
  const at::Tensor of_input = in.weight.narrow(2, 0, sizes.inputs).contiguous();
  const at::Tensor of_hidden = in.weight.narrow(2, sizes.inputs, sizes.hidden).contiguous();
  at::Tensor hidden = at::zeros({jobs, sizes.hidden, samples}, in.input.options());
  at::Tensor cell = hidden;
  std::vector<at::Tensor> all_hidden, all_p;
  for (int64_t t = 0; t < sizes.steps; ++t) {
    const auto step = [&](const at::Tensor& x) {
      return x.narrow(2, t * samples, samples).contiguous();
    };
    // [J, M, 4h, B]
    const auto by_module = [&](const at::Tensor& x) {
      return x.view({jobs, sizes.modules, 4 * sizes.hidden, samples});
    };
    const at::Tensor from_input = by_module(at::bmm(of_input, step(in.input)));
    const at::Tensor from_hidden = by_module(at::bmm(of_hidden, hidden));
    at::Tensor p;
    if (in.scored) {
      const at::Tensor score =
          (at::relu(at::cat({from_input, from_hidden}, 2)) * in.routing.unsqueeze(-1)).sum(2);
      p = at::softmax(score, 1);
    } else {
      p = step(in.routing);
    }
    const std::vector<at::Tensor> gates = (from_input + from_hidden).chunk(4, 2);
    const at::Tensor cells = at::sigmoid(gates[1]) * cell.unsqueeze(1) +
                             at::sigmoid(gates[0]) * at::tanh(gates[3]);  // [J, M, h, B]
    const at::Tensor share = p.unsqueeze(2);
    hidden = (share * (at::sigmoid(gates[2]) * at::tanh(cells))).sum(1);
    cell = (share * cells).sum(1);
    all_hidden.push_back(hidden);
    all_p.push_back(in.scored ? p.detach() : p);
  }
  return {at::cat(all_hidden, 2), in.scored ? at::cat(all_p, 2) : in.routing};
}

}  // namespace modlab
