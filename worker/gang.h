// Jobs that one slot trains together, as the session and the slot share them.

#ifndef MODLAB_WORKER_GANG_H_
#define MODLAB_WORKER_GANG_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "lib/sync/mutex.h"
#include "lib/train/trainer.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/worker.pb.h"

namespace modlab {

// Members are named by their index in leases(). Thread-safe. Calls
// Trainer::Drop() and RequestCheckpoints() under its lock, so that those must not
// wait for an observer.
class Gang {
 public:
  explicit Gang(std::vector<v1::Lease> leases);

  const std::vector<v1::Lease>& leases() const { return leases_; }
  int size() const { return static_cast<int>(leases_.size()); }

  // Takes the member out of the trainer that has it now, and of every later one:
  // the coordinator no longer lists it, or it is handed back.
  void Drop(int member);
  bool dropped(int member) const;

  // The member is to be handed back, for good. Asks its trainer, now or later, for a
  // checkpoint.
  void Release(int member);
  bool releasing(int member) const;

  // Of all members that are being trained now.
  void RequestCheckpoints();

  // Where the member's training can go on: the newest checkpoint that the coordinator
  // keeps, or has been sent. Iteration 0: at the beginning.
  v1::TrainingCheckpoint checkpoint(int member) const;
  void SetCheckpoint(int member, const v1::TrainingCheckpoint& checkpoint);

  // `trainer` runs `members`, in this order, until Detach(). It must outlive that.
  void Attach(Trainer* trainer, const std::vector<int>& members);
  void Detach();

  struct Progress {
    int64_t iteration = 0;
    // 0 while the member is not being trained.
    double iterations_per_second = 0.0;
    // As in HeldLease: of the thread that has the gang, while it computes.
    uint64_t pulse = 0;
  };
  Progress progress(int member) const;

  // Whether what its thread does now is computing, and not waiting for the coordinator. At
  // first it is not.
  void SetComputing(bool computing);
  // Of all members together; 0 while nothing is computed.
  uint64_t pulse() const;

 private:
  struct Member {
    bool dropped = false;
    bool releasing = false;
    v1::TrainingCheckpoint checkpoint;
    // Index in trainer_, or -1.
    int trainer_index = -1;
    // When last detached.
    int64_t iteration = 0;
  };

  uint64_t Pulse() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Member& at(int member) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return members_[static_cast<size_t>(member)];
  }
  const Member& at(int member) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return members_[static_cast<size_t>(member)];
  }

  const std::vector<v1::Lease> leases_;
  mutable Mutex mutex_;
  std::vector<Member> members_ ABSL_GUARDED_BY(mutex_);
  Trainer* trainer_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool computing_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace modlab

#endif  // MODLAB_WORKER_GANG_H_
