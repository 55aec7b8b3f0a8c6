// Measures a gang: points of curves while it trains, and final figures.

#ifndef MODLAB_LIB_TRAIN_EVALUATION_H_
#define MODLAB_LIB_TRAIN_EVALUATION_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "lib/models/mlp_model.h"
#include "lib/models/parameters.h"
#include "lib/train/sampler.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Loss of each sample, [J, B]: L1, or binary cross-entropy with logits.
at::Tensor SampleLosses(v1::Target target, const at::Tensor& prediction, const at::Tensor& y);

// Not thread-safe. All that it refers to must outlive it.
class Evaluation {
 public:
  // `keep_going` is asked between batches; once it says no, the call in progress
  // returns early and what it returns means nothing.
  Evaluation(const v1::JobConfig& shape, const MlpModel& model, std::function<bool()> keep_going);

  // Loss, accuracy, activation matrix and its metrics of every job, on
  // eval_batches fresh batches. `index` counts evaluations and so names the
  // batches.
  std::vector<v1::CurvePoint> Point(const Parameters& parameters, Sampler* sampler, int64_t index);

  // Final figures of every job. (section 3, section 4)
  std::vector<v1::JobResult> Final(const Parameters& parameters, Sampler* sampler);

 private:
  struct Totals;
  Totals Measure(const Parameters& parameters, Sampler* sampler, Draw draw, int64_t batches);
  // [J, R, M] sums of p by rule, and [J, R] samples by rule.
  std::pair<at::Tensor, at::Tensor> MeasureActivation(const Parameters& parameters,
                                                      Sampler* sampler);
  // Mean over the rule distributions of the distance of section 4, for every job.
  std::vector<double> MeasureAdaptation(const Parameters& parameters, Sampler* sampler);

  v1::JobConfig shape_;
  const MlpModel& model_;
  std::function<bool()> keep_going_;
  std::vector<std::vector<double>> adaptation_draws_;
};

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_EVALUATION_H_
