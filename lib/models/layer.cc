#include "lib/models/layer.h"

#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "lib/models/job_tensor.h"
#include "lib/models/layer_kernel.h"
#include "lib/models/matrix.h"

namespace modlab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The part of a job that one product computes.
struct Piece {
  int64_t group;
  int64_t x;     // offset of its first number
  int64_t y;     // likewise
  int64_t rule;  // likewise
  int64_t columns;
};

struct Sizes {
  Sizes(const at::Tensor& weight, const at::Tensor& x, const at::Tensor& rule,
        const at::Tensor& columns)
      : jobs(weight.size(0)),
        groups(weight.dim() > 3 ? weight.size(1) : 1),
        outputs(weight.size(-2)),
        rules(rule.numel() > 0 ? rule.size(1) : 0),
        inputs(weight.size(-1) - rules),
        all_columns(x.size(2)),
        begins(columns.numel() > 0 ? columns.data_ptr<int64_t>() : nullptr) {}

  int64_t output_rows() const { return begins != nullptr ? outputs : groups * outputs; }

  template <typename Visit>
  void ForEachPiece(int64_t job, const Visit& visit) const {
    for (int64_t g = 0; g < groups; ++g) {
      if (begins != nullptr) {
        const int64_t* const begin = begins + job * (groups + 1) + g;
        visit(Piece{g, begin[0], begin[0], begin[0], begin[1] - begin[0]});
      } else {
        visit(Piece{g, g * inputs * all_columns, g * outputs * all_columns, 0, all_columns});
      }
    }
  }

  int64_t jobs, groups, outputs, rules, inputs, all_columns;
  const int64_t* begins;
};

// Columns that are worked on at once, so that what one pass writes is still in the cache
// for the next.
constexpr int64_t kBlock = 256;

// Calls visit(first column, columns) for each block of a piece.
template <typename Visit>
void ForEachBlock(int64_t columns, const Visit& visit) {
  for (int64_t t = 0; t < columns; t += kBlock) visit(t, std::min(kBlock, columns - t));
}

template <typename Real>
void Forward(const Sizes& sizes, const at::Tensor& weight, const at::Tensor& bias,
             const at::Tensor& x, const at::Tensor& rule, bool relu, const at::Tensor& y) {
  const int64_t stride = sizes.all_columns;
  for (int64_t job = 0; job < sizes.jobs; ++job) {
    sizes.ForEachPiece(job, [&](const Piece& piece) {
      const Matrix<const Real> of_weight = MatrixOf<Real>(weight, job, piece.group);
      const Real* const of_bias = JobOf<Real>(bias, job, piece.group * sizes.outputs);
      ForEachBlock(piece.columns, [&](int64_t t, int64_t columns) {
        Real* const to = JobOf<Real>(y, job, piece.y + t);
        Multiply(sizes.outputs, columns, sizes.inputs, of_weight,
                 Matrix<const Real>{JobOf<Real>(x, job, piece.x + t), stride}, Real{0},
                 Matrix<Real>{to, stride});
        if (sizes.rules > 0) {
          Multiply(sizes.outputs, columns, sizes.rules, of_weight.From(0, sizes.inputs),
                   Matrix<const Real>{JobOf<Real>(rule, job, piece.rule + t), stride}, Real{1},
                   Matrix<Real>{to, stride});
        }
        if (of_bias != nullptr || relu) {
          AddBias(sizes.outputs, columns, stride, of_bias, relu, to);
        }
      });
    });
  }
}

// `d_bias` and `d_x` may be empty, and y where there is no ReLU. d_weight and d_bias are
// zeros.
template <typename Real>
void Backward(const Sizes& sizes, const at::Tensor& weight, const at::Tensor& x,
              const at::Tensor& rule, const at::Tensor& y, const at::Tensor& d_y,
              const at::Tensor& d_weight, const at::Tensor& d_bias, const at::Tensor& d_x) {
  const int64_t stride = sizes.all_columns;
  const bool relu = y.numel() > 0;
  const at::Tensor bent = at::empty({relu ? sizes.outputs * kBlock : 0}, x.options());
  for (int64_t job = 0; job < sizes.jobs; ++job) {
    sizes.ForEachPiece(job, [&](const Piece& piece) {
      const Matrix<const Real> of_weight = MatrixOf<Real>(weight, job, piece.group);
      const Matrix<Real> to_weight = MatrixOf<Real>(d_weight, job, piece.group);
      Real* const to_bias = JobOf<Real>(d_bias, job, piece.group * sizes.outputs);
      ForEachBlock(piece.columns, [&](int64_t t, int64_t columns) {
        const Real* const from = JobOf<Real>(d_y, job, piece.y + t);
        Matrix<const Real> d_z{from, stride};
        if (relu) {
          Real* const to = bent.data_ptr<Real>();
          BendGradient(sizes.outputs, columns, stride, JobOf<Real>(y, job, piece.y + t), from, to);
          d_z = {to, columns};
        }
        if (to_bias != nullptr) {
          AddRowSums(sizes.outputs, columns, d_z.stride, d_z.data, to_bias);
        }
        const Matrix<const Real> of_x{JobOf<Real>(x, job, piece.x + t), stride};
        const Real earlier = t == 0 ? Real{0} : Real{1};
        Multiply(sizes.outputs, sizes.inputs, columns, d_z, of_x.t(), earlier, to_weight);
        if (sizes.rules > 0) {
          const Matrix<const Real> of_rule{JobOf<Real>(rule, job, piece.rule + t), stride};
          Multiply(sizes.outputs, sizes.rules, columns, d_z, of_rule.t(), earlier,
                   to_weight.From(0, sizes.inputs));
        }
        if (d_x.numel() == 0) return;
        Multiply(sizes.inputs, columns, sizes.outputs, of_weight.t(), d_z, Real{0},
                 Matrix<Real>{JobOf<Real>(d_x, job, piece.x + t), stride});
      });
    });
  }
}

class LayerFunction : public torch::autograd::Function<LayerFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& x, bool relu,
                            const at::Tensor& columns, const at::Tensor& rule) {
    const Sizes sizes(weight, x, rule, columns);
    const at::Tensor y =
        at::empty({sizes.jobs, sizes.output_rows(), sizes.all_columns}, x.options());
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "Layer",
                               [&] { Forward<scalar_t>(sizes, weight, bias, x, rule, relu, y); });
    context->save_for_backward(
        {weight, bias, x, relu ? y : at::empty({0}, y.options()), columns, rule});
    context->saved_data["of_x"] = x.requires_grad();
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list d_outputs) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &weight = saved[0], &x = saved[2], &rule = saved[5];
    const Sizes sizes(weight, x, rule, saved[4]);
    const at::Tensor d_y = ByJob(d_outputs[0]);
    // A group without columns is left alone.
    const at::Tensor d_weight =
        sizes.begins != nullptr ? LikeMatrices(weight).zero_() : LikeMatrices(weight);
    const at::Tensor d_bias = ZerosLike(saved[1]);
    const at::Tensor d_x =
        context->saved_data["of_x"].toBool() ? at::empty_like(x) : at::empty({0}, x.options());
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "LayerBackward", [&] {
      Backward<scalar_t>(sizes, weight, x, rule, saved[3], d_y, d_weight, d_bias, d_x);
    });
    return {d_weight, Given(d_bias), Given(d_x), {}, {}, {}};
  }
};

}  // namespace

at::Tensor Layer(const LayerInput& in) {
  if (!in.x.is_cpu()) return ComposedLayer(in);
  return LayerFunction::apply(ByMatrix(in.weight), Argument(in.bias, in.x), ByJob(in.x), in.relu,
                              in.columns.defined() ? in.columns : at::empty({0}, at::kLong),
                              Argument(in.rule, in.x));
}

at::Tensor ComposedLayer(const LayerInput& in) {
  const int64_t jobs = in.x.size(0), columns = in.x.size(2);
  const int64_t inputs = in.weight.size(-1), outputs = in.weight.size(-2);
  const at::Tensor weight = in.weight.reshape({-1, outputs, inputs});
  at::Tensor x = in.x;
  if (in.rule.defined()) {
    const int64_t rules = in.rule.size(1), groups = weight.size(0) / jobs;
    x = at::cat({x.reshape({jobs, groups, inputs - rules, columns}),
                 in.rule.unsqueeze(1).expand({jobs, groups, rules, columns})},
                2);
  }
  x = x.reshape({-1, inputs, columns});
  const at::Tensor y = in.bias.defined() ? at::baddbmm(in.bias.reshape({-1, outputs, 1}), weight, x)
                                         : at::bmm(weight, x);
  return (in.relu ? at::relu(y) : y).view({jobs, -1, columns});
}

}  // namespace modlab
