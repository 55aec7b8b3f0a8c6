// What one config means: its keys, its model and its task.

#ifndef MODLAB_WORKER_DESCRIBE_H_
#define MODLAB_WORKER_DESCRIBE_H_

#include <string>

#include "absl/status/statusor.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// The canonical form of a config written as YAML or JSON: one flat map from
// JobConfig fields to values, in the words of sweep files. INVALID_ARGUMENT
// says what is wrong and, where it can, in which line.
absl::StatusOr<v1::JobConfig> ParseConfig(const std::string& text);

// As ParseConfig(), of a file of at most 1 MiB. NOT_FOUND: it cannot be read.
absl::StatusOr<v1::JobConfig> ReadConfig(const std::string& path);

// Parameter count, keys, canonical config, tensors and task coefficients: an
// object of JSON with numbers as numbers, or text for people. Both end in a
// newline. `canonical` must come from Canonicalise().
std::string DescribeAsJson(const v1::JobConfig& canonical);
std::string DescribeAsTable(const v1::JobConfig& canonical);

}  // namespace modlab

#endif  // MODLAB_WORKER_DESCRIBE_H_
