#include "lib/models/attention.h"

#include <ATen/Dispatch.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "lib/models/job_tensor.h"
#include "lib/models/layer.h"
#include "lib/models/layer_kernel.h"
#include "lib/models/matrix.h"

namespace modlab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Sizes {
  Sizes(const at::Tensor& weight, const at::Tensor& tokens, const AttentionShape& shape,
        int64_t tile_samples)
      : jobs(tokens.size(0)),
        rows(weight.size(1)),
        inputs(weight.size(2)),
        columns(tokens.size(2)),
        samples(tile_samples),
        tile(tile_samples * shape.length) {}

  int64_t jobs, rows, inputs, columns;
  int64_t samples;  // of a tile
  int64_t tile;     // columns of it
};

// Calls visit(job, first column) for every tile.
template <typename Visit>
void ForEachTile(const Sizes& sizes, const Visit& visit) {
  for (int64_t job = 0; job < sizes.jobs; ++job) {
    for (int64_t t = 0; t < sizes.columns; t += sizes.tile) visit(job, t);
  }
}

// The projections of each job, [tiles, rows, columns of a tile]; or, where they are not kept,
// of the last tile. One tensor a job: the allocator returns what is too large to the system.
class Tape {
 public:
  explicit Tape(variable_list projections) : projections_(std::move(projections)) {}
  static Tape Make(const Sizes& sizes, bool keep, const at::TensorOptions& options) {
    variable_list projections;
    for (int64_t job = 0; job < (keep ? sizes.jobs : 1); ++job) {
      projections.push_back(
          at::empty({keep ? sizes.columns / sizes.tile : 1, sizes.rows, sizes.tile}, options));
    }
    return Tape(std::move(projections));
  }

  const variable_list& projections() const { return projections_; }

  template <typename Real>
  Matrix<Real> Projected(const Sizes& sizes, int64_t job, int64_t column) const {
    const at::Tensor& of = projections_[static_cast<size_t>(job) % projections_.size()];
    return {JobOf<Real>(of, column / sizes.tile % of.size(0)), sizes.tile};
  }

 private:
  variable_list projections_;
};

template <typename Real>
void Forward(const Sizes& sizes, const AttentionShape& shape, const AttentionInput& in,
             const Tape& tape, const at::Tensor& joined) {
  ForEachTile(sizes, [&](int64_t job, int64_t t) {
    const Matrix<Real> projected = tape.Projected<Real>(sizes, job, t);
    Multiply(sizes.rows, sizes.tile, sizes.inputs, MatrixOf<Real>(in.weight, job, 0),
             Matrix<const Real>{JobOf<Real>(in.tokens, job, t), sizes.columns}, Real{0}, projected);
    AddBias(sizes.rows, sizes.tile, sizes.tile, JobOf<Real>(in.bias, job), /*relu=*/false,
            projected.data);
    AttentionForward(shape, sizes.samples, projected.data, JobOf<Real>(joined, job, t),
                     sizes.columns);
  });
}

// The gradients of `in` are laid out as it is, and d_bias is zeros.
template <typename Real>
void Backward(const Sizes& sizes, const AttentionShape& shape, const AttentionInput& in,
              const Tape& tape, const at::Tensor& d_joined, const AttentionInput& gradient) {
  const at::Tensor of_projected = at::empty({sizes.rows, sizes.tile}, d_joined.options());
  const Matrix<Real> d_projected{of_projected.data_ptr<Real>(), sizes.tile};
  ForEachTile(sizes, [&](int64_t job, int64_t t) {
    AttentionBackward(shape, sizes.samples, tape.Projected<Real>(sizes, job, t).data,
                      JobOf<Real>(d_joined, job, t), sizes.columns, d_projected.data);
    AddRowSums(sizes.rows, sizes.tile, sizes.tile, d_projected.data,
               JobOf<Real>(gradient.bias, job));
    const Matrix<const Real> tokens{JobOf<Real>(in.tokens, job, t), sizes.columns};
    Multiply(sizes.rows, sizes.inputs, sizes.tile, d_projected, tokens.t(),
             t == 0 ? Real{0} : Real{1}, MatrixOf<Real>(gradient.weight, job, 0));
    Multiply(sizes.inputs, sizes.tile, sizes.rows, MatrixOf<Real>(in.weight, job, 0).t(),
             d_projected, Real{0},
             Matrix<Real>{JobOf<Real>(gradient.tokens, job, t), sizes.columns});
  });
}

class AttendFunction : public torch::autograd::Function<AttendFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& tokens, int64_t tile,
                            const AttentionShape& shape, bool keep) {
    const Sizes sizes(weight, tokens, shape, tile);
    const Tape tape = Tape::Make(sizes, keep, tokens.options());
    const at::Tensor joined =
        at::empty({sizes.jobs, shape.joined_rows(), sizes.columns}, tokens.options());
    AT_DISPATCH_FLOATING_TYPES(tokens.scalar_type(), "Attend", [&] {
      Forward<scalar_t>(sizes, shape, {weight, bias, tokens, tile}, tape, joined);
    });
    if (keep) {
      variable_list saved = {weight, bias, tokens};
      saved.insert(saved.end(), tape.projections().begin(), tape.projections().end());
      context->save_for_backward(std::move(saved));
    }
    context->saved_data["shape"] =
        std::vector<int64_t>{shape.modules, shape.heads, shape.width, shape.length, tile};
    return joined;
  }

  static variable_list backward(AutogradContext* context, variable_list d_outputs) {
    const std::vector<int64_t> kept = context->saved_data["shape"].toIntVector();
    const AttentionShape shape{kept[0], kept[1], kept[2], kept[3]};
    const variable_list saved = context->get_saved_variables();
    const AttentionInput in{saved[0], saved[1], saved[2], kept[4]};
    const Tape tape(variable_list(saved.begin() + 3, saved.end()));
    const AttentionInput gradient{LikeMatrices(in.weight), ZerosLike(in.bias),
                                  at::empty_like(in.tokens), kept[4]};
    AT_DISPATCH_FLOATING_TYPES(in.tokens.scalar_type(), "AttendBackward", [&] {
      Backward<scalar_t>(Sizes(in.weight, in.tokens, shape, in.tile), shape, in, tape,
                         ByJob(d_outputs[0]), gradient);
    });
    return {gradient.weight, gradient.bias, gradient.tokens, {}, {}, {}};
  }
};

// The same of what is projected, where all samples are one tile.
at::Tensor AttendToProjected(const at::Tensor& projected, const AttentionShape& shape) {
  const int64_t jobs = projected.size(0), columns = projected.size(2);
  const int64_t heads = shape.modules * shape.heads, width = shape.width, length = shape.length;
  const int64_t samples = columns / length, batches = jobs * heads * samples;
  const int64_t A = shape.queries();
  const auto part = [&](int64_t index) {  // [J heads, h, N, B]
    return projected.narrow(1, index * A, A).reshape({jobs * heads, width, length, samples});
  };
  const at::Tensor query = part(0).permute({0, 3, 2, 1}).reshape({batches, length, width});
  const at::Tensor key = part(1).permute({0, 3, 1, 2}).reshape({batches, width, length});
  const at::Tensor value = part(2).permute({0, 3, 2, 1}).reshape({batches, length, width});
  const at::Tensor itself = at::eye(length, projected.options()).to(at::kBool);
  const at::Tensor scores =
      at::bmm(query, key).masked_fill(itself, -std::numeric_limits<double>::infinity());
  const at::Tensor output = at::bmm(at::softmax(scores, -1), value)
                                .view({jobs * heads, samples, length, width})
                                .permute({0, 3, 2, 1})
                                .reshape({jobs, shape.modules, shape.heads * width, columns});
  const at::Tensor token = projected.narrow(1, 3 * A, shape.modules * width)
                               .reshape({jobs, shape.modules, width, columns});
  return at::cat({output, token}, 2).view({jobs, shape.joined_rows(), columns});
}

}  // namespace

at::Tensor Attend(const AttentionInput& in, const AttentionShape& shape) {
  if (!in.tokens.is_cpu()) return ComposedAttend(in, shape);
  const bool keep =
      at::GradMode::is_enabled() &&
      (in.weight.requires_grad() || in.bias.requires_grad() || in.tokens.requires_grad());
  return AttendFunction::apply(ByMatrix(in.weight), ByJob(in.bias), ByJob(in.tokens), in.tile,
                               shape, keep);
}

at::Tensor ComposedAttend(const AttentionInput& in, const AttentionShape& shape) {
  const at::Tensor projected = ComposedLayer({in.weight, in.bias, in.tokens, /*relu=*/false, {}});
  std::vector<at::Tensor> tiles;
  for (const at::Tensor& tile : projected.split(in.tile * shape.length, 2)) {
    tiles.push_back(AttendToProjected(tile, shape));
  }
  return at::cat(tiles, 2);
}

}  // namespace modlab
