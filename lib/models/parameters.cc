#include "lib/models/parameters.h"

#include <c10/core/GradMode.h>

#include <cmath>
#include <utility>

#include "lib/rules/random_stream.h"

namespace modlab {

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

Parameters::Parameters(std::vector<ParameterSpec> specs, int64_t jobs,
                       const at::TensorOptions& options)
    : specs_(std::move(specs)), jobs_(jobs) {
  for (const ParameterSpec& spec : specs_) numbers_per_job_ += spec.size();
  flat_ = at::zeros({numbers_per_job_ * jobs_}, options);
  for (size_t i = 0; i < specs_.size(); ++i) {
    tensors_.push_back(Block(flat_, i, jobs_));
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
  flat_gradient_ = at::zeros_like(flat_);
  for (size_t i = 0; i < specs_.size(); ++i) {
    tensors_[i] = tensors_[i].detach();  // a leaf that shares the flat buffer
    tensors_[i].set_requires_grad(true);
    tensors_[i].mutable_grad() = Block(flat_gradient_, i, jobs_);
  }
}

at::Tensor Parameters::SpreadPerJob(const std::vector<double>& values) const {
  at::Tensor spread = at::empty_like(flat_);
  for (size_t i = 0; i < specs_.size(); ++i) {
    at::Tensor block = Block(spread, i, jobs_);
    for (int64_t j = 0; j < jobs_; ++j) block[j].fill_(values[j]);
  }
  return spread;
}

void Parameters::CopyJob(const at::Tensor& from, int64_t job, const at::Tensor& to) const {
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < specs_.size(); ++i) {
    Block(to, i, jobs_)[job].copy_(Block(from, i, jobs_)[job]);
  }
}

at::Tensor Parameters::SelectJobs(const at::Tensor& flat, const std::vector<int64_t>& keep) const {
  const auto kept = static_cast<int64_t>(keep.size());
  at::Tensor selected = at::empty({numbers_per_job_ * kept}, flat.options());
  for (size_t i = 0; i < specs_.size(); ++i) {
    const at::Tensor from = Block(flat, i, jobs_);
    at::Tensor to = Block(selected, i, kept);
    for (int64_t j = 0; j < kept; ++j) to[j].copy_(from[keep[j]]);
  }
  return selected;
}

at::Tensor Parameters::Block(const at::Tensor& flat, size_t spec, int64_t jobs) const {
  int64_t offset = 0;
  for (size_t i = 0; i < spec; ++i) offset += specs_[i].size() * jobs;
  std::vector<int64_t> shape = specs_[spec].shape;
  shape.insert(shape.begin(), jobs);
  return flat.narrow(0, offset, specs_[spec].size() * jobs).view(shape);
}

}  // namespace modlab
