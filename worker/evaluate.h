// Evaluates weights from a file: `modlab-worker eval`.

#ifndef MODLAB_WORKER_EVALUATE_H_
#define MODLAB_WORKER_EVALUATE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Reads a state_dict (.pt) or .safetensors file of at most 4 GiB and evaluates it
// as the end of a job of this config is evaluated. NOT_FOUND: it cannot be read.
// INVALID_ARGUMENT: the file is damaged, or its tensors are not those of the
// config's model; names the tensor. Nothing in the file is executed.
absl::StatusOr<v1::JobResult> EvaluateFile(const v1::JobConfig& canonical, const std::string& path,
                                           absl::string_view device);

// For people, with the figures of each length side by side.
std::string ResultAsTable(const v1::JobResult& result);

// {"metrics": {name: value}, "lengths": [{"length": n, "id": ...}], "activation":
// [[P of rule 0], ...]}; "lengths" only where there are several, "activation" only
// where modules are routed.
std::string ResultAsJson(const v1::JobResult& result);

}  // namespace modlab

#endif  // MODLAB_WORKER_EVALUATE_H_
