// Whether two runs of one config gave the same: every point of their curves, their
// figures, their activation matrices, their best checkpoint and their weights.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_RUN_COMPARISON_H_
#define MODLAB_CLIENT_RUN_COMPARISON_H_

#include <string>
#include <vector>

#include "modlab/v1/job.pb.h"

namespace modlab {

// A finished job with its curve.
struct FinishedRun {
  v1::Job job;
  std::vector<v1::CurvePoint> curve;
};

struct RunComparison {
  // Computed on one kind of device (device, its name, LibTorch, BLAS): then every number
  // has to be the same bit for bit, and the weights have to be the same file.
  bool one_kind = false;
  // Something is there in one run and not in the other; for people, "" if nothing is.
  std::string missing;
  // What differs in a bit, first: "id of the result", "its weights"; "" if nothing does.
  std::string first_difference;
  // The largest difference of two numbers, relative to the larger of them (to 0.01 if
  // both are smaller), and where; 0 if all are equal.
  double largest = 0;
  std::string largest_at;

  // `tolerance` is of `largest`, where the kinds of device differ.
  bool Equal(double tolerance) const {
    return missing.empty() && (one_kind ? first_difference.empty() : largest <= tolerance);
  }
};

// The speed of training is left out: it is the machine's. Weights that one of them does
// not have any more are not compared; across kinds of devices none are, nor are best
// checkpoints of different iterations.
RunComparison CompareRuns(const FinishedRun& before, const FinishedRun& after);

}  // namespace modlab

#endif  // MODLAB_CLIENT_RUN_COMPARISON_H_
