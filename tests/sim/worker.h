// A machine with a worker on it: the real Session and GangRunner, with simulated
// trainers, stream and uploads; and whoever starts it again when it has ended.
//
// All on one thread.

#ifndef MODLAB_TESTS_SIM_WORKER_H_
#define MODLAB_TESTS_SIM_WORKER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "modlab/v1/worker.pb.h"
#include "tests/sim/agenda.h"
#include "tests/sim/coordinator.h"
#include "tests/sim/network.h"
#include "tests/sim/random.h"
#include "tests/sim/trainer.h"
#include "worker/checkpoint_keeper.h"

namespace modlab {
namespace sim {

class Worker {
 public:
  struct Options {
    std::string name;
    std::vector<std::string> labels;
    int slots = 1;
    int gang_size_max = 4;
    int64_t checkpoint_us = 30'000'000;
    int64_t grace_us = 20'000'000;
    Machine machine;
  };
  struct Counts {
    int64_t starts = 0;
    int64_t kills = 0;
    int64_t drains = 0;
    int64_t poisoned = 0;  // killed by a job
    int64_t hangs = 0;     // of a slot's thread
    int64_t checkpoints_fetched = 0;
  };

  Worker(Agenda* agenda, Network* network, Coordinator* coordinator, uint64_t seed,
         const Options& options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void Start();
  // kill -9, and started again after `down_us`.
  void Kill(int64_t down_us);
  // SIGTERM, and started again.
  void Terminate();
  // SIGSTOP, and SIGCONT after so long.
  void StandStill(int64_t duration_us);
  // The thread of the next slot that has something to compute gets no further, while all
  // others go on.
  void HangASlot() { hangs_ = true; }
  // The stream breaks.
  void BreakStream();
  Machine* machine() { return &options_.machine; }

  const std::string& name() const { return options_.name; }
  const Counts& counts() const { return counts_; }

 private:
  struct Life;

  v1::WorkerView Identity();
  void RunLink(Life* life);
  // False if none could be opened.
  bool OpenStream(Life* life);
  void RunStream(Life* life);
  void Hear(Life* life, const v1::CoordinatorView& view);
  void RunSlot(Life* life, int slot);
  void AskForCheckpoints(Life* life);
  void LookForHangs(Life* life);
  void RunMain(Life* life);
  absl::StatusOr<std::string> Upload(Life* life, const std::string& content,
                                     const TryAgain& try_again);
  absl::StatusOr<std::string> Download(Life* life, const v1::TrainingCheckpoint& checkpoint,
                                       const std::function<bool()>& is_wanted);
  void End(int64_t down_us);

  Agenda* const agenda_;
  Network* const network_;
  Coordinator* const coordinator_;
  Options options_;
  Random random_;
  Counts counts_;
  bool hangs_ = false;
  std::unique_ptr<Life> life_;
};

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_WORKER_H_
