#include "lib/train/best_weights.h"

#include <utility>

namespace modlab {

BestWeights::BestWeights(const v1::JobConfig& shape, const Parameters& parameters)
    : by_accuracy_(shape.target() == v1::CLASSIFICATION),
      standings_(static_cast<size_t>(parameters.jobs())) {
  if (shape.validation_batches() > 0) weights_ = at::zeros_like(parameters.flat());
}

void BestWeights::Consider(const Parameters& parameters, size_t job, const v1::CurvePoint& point) {
  const v1::Metric metric = by_accuracy_ ? v1::VALIDATION_ACCURACY : v1::VALIDATION_LOSS;
  for (const v1::MetricValue& value : point.values()) {
    if (value.metric() != metric) continue;
    const double figure = by_accuracy_ ? -value.value() : value.value();
    Standing& best = standings_[job];
    if (best.iteration > 0 && figure >= best.figure) return;
    best = {point.iteration(), figure};
    const auto row = static_cast<int64_t>(job);
    weights_[row].copy_(parameters.flat()[row]);
  }
}

void BestWeights::SelectJobs(const std::vector<int64_t>& keep) {
  if (kept()) weights_ = modlab::SelectJobs(weights_, keep);
  std::vector<Standing> standings;
  for (const int64_t job : keep) standings.push_back(standings_[static_cast<size_t>(job)]);
  standings_ = std::move(standings);
}

}  // namespace modlab
