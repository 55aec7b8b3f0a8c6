#include "worker/slots.h"

#include <cstddef>
#include <utility>

#include "spdlog/spdlog.h"

namespace modlab {

Slots::Slots(int count, Session* session, Train train,
             std::chrono::milliseconds checkpoint_interval)
    : session_(session),
      train_(std::move(train)),
      running_(count),
      gangs_(static_cast<size_t>(count)) {
  for (size_t slot = 0; slot < gangs_.size(); ++slot) {
    threads_.emplace_back([this, slot] { RunSlot(slot); });
  }
  if (checkpoint_interval.count() == 0) return;
  const std::chrono::nanoseconds turn = std::chrono::nanoseconds(checkpoint_interval) / count;
  threads_.emplace_back([this, turn] { AskForCheckpoints(turn); });
}

Slots::~Slots() {
  for (std::thread& thread : threads_) thread.join();
}

bool Slots::WaitUntilEnded(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  return ended_.wait_until(lock, deadline, [this] { return running_ == 0; });
}

void Slots::RunSlot(size_t slot) {
  const auto set_gang = [&](const std::shared_ptr<Gang>& gang) {
    const std::lock_guard<std::mutex> lock(mutex_);
    gangs_[slot] = gang;
  };
  while (const std::shared_ptr<Gang> gang = session_->NextGang()) {
    spdlog::debug("gang of {} started", gang->size());
    set_gang(gang);
    train_(gang);
    set_gang(nullptr);
    session_->GangEnded();
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  --running_;
  ended_.notify_all();
}

void Slots::AskForCheckpoints(std::chrono::nanoseconds turn) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (size_t slot = 0;; slot = (slot + 1) % gangs_.size()) {
    if (ended_.wait_for(lock, turn, [this] { return running_ == 0; })) return;
    if (gangs_[slot] != nullptr) gangs_[slot]->RequestCheckpoints();
  }
}

}  // namespace modlab
