#include "lib/train/weights.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/models/model.h"
#include "lib/train/device.h"
#include "lib/train/evaluation.h"
#include "lib/train/guard.h"
#include "lib/train/sampler.h"
#include "lib/train/trainer.h"

namespace modlab {
namespace {

// Saved with every published RNN that scores its modules, and used by none.
constexpr char kUnusedName[] = "rnn.scorer.1.b";

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

const NamedArray* Find(const std::vector<NamedArray>& tensors, const std::string& name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const NamedArray& array) { return array.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

absl::Status CheckNames(const TensorFile& weights, const Parameters& parameters) {
  for (const NamedArray& array : weights.tensors) {
    const auto& specs = parameters.specs();
    const bool known = array.name == kUnusedName ||
                       std::any_of(specs.begin(), specs.end(), [&](const ParameterSpec& spec) {
                         return spec.name == array.name;
                       });
    if (known) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("tensor \"", array.name, "\" of shape ", ShapeText(array.shape),
                     " is none of this config's model; allowed: ",
                     absl::StrJoin(specs, ", ", [](std::string* out, const ParameterSpec& spec) {
                       absl::StrAppend(out, spec.name);
                     })));
  }
  return absl::OkStatus();
}

}  // namespace

void AppendTensors(absl::string_view prefix, const Parameters& parameters, const at::Tensor& flat,
                   int64_t job, std::vector<NamedArray>* tensors) {
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters.specs().size(); ++i) {
    const ParameterSpec& spec = parameters.specs()[i];
    const at::Tensor values = parameters.Block(flat, i)[job].to(at::kCPU).contiguous();
    const auto* numbers = values.data_ptr<float>();
    tensors->push_back(
        {absl::StrCat(prefix, spec.name), spec.shape, {numbers, numbers + values.numel()}});
  }
}

absl::Status CopyTensors(const std::vector<NamedArray>& tensors, absl::string_view prefix,
                         const Parameters& parameters, int64_t job, const at::Tensor& flat) {
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters.specs().size(); ++i) {
    const ParameterSpec& spec = parameters.specs()[i];
    const std::string name = absl::StrCat(prefix, spec.name);
    const NamedArray* array = Find(tensors, name);
    if (array == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor \"", name, "\" of shape ", ShapeText(spec.shape), " is missing"));
    }
    if (array->shape != spec.shape) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor \"", name, "\" has shape ", ShapeText(array->shape),
                       "; this config needs ", ShapeText(spec.shape)));
    }
    const at::Tensor values =
        at::tensor(at::ArrayRef<float>(array->values), at::kFloat).view(spec.shape);
    parameters.Block(flat, i)[job].copy_(values);
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::JobResult> EvaluateWeights(const v1::JobConfig& canonical,
                                              const TensorFile& weights, absl::string_view device) {
  const absl::StatusOr<std::string> resolved = ResolveDevice(device);
  if (!resolved.ok()) return resolved.status();
  v1::JobResult result;
  const absl::Status status = Guard([&] {
    const std::unique_ptr<Model> model = MakeModel(canonical);
    const at::Device at_device(*resolved);
    Parameters parameters(model->Specs(), 1,
                          at::TensorOptions().dtype(at::kFloat).device(at_device));
    absl::Status read = CheckNames(weights, parameters);
    if (read.ok()) read = CopyTensors(weights.tensors, "", parameters, 0, parameters.flat());
    if (!read.ok()) return read;
    Sampler sampler({canonical}, at_device);
    Evaluation evaluation(canonical, *model, [] { return true; });
    result = evaluation.Final(parameters, &sampler).front();
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  v1::MetricValue* parameters = result.add_metrics();
  parameters->set_metric(v1::PARAMETERS);
  parameters->set_value(static_cast<double>(ParameterCount(canonical)));
  return result;
}

}  // namespace modlab
