#include "lib/models/lstm.h"

#include <ATen/Dispatch.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "lib/models/job_tensor.h"
#include "lib/models/lstm_kernel.h"
#include "lib/models/lstm_sorted.h"
#include "lib/models/matrix.h"

namespace modlab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Samples that go through all steps together: what a step computes of them stays in the
// cache.
constexpr int64_t kTile = 64;

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
        tiles((samples + kTile - 1) / kTile),
        tile((samples + tiles * kLstmSamples - 1) / (tiles * kLstmSamples) * kLstmSamples),
        scored(is_scored) {}

  // The scores need what comes of the input and what comes of the hidden state:
  // two products. Otherwise one does.
  int64_t products() const { return scored ? 2 : 1; }
  int64_t product_begin(int64_t i) const { return i == 0 ? 0 : inputs; }
  int64_t product_width(int64_t i) const { return !scored ? width : i == 0 ? inputs : hidden; }
  // Of all samples [0, samples), those of a tile.
  int64_t count(int64_t of_tile) const {
    return std::max(int64_t{0}, std::min(tile, samples - of_tile * tile));
  }
  LstmSizes kernel() const { return {modules, hidden, tile}; }

  int64_t jobs, modules, inputs;
  int64_t rows;   // 4 M h
  int64_t width;  // E + h
  int64_t hidden, steps, samples;
  int64_t tiles;
  int64_t tile;  // samples of one; columns of zeros where there are no more
  bool scored;
};

// Packed tensors are [J, tiles, steps, F, tile].
at::Tensor Zeros(const Sizes& sizes, int64_t steps, int64_t features,
                 const at::TensorOptions& options) {
  return at::zeros({sizes.jobs, sizes.tiles, steps, features, sizes.tile}, options);
}

// The matrix [F, tile] of a step.
template <typename Real>
Matrix<Real> StepOf(const at::Tensor& packed, int64_t job, int64_t tile, int64_t step) {
  return {packed.data_ptr<Real>() + job * packed.stride(0) + tile * packed.stride(1) +
              step * packed.stride(2),
          packed.size(4)};
}

// Calls visit(numbers of [J, F, T], numbers of `packed`, how many) for each run of
// numbers that lie together in both: row f there is row `row` + f here, and step t step
// `step` + t.
template <typename Real, typename Visit>
void ForEachRun(const Sizes& sizes, const at::Tensor& features, const at::Tensor& packed,
                int64_t row, int64_t step, const Visit& visit) {
  const int64_t count = features.size(1), columns = sizes.steps * sizes.samples;
  for (int64_t job = 0; job < sizes.jobs; ++job) {
    for (int64_t tile = 0; tile < sizes.tiles; ++tile) {
      for (int64_t t = 0; t < sizes.steps; ++t) {
        Real* in_packed = StepOf<Real>(packed, job, tile, step + t).From(row, 0).data;
        Real* in_features = JobOf<Real>(features, job, t * sizes.samples + tile * sizes.tile);
        for (int64_t f = 0; f < count; ++f) {
          visit(in_features, in_packed, sizes.count(tile));
          in_features += columns;
          in_packed += sizes.tile;
        }
      }
    }
  }
}

template <typename Real>
void Pack(const Sizes& sizes, const at::Tensor& features, const at::Tensor& packed) {
  ForEachRun<Real>(sizes, features, packed, 0, 0,
                   [](const Real* from, Real* to, int64_t count) { std::copy_n(from, count, to); });
}

// The way back, of rows [row, row + features) and steps from `step` on.
template <typename Real>
at::Tensor Unpack(const Sizes& sizes, const at::Tensor& packed, int64_t row, int64_t features,
                  int64_t step) {
  at::Tensor unpacked =
      at::empty({sizes.jobs, features, sizes.steps * sizes.samples}, packed.options());
  ForEachRun<Real>(sizes, unpacked, packed, row, step,
                   [](Real* to, const Real* from, int64_t count) { std::copy_n(from, count, to); });
  return unpacked;
}

// What the forward pass computes and the backward pass looks up.
struct Tape {
  at::Tensor weight;        // [J, 4 M h, E + h]
  at::Tensor score_weight;  // [J, M, 8h]; empty if p is given
  at::Tensor state;         // [.., N + 1, E + h, tile] input, and hidden state before it
  at::Tensor cell;          // [.., N + 1, h, tile] before every step, and after the last
  at::Tensor p;             // [.., N, M, tile]
  // The products of each job and tile, [1, 1, N products, 4 M h, tile]; or of the last
  // step alone. Most of the memory; the allocator returns what is too large to the
  // system, so they are not one tensor.
  std::vector<at::Tensor> gates;

  void AppendTo(variable_list* list) const {
    list->insert(list->end(), {weight, score_weight, state, cell, p});
    list->insert(list->end(), gates.begin(), gates.end());
  }
  static Tape From(variable_list::const_iterator begin, variable_list::const_iterator end) {
    return {begin[0], begin[1], begin[2], begin[3], begin[4], {begin + 5, end}};
  }
  template <typename Real>
  Matrix<Real> product(const Sizes& sizes, int64_t job, int64_t tile, int64_t t, int64_t i) const {
    const at::Tensor& of = gates[static_cast<size_t>(job * sizes.tiles + tile) % gates.size()];
    return StepOf<Real>(of, 0, 0, (t * sizes.products() + i) % of.size(2));
  }
};

template <typename Real>
LstmStep<Real> KernelStep(const Sizes& sizes, const Tape& tape, int64_t job, int64_t tile,
                          int64_t t) {
  LstmStep<Real> arrays;
  arrays.from_input = tape.product<Real>(sizes, job, tile, t, 0).data;
  if (sizes.scored) arrays.from_hidden = tape.product<Real>(sizes, job, tile, t, 1).data;
  arrays.score_weight = JobOf<Real>(tape.score_weight, job);
  arrays.cell_before = StepOf<Real>(tape.cell, job, tile, t).data;
  arrays.p = StepOf<Real>(tape.p, job, tile, t).data;
  arrays.hidden = StepOf<Real>(tape.state, job, tile, t + 1).From(sizes.inputs, 0).data;
  arrays.cell = StepOf<Real>(tape.cell, job, tile, t + 1).data;
  return arrays;
}

// `keep`: all that the backward pass needs.
template <typename Real>
Tape Forward(const Sizes& sizes, const at::Tensor& input, const at::Tensor& weight,
             const at::Tensor& routing, bool keep) {
  const at::TensorOptions options = input.options();
  Tape tape;
  tape.weight = ByJob(weight);
  tape.score_weight = sizes.scored ? ByJob(routing) : at::empty({0}, options);
  for (int64_t i = 0; i < (keep ? sizes.jobs * sizes.tiles : 1); ++i) {
    tape.gates.push_back(at::empty(
        {1, 1, sizes.products() * (keep ? sizes.steps : 1), sizes.rows, sizes.tile}, options));
  }
  tape.state = Zeros(sizes, sizes.steps + 1, sizes.width, options);
  tape.cell = Zeros(sizes, sizes.steps + 1, sizes.hidden, options);
  tape.p = Zeros(sizes, sizes.steps, sizes.modules, options);
  Pack<Real>(sizes, ByJob(input), tape.state);
  if (!sizes.scored) Pack<Real>(sizes, ByJob(routing), tape.p);
  for (int64_t job = 0; job < sizes.jobs; ++job) {
    const Matrix<const Real> of_weight{JobOf<Real>(tape.weight, job), sizes.width};
    for (int64_t tile = 0; tile < sizes.tiles; ++tile) {
      for (int64_t t = 0; t < sizes.steps; ++t) {
        const Matrix<const Real> state = StepOf<Real>(tape.state, job, tile, t);
        for (int64_t i = 0; i < sizes.products(); ++i) {
          const int64_t begin = sizes.product_begin(i);
          Multiply(sizes.rows, sizes.tile, sizes.product_width(i), of_weight.From(0, begin),
                   state.From(begin, 0), Real{0}, tape.product<Real>(sizes, job, tile, t, i));
        }
        LstmForward(sizes.kernel(), KernelStep<Real>(sizes, tape, job, tile, t));
      }
    }
  }
  return tape;
}

// Gradients by what is named alike in Tape.
struct Gradients {
  at::Tensor weight;
  at::Tensor score_weight;
  at::Tensor state;   // [.., N, E + h, tile]
  at::Tensor hidden;  // [.., N, h, tile] of what each step gives; in and out
  at::Tensor p;
};

template <typename Real>
Gradients Backward(const Sizes& sizes, const Tape& tape, const at::Tensor& d_hidden) {
  const at::TensorOptions options = d_hidden.options();
  Gradients gradients;
  gradients.weight = at::zeros(tape.weight.sizes(), options);
  std::vector<int64_t> in_parts = tape.score_weight.sizes().vec();
  in_parts.push_back(kLstmSamples);
  const at::Tensor score_weight = at::zeros(in_parts, options);
  gradients.state = Zeros(sizes, sizes.steps, sizes.width, options);
  gradients.hidden = Zeros(sizes, sizes.steps, sizes.hidden, options);
  gradients.p = Zeros(sizes, sizes.steps, sizes.modules, options);
  Pack<Real>(sizes, ByJob(d_hidden), gradients.hidden);
  const at::Tensor of_cells = at::empty({2, sizes.hidden, sizes.tile}, options);
  const at::Tensor of_gates = at::empty({1, 1, sizes.products(), sizes.rows, sizes.tile}, options);
  for (int64_t job = 0; job < sizes.jobs; ++job) {
    const Matrix<const Real> weight{JobOf<Real>(tape.weight, job), sizes.width};
    const Matrix<Real> d_weight{JobOf<Real>(gradients.weight, job), sizes.width};
    for (int64_t tile = 0; tile < sizes.tiles; ++tile) {
      of_cells.zero_();
      Real* of_cell = of_cells.data_ptr<Real>();
      Real* of_cell_before = of_cell + sizes.hidden * sizes.tile;
      for (int64_t t = sizes.steps - 1; t >= 0; --t) {
        LstmStepGradient<Real> arrays;
        arrays.hidden = StepOf<Real>(gradients.hidden, job, tile, t).data;
        arrays.cell = of_cell;
        arrays.cell_before = of_cell_before;
        arrays.from_input = StepOf<Real>(of_gates, 0, 0, 0).data;
        if (sizes.scored) arrays.from_hidden = StepOf<Real>(of_gates, 0, 0, 1).data;
        arrays.p = StepOf<Real>(gradients.p, job, tile, t).data;
        arrays.score_weight = JobOf<Real>(score_weight, job);
        LstmBackward(sizes.kernel(), KernelStep<Real>(sizes, tape, job, tile, t), arrays);
        std::swap(of_cell, of_cell_before);

        const Matrix<const Real> state = StepOf<Real>(tape.state, job, tile, t);
        const Matrix<Real> d_state = StepOf<Real>(gradients.state, job, tile, t);
        for (int64_t i = 0; i < sizes.products(); ++i) {
          const int64_t begin = sizes.product_begin(i), width = sizes.product_width(i);
          const Matrix<const Real> d_gates = StepOf<Real>(of_gates, 0, 0, i);
          Multiply(width, sizes.tile, sizes.rows, weight.From(0, begin).t(), d_gates, Real{0},
                   d_state.From(begin, 0));
          Multiply(sizes.rows, width, sizes.tile, d_gates, state.From(begin, 0).t(), Real{1},
                   d_weight.From(0, begin));
        }
        if (t == 0) continue;
        const Real* const from = d_state.From(sizes.inputs, 0).data;
        Real* const to = StepOf<Real>(gradients.hidden, job, tile, t - 1).data;
        for (int64_t i = 0; i < sizes.hidden * sizes.tile; ++i) to[i] += from[i];
      }
    }
  }
  gradients.score_weight = score_weight.sum(-1);
  return gradients;
}

class LstmFunction : public torch::autograd::Function<LstmFunction> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& input,
                               const at::Tensor& weight, const at::Tensor& routing, bool scored,
                               int64_t length, bool keep) {
    const Sizes sizes(input, weight, routing, scored, length);
    at::Tensor hidden, p;
    AT_DISPATCH_FLOATING_TYPES(input.scalar_type(), "Lstm", [&] {
      const Tape tape = Forward<scalar_t>(sizes, input, weight, routing, keep);
      hidden = Unpack<scalar_t>(sizes, tape.state, sizes.inputs, sizes.hidden, /*step=*/1);
      p = scored ? Unpack<scalar_t>(sizes, tape.p, 0, sizes.modules, 0) : routing.detach();
      if (keep) {
        variable_list saved = {input, weight, routing};
        tape.AppendTo(&saved);
        context->save_for_backward(std::move(saved));
      }
    });
    context->saved_data["scored"] = scored;
    context->saved_data["length"] = length;
    context->mark_non_differentiable({p});
    return {hidden, p};
  }

  static variable_list backward(AutogradContext* context, variable_list d_outputs) {
    const variable_list saved = context->get_saved_variables();
    const Sizes sizes(saved[0], saved[1], saved[2], context->saved_data["scored"].toBool(),
                      context->saved_data["length"].toInt());
    const Tape tape = Tape::From(saved.begin() + 3, saved.end());
    at::Tensor input, routing, weight;
    AT_DISPATCH_FLOATING_TYPES(d_outputs[0].scalar_type(), "LstmBackward", [&] {
      const Gradients gradients = Backward<scalar_t>(sizes, tape, d_outputs[0]);
      input = Unpack<scalar_t>(sizes, gradients.state, 0, sizes.inputs, 0);
      weight = gradients.weight;
      routing = sizes.scored ? gradients.score_weight
                             : Unpack<scalar_t>(sizes, gradients.p, 0, sizes.modules, 0);
    });
    return {input, weight, routing, {}, {}, {}};
  }
};

}  // namespace

LstmOutput Lstm(const LstmInput& in) {
  if (!in.input.is_cpu()) return ComposedLstm(in);
  if (in.one_hot) return {SortedLstm(in), in.routing};
  const bool keep =
      at::GradMode::is_enabled() &&
      (in.input.requires_grad() || in.weight.requires_grad() || in.routing.requires_grad());
  const variable_list outputs =
      LstmFunction::apply(in.input, in.weight, in.routing, in.scored, in.length, keep);
  return {outputs[0], in.scored ? outputs[1] : in.routing};
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
