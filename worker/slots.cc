#include "worker/slots.h"

#include <cstddef>
#include <utility>

#include "spdlog/spdlog.h"

namespace modlab {

Slots::Slots(int count, Session* session, Train train,
             std::chrono::milliseconds checkpoint_interval, OnHang on_hang,
             std::chrono::milliseconds hangs_after)
    : session_(session),
      train_(std::move(train)),
      on_hang_(std::move(on_hang)),
      running_(count),
      gangs_(static_cast<size_t>(count)) {
  for (size_t slot = 0; slot < static_cast<size_t>(count); ++slot) {
    threads_.emplace_back([this, slot] { RunSlot(slot); });
  }
  threads_.emplace_back([this, hangs_after] { LookForHangs(hangs_after); });
  if (checkpoint_interval.count() == 0) return;
  const std::chrono::nanoseconds turn = std::chrono::nanoseconds(checkpoint_interval) / count;
  threads_.emplace_back([this, turn] { AskForCheckpoints(turn); });
}

Slots::~Slots() {
  for (std::thread& thread : threads_) thread.join();
}

bool Slots::WaitUntilEnded(std::chrono::steady_clock::time_point deadline) {
  const MutexLock lock(&mutex_);
  while (running_ > 0) {
    if (!ended_.WaitUntil(&mutex_, deadline)) return running_ == 0;
  }
  return true;
}

void Slots::SetGang(size_t slot, std::shared_ptr<Gang> gang) {
  const MutexLock lock(&mutex_);
  gangs_[slot] = std::move(gang);
}

void Slots::RunSlot(size_t slot) {
  while (const std::shared_ptr<Gang> gang = session_->NextGang()) {
    spdlog::debug("gang of {} started", gang->size());
    SetGang(slot, gang);
    train_(gang);
    SetGang(slot, nullptr);
    session_->GangEnded();
  }
  const MutexLock lock(&mutex_);
  --running_;
  ended_.NotifyAll();
}

void Slots::AskForCheckpoints(std::chrono::nanoseconds turn) {
  std::chrono::steady_clock::time_point next = std::chrono::steady_clock::now() + turn;
  const MutexLock lock(&mutex_);
  for (size_t slot = 0; running_ > 0;) {
    if (ended_.WaitUntil(&mutex_, next)) continue;
    next = std::chrono::steady_clock::now() + turn;
    if (gangs_[slot] != nullptr) gangs_[slot]->RequestCheckpoints();
    slot = (slot + 1) % gangs_.size();
  }
}

void Slots::LookForHangs(std::chrono::milliseconds hangs_after) {
  std::vector<HangWatch> watches;
  const MutexLock lock(&mutex_);
  for (size_t slot = 0; slot < gangs_.size(); ++slot) watches.emplace_back(hangs_after);
  const std::chrono::milliseconds pause = hangs_after / 10;
  while (running_ > 0) {
    const auto now = std::chrono::steady_clock::now();
    for (size_t slot = 0; slot < gangs_.size(); ++slot) {
      if (!watches[slot].Look(gangs_[slot], *session_, now)) continue;
      on_hang_();
      return;
    }
    while (running_ > 0 && ended_.WaitUntil(&mutex_, now + pause)) {
    }
  }
}

}  // namespace modlab
