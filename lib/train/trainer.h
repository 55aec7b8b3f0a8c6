// Trains and evaluates a gang: jobs of one shape, stacked along a leading jobs
// axis and stepped as one program. Each member keeps its own curve, failure,
// result and weights, and they are bit for bit those that it would have alone.

#ifndef MODLAB_LIB_TRAIN_TRAINER_H_
#define MODLAB_LIB_TRAIN_TRAINER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/train/footprint.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Weights at the end of a job: .safetensors files, under the names and, but for the
// leading jobs axis, the shapes of the paper's published code.
struct FinalWeights {
  std::string last;
  // Those with the best validation; empty where none were kept, and where the last
  // are the best.
  std::string best;
};

// Hears of the members of a gang, named by their index in the list that the
// Trainer was created with. Called on the thread that runs Trainer::Run().
class GangObserver {
 public:
  virtual ~GangObserver() = default;

  // A point of the member's curves, as soon as it was measured.
  virtual void OnPoint(int member, const v1::CurvePoint& point) = 0;
  // The member's result; nothing more is heard of it. The result's provenance and
  // the SHA-256 of both files are left for the caller to fill.
  virtual void OnFinished(int member, const v1::JobResult& result, const FinalWeights& weights) = 0;
  // The member alone failed; the others go on untouched.
  virtual void OnFailed(int member, const v1::Failure& failure) = 0;
  // All that the member's training needs to go on from here, `iteration` iterations
  // done, as a file: what RequestCheckpoints() asked for.
  virtual void OnCheckpoint(int member, int64_t iteration, std::string file) = 0;
};

// Counters for whoever watches a running gang from another thread.
struct GangProgress {
  // Iterations done; the same for all members, which step together.
  std::atomic<int64_t> iteration{0};
  // Becomes another with each step, and each batch of an evaluation.
  std::atomic<uint64_t> pulse{0};
  // Of each member, over the last second or so.
  std::atomic<double> iterations_per_second{0.0};
};

inline constexpr size_t kGangSizeMax = 4096;

// What results do not depend on.
struct TrainerLimits {
  // That the gang may take, as far as can be foreseen. 0: no limit.
  int64_t memory_bytes = 0;
  // Jobs that step together, up to the whole gang. 0: as many as measuring shows to be
  // the best, and memory_bytes allows.
  int64_t stack_size = 0;
};

// Not thread-safe but for what says otherwise. One thread creates it and runs
// it, and does nothing else meanwhile.
class Trainer {
 public:
  // `configs` are canonical and share one shape key; at least one, at most 4096.
  // `device` is "cpu" or "cuda:N".
  //
  // `checkpoints`: empty, or for each config what OnCheckpoint() was given; training
  // goes on from there, to the same bits. All must be of the same iteration.
  //
  // INVALID_ARGUMENT: shape keys differ, no such device, or a checkpoint that is
  // damaged, of another config or of another iteration. RESOURCE_EXHAUSTED: the
  // device cannot hold the gang, or `limits` do not allow it; a smaller one may fit.
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(
      const std::vector<v1::JobConfig>& configs, absl::string_view device,
      const std::vector<std::string>& checkpoints = {}, const TrainerLimits& limits = {});

  virtual ~Trainer() = default;

  // Trains all members to the end, reporting to `observer`, which must outlive
  // the call. Returns OK once every member has finished, failed or been dropped;
  // CANCELLED once none is left and none has finished or failed; RESOURCE_EXHAUSTED
  // where the device's memory runs out on the way. Call once.
  virtual absl::Status Run(GangObserver* observer) = 0;

  // Asks for one OnCheckpoint() of every member that is still trained, in changing
  // order, at the next opportunity of Run(): after the step in progress, or between two batches of
  // an evaluation. Repeated before that, it asks for no more. Thread-safe.
  virtual void RequestCheckpoints() = 0;

  // Takes a member out: nothing more is heard of it. The others go on, at an
  // unchanged pace; when all are out, Run() ends at the next opportunity. May be
  // called by the observer. Thread-safe.
  virtual void Drop(int member) = 0;

  // Thread-safe.
  virtual const GangProgress& progress() const = 0;
};

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_TRAINER_H_
