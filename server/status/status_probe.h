// Asks how the coordinator does on a thread of its own: whoever wants to know waits
// only so long, even for an engine that hangs, and many who ask share one question.

#ifndef MODLAB_SERVER_STATUS_STATUS_PROBE_H_
#define MODLAB_SERVER_STATUS_STATUS_PROBE_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "lib/sync/mutex.h"
#include "server/engine/engine_core.h"

namespace modlab {

// Thread-safe.
class StatusProbe {
 public:
  // May block.
  using Source = std::function<absl::StatusOr<EngineStatus>()>;
  using Answer = absl::StatusOr<EngineStatus>;

  explicit StatusProbe(Source source);
  // Waits for a question in progress.
  ~StatusProbe();
  StatusProbe(const StatusProbe&) = delete;
  StatusProbe& operator=(const StatusProbe&) = delete;

  // The next answer, never null; DEADLINE_EXCEEDED in it if there was none within
  // `patience`.
  std::shared_ptr<const Answer> Get(std::chrono::milliseconds patience);

 private:
  void Work();

  const Source source_;
  Mutex mutex_;
  Condition asked_;
  Condition answered_;
  bool wanted_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t answers_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<const Answer> newest_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STATUS_STATUS_PROBE_H_
