// Which metrics a job must have, by its config: those that the trainer measures.
//
// Pure and thread-safe. `config` is a job's as it is stored: a field that it lacks is
// one that its modlab did not know, and whose metrics it did not measure.

#ifndef MODLAB_SERVER_CARE_EXPECTED_METRICS_H_
#define MODLAB_SERVER_CARE_EXPECTED_METRICS_H_

#include <vector>

#include "modlab/v1/job.pb.h"

namespace modlab {

// Of the point at iteration 0 (`first`) or any other. ITERATIONS_PER_SECOND may be
// there too.
std::vector<v1::Metric> ExpectedOfPoint(const v1::JobConfig& config, bool first);

// Of the result, of its last weights as of its best.
std::vector<v1::Metric> ExpectedOfResult(const v1::JobConfig& config);

// Whether points and results have an activation matrix.
inline bool HasActivation(const v1::JobConfig& config) { return config.model() != v1::MONOLITHIC; }

}  // namespace modlab

#endif  // MODLAB_SERVER_CARE_EXPECTED_METRICS_H_
