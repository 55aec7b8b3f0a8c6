#include "lib/models/parameters.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <utility>

#include "lib/models/job_tensor.h"
#include "lib/rules/random_stream.h"

namespace modlab {
namespace {

int64_t NumbersPerJob(const std::vector<ParameterSpec>& specs) {
  int64_t numbers = 0;
  for (const ParameterSpec& spec : specs) numbers += spec.size();
  return numbers;
}

}  // namespace

int64_t ParameterSpec::size() const {
  int64_t size = 1;
  for (int64_t extent : shape) size *= extent;
  return size;
}

void AddLinear(const std::string& name, int64_t in, int64_t out, std::vector<ParameterSpec>* specs,
               bool bias) {
  specs->push_back({name + ".weight", {out, in}, in});
  if (bias) specs->push_back({name + ".bias", {out}, in});
}

void AddGroupLinear(const std::string& name, int64_t groups, int64_t in, int64_t out,
                    std::vector<ParameterSpec>* specs) {
  specs->push_back({name + ".w", {groups, in, out}, in});
  specs->push_back({name + ".b", {1, groups, out}, in});
}

at::Tensor SelectJobs(const at::Tensor& tensor, const std::vector<int64_t>& keep) {
  return tensor.index_select(0, at::tensor(keep, tensor.options().dtype(at::kLong)));
}

Parameters::Parameters(std::vector<ParameterSpec> specs, int64_t jobs,
                       const at::TensorOptions& options)
    : Parameters(specs, at::zeros({jobs, NumbersPerJob(specs)}, options)) {}

Parameters::Parameters(std::vector<ParameterSpec> specs, at::Tensor flat)
    : specs_(std::move(specs)), flat_(std::move(flat)) {
  int64_t offset = 0;
  for (size_t i = 0; i < specs_.size(); ++i) {
    offsets_.push_back(offset);
    offset += specs_[i].size();
    tensors_.push_back(Block(flat_, i));
    index_.emplace(specs_[i].name, i);
  }
}

const at::Tensor& Parameters::at(const std::string& name) const {
  return tensors_[index_.at(name)];
}

void Parameters::Initialise(int64_t index, const v1::JobConfig& config) {
  const StreamKey key{StreamPurpose::kInitialWeights, static_cast<uint32_t>(config.data_seed()),
                      static_cast<uint32_t>(config.model_seed())};
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < specs_.size(); ++i) {
    at::Tensor unit = at::empty(specs_[i].shape, at::kFloat);
    FillUniform(key, i, /*lane=*/0, specs_[i].size(), unit.data_ptr<float>());
    const double bound = 1.0 / std::sqrt(static_cast<double>(specs_[i].fan_in));
    tensors_[i][index].copy_(unit.mul_(2.0 * bound).sub_(bound));
  }
}

void Parameters::RequireGradients() {
  for (at::Tensor& tensor : tensors_) {
    tensor = tensor.detach();  // a leaf that shares the flat buffer
    tensor.set_requires_grad(true);
  }
}

std::vector<at::Tensor> Parameters::Differentiate(const at::Tensor& output,
                                                  const at::Tensor& gradient) const {
  std::vector<at::Tensor> gradients =
      torch::autograd::grad({output}, tensors_, {gradient}, /*retain_graph=*/false,
                            /*create_graph=*/false, /*allow_unused=*/true);
  for (size_t i = 0; i < gradients.size(); ++i) {
    gradients[i] = gradients[i].defined() ? ByJob(gradients[i])
                                          : at::zeros(tensors_[i].sizes(), flat_.options());
  }
  return gradients;
}

Parameters Parameters::Jobs(int64_t first, int64_t jobs) const {
  Parameters some(specs_, flat_.narrow(0, first, jobs));
  if (tensors_.front().requires_grad()) some.RequireGradients();
  return some;
}

at::Tensor Parameters::Block(const at::Tensor& flat, size_t spec) const {
  std::vector<int64_t> shape = specs_[spec].shape;
  shape.insert(shape.begin(), flat.size(0));
  return flat.narrow(1, offsets_[spec], specs_[spec].size()).view(shape);
}

}  // namespace modlab
