// From a SweepSpec to the list of experiments that it asks for.

#ifndef MODLAB_LIB_CONFIG_SWEEP_SPEC_H_
#define MODLAB_LIB_CONFIG_SWEEP_SPEC_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {

inline constexpr int64_t kSweepJobsMax = 1'000'000;

// The canonical configs of `spec`, in its order, each once. Pure, thread-safe.
//
// INVALID_ARGUMENT: a bad name, an unknown field, a bad value, an empty axis or
// grid, a field on two axes of one grid, more than 1,000 grids, or a config
// that Canonicalise() refuses; says which grid (counted from 1) and, for a
// config, which point. RESOURCE_EXHAUSTED: more than kSweepJobsMax points; says
// how many were asked for. That count is checked before anything is expanded.
absl::StatusOr<std::vector<v1::JobConfig>> ExpandSweep(const v1::SweepSpec& spec);

}  // namespace modlab

#endif  // MODLAB_LIB_CONFIG_SWEEP_SPEC_H_
