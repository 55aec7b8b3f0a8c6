// The canonical form of a JobConfig, and what follows from it: keys, and where a
// job is evaluated.
//
// All functions are pure and thread-safe.

#ifndef MODLAB_LIB_CONFIG_JOB_CONFIG_H_
#define MODLAB_LIB_CONFIG_JOB_CONFIG_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// `config` with every default filled in and every limit of job.proto checked.
// INVALID_ARGUMENT names the field, its value and what is allowed. Applying it
// twice is applying it once.
absl::StatusOr<v1::JobConfig> Canonicalise(const v1::JobConfig& config);

// A text that lists, by field number, every field whose value is not its default,
// less the named ones. What follows from other fields is a default: without
// "model", a MODULAR and a MONOLITHIC job that agree in all that was chosen have
// equal keys, whatever their modules, heads and scorer. `canonical` must come from
// Canonicalise().
std::string PairingKey(const v1::JobConfig& canonical,
                       const std::set<std::string>& left_out_fields);

// The identity of an experiment: 32 lower-case hex digits of the SHA-256 of the
// PairingKey() that leaves nothing out. A field added later with a default
// therefore leaves old keys as they are. `canonical` must come from Canonicalise().
std::string JobKey(const v1::JobConfig& canonical);

// Equal for jobs that one gang can train: all but seeds and learning rate
// agree. Readable, e.g. "mlp-regression-modular-r8-...-1f3a"; at most 96
// characters. `canonical` must come from Canonicalise().
std::string ShapeKey(const v1::JobConfig& canonical);

// Both keys of many jobs, of few shapes, at less than half the cost. Not thread-safe.
class JobKeys {
 public:
  struct Keys {
    std::string job_key;
    const std::string* shape_key;  // valid as long as the JobKeys
  };
  // `canonical` must come from Canonicalise().
  Keys Of(const v1::JobConfig& canonical);

 private:
  std::string job_, shape_;  // what is hashed
  std::map<std::string, std::string> shapes_;
};

// Iterations at which the job's curves have a point, ascending: 0, every
// eval_interval-th, and the last. `canonical` must come from Canonicalise().
std::vector<int64_t> EvaluationIterations(const v1::JobConfig& canonical);

// Lengths of the sequences that the final evaluation measures, ascending: empty for
// MLP, which has none. `canonical` must come from Canonicalise().
std::vector<int> EvaluationLengths(const v1::JobConfig& canonical);

// The two of them whose figures are ID and OOD.
inline constexpr int kIdLength = 10;
inline constexpr int kOodLength = 30;

}  // namespace modlab

#endif  // MODLAB_LIB_CONFIG_JOB_CONFIG_H_
