#include "lib/config/job_metrics.h"

#include <optional>
#include <string>

#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

// Whether the answer stands in the result itself.
bool InResult(const v1::Job& job, v1::Checkpoint checkpoint) {
  return checkpoint != v1::BEST ||
         (job.result().has_best() && job.result().best().iteration() == job.config().iterations());
}

}  // namespace

const MetricValues* JobMetrics(const v1::Job& job, v1::Checkpoint checkpoint) {
  if (!job.has_result()) return nullptr;
  if (InResult(job, checkpoint)) return &job.result().metrics();
  return job.result().has_best() ? &job.result().best().metrics() : nullptr;
}

std::string JobWeights(const v1::Job& job, v1::Checkpoint checkpoint) {
  return InResult(job, checkpoint) ? job.result().checkpoint_sha256()
                                   : job.result().best().checkpoint_sha256();
}

std::optional<double> FindMetric(const MetricValues* values, v1::Metric metric) {
  if (values == nullptr) return std::nullopt;
  for (const v1::MetricValue& value : *values) {
    if (value.metric() == metric) return value.value();
  }
  return std::nullopt;
}

bool IsInUnitsOfTarget(v1::Metric metric) {
  return (metric >= v1::ID && metric <= v1::OOD_LOSS) || metric >= v1::ID_L3;
}

}  // namespace modlab
