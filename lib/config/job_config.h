// The canonical form of a JobConfig, and the two keys derived from it.
//
// All functions are pure and thread-safe.

#ifndef MODLAB_LIB_CONFIG_JOB_CONFIG_H_
#define MODLAB_LIB_CONFIG_JOB_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// `config` with every default filled in and every limit of job.proto checked.
// INVALID_ARGUMENT names the field, its value and what is allowed. Applying it
// twice is applying it once.
absl::StatusOr<v1::JobConfig> Canonicalise(const v1::JobConfig& config);

// The identity of an experiment: 32 lower-case hex digits of the SHA-256 of a
// text that lists, by field number, every field whose value is not its default.
// A field added later with a default therefore leaves old keys as they are.
// `canonical` must come from Canonicalise().
std::string JobKey(const v1::JobConfig& canonical);

// Equal for jobs that one gang can train: all but seeds and learning rate
// agree. Readable, e.g. "mlp-regression-modular-r8-...-1f3a"; at most 96
// characters. `canonical` must come from Canonicalise().
std::string ShapeKey(const v1::JobConfig& canonical);

// Iterations at which the job's curves have a point, ascending: 0, every
// eval_interval-th, and the last. `canonical` must come from Canonicalise().
std::vector<int64_t> EvaluationIterations(const v1::JobConfig& canonical);

}  // namespace modlab

#endif  // MODLAB_LIB_CONFIG_JOB_CONFIG_H_
