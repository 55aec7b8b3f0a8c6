// Whether the thread of a slot hangs. It cannot be ended, only the process can.

#ifndef MODLAB_WORKER_HANG_WATCH_H_
#define MODLAB_WORKER_HANG_WATCH_H_

#include <chrono>
#include <cstdint>
#include <memory>

#include "worker/gang.h"
#include "worker/session.h"

namespace modlab {

// How long a slot may go on with jobs that were taken away without getting anywhere: a step of
// a large model takes its time.
inline constexpr std::chrono::minutes kHangsAfter{5};

// Of one slot. Not thread-safe.
class HangWatch {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit HangWatch(std::chrono::milliseconds hangs_after) : hangs_after_(hangs_after) {}

  // `gang` is what the slot has now, null if nothing. Whether nothing of it is wanted any more,
  // and it has stood still for so long since.
  bool Look(const std::shared_ptr<Gang>& gang, const Session& session, TimePoint now);

 private:
  const std::chrono::milliseconds hangs_after_;
  std::weak_ptr<Gang> gang_;  // that nobody wants
  uint64_t pulse_ = 0;
  TimePoint since_;
};

}  // namespace modlab

#endif  // MODLAB_WORKER_HANG_WATCH_H_
