// The trained numbers of a gang: every tensor has a leading jobs axis, and all
// of them lie in one flat buffer, so that the optimizer is one pass. A job's numbers
// lie together, so that some jobs of a gang are a gang of their own without a copy.

#ifndef MODLAB_LIB_MODELS_PARAMETERS_H_
#define MODLAB_LIB_MODELS_PARAMETERS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// One tensor of a model, without the jobs axis.
struct ParameterSpec {
  // As in the paper's published code, e.g. "MLP.0.w".
  std::string name;
  std::vector<int64_t> shape;
  // Initial values are uniform on +-1/sqrt(fan_in). (section 2)
  int64_t fan_in = 1;

  int64_t size() const;
};

// Adds weight [out, in] and, unless without, bias [out] of a linear layer, named as PyTorch does.
void AddLinear(const std::string& name, int64_t in, int64_t out, std::vector<ParameterSpec>* specs,
               bool bias = true);

// Adds w [groups, in, out] and b [1, groups, out] of a linear layer per group.
void AddGroupLinear(const std::string& name, int64_t groups, int64_t in, int64_t out,
                    std::vector<ParameterSpec>* specs);

// A copy of the rows `keep` of a tensor with a leading jobs axis.
at::Tensor SelectJobs(const at::Tensor& tensor, const std::vector<int64_t>& keep);

// Not thread-safe. Copies share storage, as tensors do.
class Parameters {
 public:
  // Zeros for `jobs` jobs.
  Parameters(std::vector<ParameterSpec> specs, int64_t jobs, const at::TensorOptions& options);

  int64_t jobs() const { return flat_.size(0); }
  const std::vector<ParameterSpec>& specs() const { return specs_; }

  // The tensor [jobs, shape...]; each job's part is contiguous. `name` must be one of
  // specs().
  const at::Tensor& at(const std::string& name) const;
  // In the order of specs().
  const std::vector<at::Tensor>& tensors() const { return tensors_; }

  // Draws the initial values of job `index` from its seeds.
  void Initialise(int64_t index, const v1::JobConfig& config);

  // [jobs, numbers of a job]: in a row each spec's block after the other.
  const at::Tensor& flat() const { return flat_; }
  // From now on whatever is computed with tensors() can be differentiated.
  void RequireGradients();
  // The gradients of a scalar by `output`, which was computed since, are `gradient`: those by
  // tensors(), in their order and of their sizes, each job's part contiguous. Some may share
  // storage: do not write into them.
  std::vector<at::Tensor> Differentiate(const at::Tensor& output, const at::Tensor& gradient) const;

  // The jobs [first, first + jobs), which share the numbers of this.
  Parameters Jobs(int64_t first, int64_t jobs) const;

  // Tensor `spec` of specs(), [jobs, shape...], within a buffer laid out as flat().
  at::Tensor Block(const at::Tensor& flat, size_t spec) const;

 private:
  // `flat` [jobs, numbers of a job] is not copied.
  Parameters(std::vector<ParameterSpec> specs, at::Tensor flat);

  std::vector<ParameterSpec> specs_;
  std::vector<int64_t> offsets_;  // of each spec in a row
  at::Tensor flat_;
  std::vector<at::Tensor> tensors_;
  absl::flat_hash_map<std::string, size_t> index_;
};

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_PARAMETERS_H_
