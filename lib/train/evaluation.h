// Measures a gang: points of curves while it trains, and final figures.

#ifndef MODLAB_LIB_TRAIN_EVALUATION_H_
#define MODLAB_LIB_TRAIN_EVALUATION_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "lib/models/model.h"
#include "lib/models/parameters.h"
#include "lib/train/sampler.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Loss of each output of each column, as `prediction`: L1, or binary cross-entropy
// with logits.
at::Tensor Losses(v1::Target target, const at::Tensor& prediction, const at::Tensor& y);

// Their mean over outputs and columns, [J], and the gradient of its sum by `prediction`, whose
// own sizes it has. Nothing is differentiated.
struct MeanLoss {
  at::Tensor value;
  at::Tensor gradient;
};
MeanLoss MeanLosses(v1::Target target, const at::Tensor& prediction, const at::Tensor& y);

// Not thread-safe. All that it refers to must outlive it.
class Evaluation {
 public:
  // `keep_going` is asked between batches; once it says no, the call in progress
  // returns early and what it returns means nothing.
  Evaluation(const v1::JobConfig& shape, const Model& model, std::function<bool()> keep_going);

  // Loss, accuracy, activation matrix and its metrics of every job, on
  // eval_batches fresh batches; but for the untrained model also the validation, on
  // validation_batches others. `index` counts evaluations from 0, the untrained
  // model's, and so names the batches.
  std::vector<v1::CurvePoint> Point(const Parameters& parameters, Sampler* sampler, int64_t index);

  // Metrics and activation matrix of every job's end. (section 3, section 4)
  std::vector<v1::JobResult> Final(const Parameters& parameters, Sampler* sampler);

 private:
  struct Totals;

  // Calls `visit` with batches of `draw` until they have batches * batch_size
  // samples, and leaves draw->block behind the last. Long sequences come in smaller
  // batches than asked for: how small depends on the config alone.
  template <typename Visit>
  void ForEachBatch(Sampler* sampler, Draw* draw, int64_t batches, int64_t batch_size,
                    const Visit& visit);
  Totals Measure(const Parameters& parameters, Sampler* sampler, Draw draw, int64_t batches,
                 int64_t batch_size);
  // Adds id and ood figures of one length; headlines where the length is theirs.
  void MeasureLength(const Parameters& parameters, Sampler* sampler, int64_t length,
                     std::vector<v1::JobResult>* results);
  // [J, R, M] sums of p by rule, and [J, R] columns by rule.
  std::pair<at::Tensor, at::Tensor> MeasureActivation(const Parameters& parameters,
                                                      Sampler* sampler);
  // Mean over the rule distributions of the distance of section 4, for every job.
  std::vector<double> MeasureAdaptation(const Parameters& parameters, Sampler* sampler);

  v1::JobConfig shape_;
  const Model& model_;
  std::function<bool()> keep_going_;
  bool labels_;
  bool routes_;
  int64_t length_;  // of training
  std::vector<std::vector<double>> adaptation_draws_;
};

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_EVALUATION_H_
