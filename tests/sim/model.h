// What simulated training computes: numbers that look at random and are a function of
// the JobConfig alone, so that a job that was interrupted, mixed up with another, or
// went on from a wrong checkpoint comes out different.
//
// All pure.

#ifndef MODLAB_TESTS_SIM_MODEL_H_
#define MODLAB_TESTS_SIM_MODEL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/train/trainer.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace sim {

// How a config ends, however often it is tried.
enum class Fate {
  kFinishes,
  kDiverges,
  kNeedsTooMuchMemory,
  kKillsItsWorker,
};

// The state of one job's training. The config is canonical.
class Model {
 public:
  explicit Model(const v1::JobConfig& config);
  // INVALID_ARGUMENT: not a checkpoint of this config.
  static absl::StatusOr<Model> FromCheckpoint(const v1::JobConfig& config, absl::string_view file);

  int64_t iteration() const { return iteration_; }
  bool finished() const { return iteration_ == config_.iterations(); }
  Fate fate() const { return fate_; }
  // Where it diverges, or kills.
  bool at_its_fate() const { return iteration_ == fate_iteration_; }

  void Step();
  bool IsPoint() const { return finished() || iteration_ % config_.eval_interval() == 0; }
  v1::CurvePoint Point() const;
  std::string Checkpoint() const;
  // At its end; all but provenance and hashes.
  v1::JobResult Result(FinalWeights* weights) const;

 private:
  v1::JobConfig config_;
  uint64_t name_;  // a hash of the config
  uint64_t state_;
  int64_t iteration_ = 0;
  Fate fate_ = Fate::kFinishes;
  int64_t fate_iteration_ = 0;
};

// All that an undisturbed run of the config gives.
struct Undisturbed {
  Fate fate = Fate::kFinishes;
  std::vector<v1::CurvePoint> points;
  v1::JobResult result;  // with hashes
};
Undisturbed Train(const v1::JobConfig& canonical);

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_MODEL_H_
