// What waits for the engine's thread: a bounded queue with many producers and
// one consumer.

#ifndef MODLAB_SERVER_ENGINE_INBOX_H_
#define MODLAB_SERVER_ENGINE_INBOX_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "lib/sync/mutex.h"
#include "server/engine/command.h"

namespace modlab {

// Thread-safe.
class Inbox {
 public:
  explicit Inbox(size_t limit) : limit_(limit) {}

  // RESOURCE_EXHAUSTED: full. UNAVAILABLE: closed.
  absl::Status Post(Command command);
  // Refuses what comes from now on.
  void Close();

  struct Batch {
    std::vector<Command> commands;
    // When the oldest command was posted that is not in this batch, if any.
    std::optional<int64_t> next_posted_us;
    // Closed, and this batch is the last.
    bool last = false;
  };
  // Waits for a command, but not longer than `timeout`, and takes up to
  // `size_max` in their order.
  Batch Take(size_t size_max, std::chrono::milliseconds timeout);

 private:
  const size_t limit_;
  Mutex mutex_;
  Condition ready_;
  std::deque<Command> commands_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_INBOX_H_
