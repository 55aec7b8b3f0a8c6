// A bounded pool of threads for what may take long: gRPC's own threads are few
// and must not wait.

#ifndef MODLAB_SERVER_SERVICES_TASK_POOL_H_
#define MODLAB_SERVER_SERVICES_TASK_POOL_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "lib/sync/mutex.h"

namespace modlab {

// Thread-safe.
class TaskPool {
 public:
  TaskPool(int threads, size_t waiting_max);
  // Runs what waits and returns when all is done.
  ~TaskPool();
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  // RESOURCE_EXHAUSTED: too many wait; the task will not run.
  absl::Status Post(std::function<void()> task);

 private:
  void Work();

  const size_t waiting_max_;
  Mutex mutex_;
  Condition ready_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_TASK_POOL_H_
