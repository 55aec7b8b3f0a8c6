// A Trainer that trains nothing, in simulated time.

#ifndef MODLAB_TESTS_SIM_TRAINER_H_
#define MODLAB_TESTS_SIM_TRAINER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/train/trainer.h"
#include "modlab/v1/job.pb.h"
#include "tests/sim/agenda.h"
#include "tests/sim/model.h"
#include "tests/sim/random.h"

namespace modlab {
namespace sim {

// What a worker's machine is like.
struct Machine {
  int64_t step_us = 300'000;
  int gang_max = 8;           // what fits into its memory
  double error_chance = 0.0;  // of a gang, at each step
};

// Its calls come from fibers of `process`.
class SimTrainer : public Trainer {
 public:
  // As Trainer::Create(). `kill` is what a job does that kills its worker; where `hangs` says so,
  // its thread gets no further.
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(
      const std::vector<v1::JobConfig>& configs, const std::vector<std::string>& checkpoints,
      const Machine& machine, Process* process, Random* random, std::function<void()> kill,
      std::function<bool()> hangs);

  absl::Status Run(GangObserver* observer) override;
  void RequestCheckpoints() override { checkpoints_requested_ = true; }
  void Drop(int member) override { gone_[static_cast<size_t>(member)] = true; }
  const GangProgress& progress() const override { return progress_; }

 private:
  SimTrainer(std::vector<Model> models, const Machine& machine, Process* process, Random* random,
             std::function<void()> kill, std::function<bool()> hangs);

  // Time passes; false if nobody is left, or the process is dead.
  bool GoOn(int64_t delay_us, GangObserver* observer);
  bool AllGone() const;
  // Calls `visit` with each member that is still there.
  void ForEach(const std::function<void(int, Model*)>& visit);

  std::vector<Model> models_;
  std::vector<bool> gone_;
  const Machine machine_;
  Process* const process_;
  Random* const random_;
  const std::function<void()> kill_;
  const std::function<bool()> hangs_;
  bool checkpoints_requested_ = false;
  GangProgress progress_;
};

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_TRAINER_H_
