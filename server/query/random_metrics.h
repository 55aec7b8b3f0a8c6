// The Random rows: the metrics of modules that are used alike under every rule.

#ifndef MODLAB_SERVER_QUERY_RANDOM_METRICS_H_
#define MODLAB_SERVER_QUERY_RANDOM_METRICS_H_

#include "modlab/v1/job.pb.h"

namespace modlab {

// The five of section 4, by number.
inline constexpr v1::Metric kSpecialisationMetrics[] = {
    v1::COLLAPSE_AVG, v1::COLLAPSE_WORST, v1::ALIGNMENT, v1::ADAPTATION, v1::INVERSE_MI};

// The value of one of them for the uniform matrix of `rules` rules and as many
// modules. Needs at least 2 rules. Thread-safe; remembers what it computed.
double RandomMetric(v1::Metric metric, int rules);

}  // namespace modlab

#endif  // MODLAB_SERVER_QUERY_RANDOM_METRICS_H_
