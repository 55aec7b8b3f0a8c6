// The trained numbers of a gang: every tensor has a leading jobs axis, and all
// of them lie in one flat buffer, so that the optimizer is one pass.

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

// Not thread-safe. Copies share storage, as tensors do.
class Parameters {
 public:
  // Zeros for `jobs` jobs.
  Parameters(std::vector<ParameterSpec> specs, int64_t jobs, const at::TensorOptions& options);

  int64_t jobs() const { return jobs_; }
  const std::vector<ParameterSpec>& specs() const { return specs_; }

  // The tensor [jobs, shape...]. `name` must be one of specs().
  const at::Tensor& at(const std::string& name) const;
  // In the order of specs().
  const std::vector<at::Tensor>& tensors() const { return tensors_; }

  // Draws the initial values of job `index` from its seeds.
  void Initialise(int64_t index, const v1::JobConfig& config);

  // Everything in one row: each spec's [jobs, shape...] block after the other.
  const at::Tensor& flat() const { return flat_; }
  // Laid out as flat().
  const at::Tensor& flat_gradient() const { return flat_gradient_; }
  // From now on backward() adds into flat_gradient().
  void RequireGradients();

  // Tensor `spec` of specs(), [jobs, shape...], within a buffer laid out as flat().
  at::Tensor Block(const at::Tensor& flat, size_t spec) const { return Block(flat, spec, jobs_); }

  // A buffer laid out as flat() that holds values[j] wherever job j's numbers are.
  at::Tensor SpreadPerJob(const std::vector<double>& values) const;

  // Copies the numbers of job `job` from one buffer laid out as flat() to another.
  void CopyJob(const at::Tensor& from, int64_t job, const at::Tensor& to) const;

  // Copies the numbers of the jobs `keep` of a buffer laid out as flat() to a
  // buffer for a gang of just these.
  at::Tensor SelectJobs(const at::Tensor& flat, const std::vector<int64_t>& keep) const;

 private:
  at::Tensor Block(const at::Tensor& flat, size_t spec, int64_t jobs) const;

  std::vector<ParameterSpec> specs_;
  int64_t jobs_;
  int64_t numbers_per_job_ = 0;
  at::Tensor flat_;
  at::Tensor flat_gradient_;
  std::vector<at::Tensor> tensors_;
  absl::flat_hash_map<std::string, size_t> index_;
};

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_PARAMETERS_H_
