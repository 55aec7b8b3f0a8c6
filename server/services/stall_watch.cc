#include "server/services/stall_watch.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/clock.h"
#include "grpcpp/alarm.h"
#include "lib/sync/mutex.h"

namespace modlab {

// One alarm is set at a time. It is not moved with every piece: when it rings, it
// looks whether it is time, and is set again if not.
struct StallWatch::State : std::enable_shared_from_this<State> {
  void SetAlarm(absl::Time at) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    alarm = std::make_unique<grpc::Alarm>();
    alarm->Set(absl::ToChronoTime(at), [self = shared_from_this()](bool rang) {
      if (rang) self->Ring();
    });
  }

  void Ring() {
    std::unique_ptr<grpc::Alarm> old;  // goes without the mutex
    const MutexLock lock(&mutex);
    old = std::move(alarm);
    if (context == nullptr || !deadline.has_value()) return;
    if (absl::Now() >= *deadline) {
      context->TryCancel();
    } else {
      SetAlarm(*deadline);
    }
  }

  Mutex mutex;
  grpc::CallbackServerContext* context ABSL_GUARDED_BY(mutex);
  std::optional<absl::Time> deadline ABSL_GUARDED_BY(mutex);
  std::unique_ptr<grpc::Alarm> alarm ABSL_GUARDED_BY(mutex);
};

StallWatch::StallWatch(grpc::CallbackServerContext* context) : state_(std::make_shared<State>()) {
  const MutexLock lock(&state_->mutex);
  state_->context = context;
}

StallWatch::~StallWatch() {
  std::unique_ptr<grpc::Alarm> alarm;  // goes without the mutex, and never rings
  const MutexLock lock(&state_->mutex);
  state_->context = nullptr;
  alarm = std::move(state_->alarm);
}

void StallWatch::Begin(absl::Duration patience) {
  const MutexLock lock(&state_->mutex);
  state_->deadline = absl::Now() + patience;
  if (state_->alarm == nullptr) state_->SetAlarm(*state_->deadline);
}

void StallWatch::End() {
  const MutexLock lock(&state_->mutex);
  state_->deadline.reset();
}

}  // namespace modlab
