// From a SweepSpec to the list of experiments that it asks for.

#ifndef MODLAB_LIB_CONFIG_SWEEP_SPEC_H_
#define MODLAB_LIB_CONFIG_SWEEP_SPEC_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/config/job_config.h"
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

// The same, one by one, with their keys. After an error some may have been visited.
using VisitConfig = std::function<void(const v1::JobConfig&, const JobKeys::Keys&)>;
absl::Status ExpandSweep(const v1::SweepSpec& spec, const VisitConfig& visit);

// `spec` with more values on the axes of every grid, as ExtendSweepRequest says: its
// configs are those of `spec` and more. A spec without grids gets one. Values that an
// axis has are not added again, so that repeating it changes nothing. Expands grids
// whose jobs have to be looked at for a field's default. Pure, thread-safe.
//
// INVALID_ARGUMENT: no axes, an unknown field, a bad value, no values, a field twice,
// or one that would become an axis of a grid whose jobs have none of it, or different
// defaults; also what ExpandSweep(spec) would refuse. Does not say whether the result is
// one that ExpandSweep() refuses: ask it. `spec` must come from there.
absl::StatusOr<v1::SweepSpec> ExtendSpec(const v1::SweepSpec& spec,
                                         const std::vector<v1::Axis>& axes);

}  // namespace modlab

#endif  // MODLAB_LIB_CONFIG_SWEEP_SPEC_H_
