// Jobs that one slot trains together, as the session and the slot share them.

#ifndef MODLAB_WORKER_GANG_H_
#define MODLAB_WORKER_GANG_H_

#include <cstdint>
#include <mutex>
#include <vector>

#include "lib/train/trainer.h"
#include "modlab/v1/worker.pb.h"

namespace modlab {

// Members are named by their index in leases(). Thread-safe. Calls
// Trainer::Drop() under its lock, so that must not wait for an observer.
class Gang {
 public:
  explicit Gang(std::vector<v1::Lease> leases);

  const std::vector<v1::Lease>& leases() const { return leases_; }
  int size() const { return static_cast<int>(leases_.size()); }

  // The coordinator no longer lists the member: takes it out of the trainer
  // that has it now, and of every later one.
  void Drop(int member);
  bool dropped(int member) const;

  // `trainer` runs `members`, in this order, until Detach(). It must outlive that.
  void Attach(Trainer* trainer, const std::vector<int>& members);
  void Detach();

  struct Progress {
    int64_t iteration = 0;
    // 0 while the member is not being trained.
    double iterations_per_second = 0.0;
  };
  Progress progress(int member) const;

 private:
  struct Member {
    bool dropped = false;
    // Index in trainer_, or -1.
    int trainer_index = -1;
    // When last detached.
    int64_t iteration = 0;
  };

  const std::vector<v1::Lease> leases_;
  mutable std::mutex mutex_;
  std::vector<Member> members_;
  Trainer* trainer_ = nullptr;
};

}  // namespace modlab

#endif  // MODLAB_WORKER_GANG_H_
