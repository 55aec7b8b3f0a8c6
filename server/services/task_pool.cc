#include "server/services/task_pool.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace modlab {

TaskPool::TaskPool(int threads, size_t waiting_max) : waiting_max_(waiting_max) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

TaskPool::~TaskPool() {
  {
    const MutexLock lock(&mutex_);
    stopping_ = true;
  }
  ready_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
}

absl::Status TaskPool::Post(std::function<void()> task) {
  const MutexLock lock(&mutex_);
  if (tasks_.size() >= waiting_max_) {
    return absl::ResourceExhaustedError(
        absl::StrCat(waiting_max_, " calls wait already; try again later"));
  }
  tasks_.push_back(std::move(task));
  ready_.NotifyOne();
  return absl::OkStatus();
}

void TaskPool::Work() {
  while (true) {
    std::function<void()> task;
    {
      const MutexLock lock(&mutex_);
      while (!stopping_ && tasks_.empty()) ready_.Wait(&mutex_);
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace modlab
