// The weights of every job that had the best validation so far. (section 3)

#ifndef MODLAB_LIB_TRAIN_BEST_WEIGHTS_H_
#define MODLAB_LIB_TRAIN_BEST_WEIGHTS_H_

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/models/parameters.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Not thread-safe.
class BestWeights {
 public:
  // Keeps none where the config's validation_batches is 0.
  BestWeights(const v1::JobConfig& shape, const Parameters& parameters);

  // A loss, or the negative of an accuracy, and when it was had.
  struct Standing {
    int64_t iteration = 0;  // 0: none yet
    double figure = 0;
  };

  bool kept() const { return weights_.defined(); }
  const Standing& standing(size_t job) const { return standings_[job]; }
  // Laid out as Parameters::flat(). Only where kept().
  const at::Tensor& weights() const { return weights_; }

  // Takes over job `job` of `parameters` if the point's validation is better than
  // all before. The untrained model does not count.
  void Consider(const Parameters& parameters, size_t job, const v1::CurvePoint& point);

  // From a checkpoint, whose weights the caller copies into weights().
  void Restore(size_t job, const Standing& standing) { standings_[job] = standing; }

  // Forgets all jobs but these.
  void SelectJobs(const std::vector<int64_t>& keep);

 private:
  bool by_accuracy_;
  at::Tensor weights_;
  std::vector<Standing> standings_;  // by job
};

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_BEST_WEIGHTS_H_
