// A job's tensors as files know them: under the names and, but for the leading
// jobs axis, the shapes of the paper's published code.

#ifndef MODLAB_LIB_TRAIN_WEIGHTS_H_
#define MODLAB_LIB_TRAIN_WEIGHTS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/models/parameters.h"
#include "lib/weights/tensor_file.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Adds the numbers of job `job` of `flat`, a buffer laid out as parameters.flat(),
// each tensor under `prefix` and its name.
void AppendTensors(absl::string_view prefix, const Parameters& parameters, const at::Tensor& flat,
                   int64_t job, std::vector<NamedArray>* tensors);

// Copies them back. INVALID_ARGUMENT names the tensor that is missing or has
// another shape; tensors of other names are ignored.
absl::Status CopyTensors(const std::vector<NamedArray>& tensors, absl::string_view prefix,
                         const Parameters& parameters, int64_t job, const at::Tensor& flat);

// Evaluates weights as the end of a job is evaluated: metrics and activation matrix
// of the result are filled in. `device` is "cpu" or "cuda:N".
//
// INVALID_ARGUMENT: a tensor is missing, has another shape, or is none of the
// config's model (but for the vector of the RNN's scorer that the published code
// saves and never uses), or no such device. RESOURCE_EXHAUSTED: memory.
absl::StatusOr<v1::JobResult> EvaluateWeights(const v1::JobConfig& canonical,
                                              const TensorFile& weights, absl::string_view device);

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_WEIGHTS_H_
