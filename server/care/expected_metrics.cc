#include "server/care/expected_metrics.h"

#include "lib/config/job_config.h"

namespace modlab {
namespace {

void AddSpecialisation(const v1::JobConfig& config, std::vector<v1::Metric>* metrics) {
  if (!HasActivation(config)) return;
  metrics->insert(metrics->end(), {v1::COLLAPSE_AVG, v1::COLLAPSE_WORST, v1::INVERSE_MI});
  if (config.rules() == config.modules()) {
    metrics->insert(metrics->end(), {v1::ALIGNMENT, v1::ADAPTATION});
  }
}

// The metric of `length` in the family of `at_3`, the one of length 3.
v1::Metric AtLength(v1::Metric at_3, int length) {
  return static_cast<v1::Metric>(at_3 - 3 + length);
}

}  // namespace

std::vector<v1::Metric> ExpectedOfPoint(const v1::JobConfig& config, bool first) {
  const bool labels = config.target() == v1::CLASSIFICATION;
  std::vector<v1::Metric> metrics = {v1::EVAL_LOSS};
  if (labels) metrics.push_back(v1::EVAL_ACCURACY);
  if (!first) {
    metrics.push_back(v1::TRAIN_LOSS);
    if (config.validation_batches() > 0) {
      metrics.push_back(v1::VALIDATION_LOSS);
      if (labels) metrics.push_back(v1::VALIDATION_ACCURACY);
    }
  }
  AddSpecialisation(config, &metrics);
  return metrics;
}

std::vector<v1::Metric> ExpectedOfResult(const v1::JobConfig& config) {
  std::vector<v1::Metric> metrics = {v1::ID, v1::OOD, v1::ID_LOSS, v1::OOD_LOSS, v1::PARAMETERS};
  for (const int length : EvaluationLengths(config)) {
    for (const v1::Metric at_3 : {v1::ID_L3, v1::OOD_L3, v1::ID_LOSS_L3, v1::OOD_LOSS_L3}) {
      metrics.push_back(AtLength(at_3, length));
    }
  }
  AddSpecialisation(config, &metrics);
  return metrics;
}

}  // namespace modlab
