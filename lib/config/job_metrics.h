// The figures of a job, for the weights that a question is about: those at the
// end of training, or those with the best validation.
//
// All functions are pure and thread-safe. What they return belongs to the job.

#ifndef MODLAB_LIB_CONFIG_JOB_METRICS_H_
#define MODLAB_LIB_CONFIG_JOB_METRICS_H_

#include <google/protobuf/repeated_field.h>

#include <optional>
#include <string>

#include "modlab/v1/job.pb.h"

namespace modlab {

using MetricValues = google::protobuf::RepeatedPtrField<v1::MetricValue>;

// Null where there are none: the job has no result, or BEST is asked for and it
// kept none. Where the best weights are the last ones, both have the same figures.
// A checkpoint that is not specified is LAST.
const MetricValues* JobMetrics(const v1::Job& job, v1::Checkpoint checkpoint);

// Where those weights are among the artifacts: lower-case hex SHA-256; "" if
// they were not kept.
std::string JobWeights(const v1::Job& job, v1::Checkpoint checkpoint);

// Nothing where `values` is null or lacks the metric.
std::optional<double> FindMetric(const MetricValues* values, v1::Metric metric);

// Whether it is a figure or a loss, in distribution or out of it, at any length: its
// unit is that of the job's target (section 1), so that means over both say nothing.
bool IsInUnitsOfTarget(v1::Metric metric);

}  // namespace modlab

#endif  // MODLAB_LIB_CONFIG_JOB_METRICS_H_
