// A bounded pool of threads for what may take long: gRPC's own threads are few
// and must not wait.

#ifndef MODLAB_SERVER_SERVICES_TASK_POOL_H_
#define MODLAB_SERVER_SERVICES_TASK_POOL_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"

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
  std::mutex mutex_;  // guards what follows
  std::condition_variable ready_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_TASK_POOL_H_
