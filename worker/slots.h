// The threads that train.

#ifndef MODLAB_WORKER_SLOTS_H_
#define MODLAB_WORKER_SLOTS_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "lib/sync/mutex.h"
#include "worker/gang.h"
#include "worker/hang_watch.h"
#include "worker/session.h"

namespace modlab {

// One thread a slot, each training one gang after another until the session drains;
// and one that asks each slot's gang for checkpoints once an interval, the slots one
// after the other, so that they do not all send at once; and one that looks for slots that
// hang. Thread-safe.
class Slots {
 public:
  // Trains a gang to its end.
  using Train = std::function<void(const std::shared_ptr<Gang>& gang)>;
  // A slot hangs, as HangWatch says. Called once, on a thread of the slots.
  using OnHang = std::function<void()>;

  // `session` must outlive the slots. Interval 0: no checkpoints are asked for.
  Slots(int count, Session* session, Train train, std::chrono::milliseconds checkpoint_interval,
        OnHang on_hang, std::chrono::milliseconds hangs_after = kHangsAfter);
  // Waits for the session to drain and for all threads.
  ~Slots();
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

  // Whether all slots ended, waiting for it until `deadline`.
  bool WaitUntilEnded(std::chrono::steady_clock::time_point deadline);

 private:
  void RunSlot(size_t slot);
  void SetGang(size_t slot, std::shared_ptr<Gang> gang);
  void AskForCheckpoints(std::chrono::nanoseconds turn);
  void LookForHangs(std::chrono::milliseconds hangs_after);

  Session* const session_;
  const Train train_;
  const OnHang on_hang_;

  Mutex mutex_;
  Condition ended_;
  int running_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Gang>> gangs_ ABSL_GUARDED_BY(mutex_);  // by slot; null: idle
  std::vector<std::thread> threads_;
};

}  // namespace modlab

#endif  // MODLAB_WORKER_SLOTS_H_
