#include "tests/sim/agenda.h"

#include <algorithm>

namespace modlab {
namespace sim {

void Agenda::After(int64_t delay_us, Action action) {
  entries_.push({now_us_ + std::max<int64_t>(0, delay_us), next_number_++, std::move(action)});
}

bool Agenda::RunNext() {
  if (entries_.empty()) return false;
  // The queue is about to drop it.
  Action action = std::move(const_cast<Entry&>(entries_.top()).action);
  now_us_ = entries_.top().time_us;
  entries_.pop();
  action();
  return true;
}

void Process::After(int64_t delay_us, Agenda::Action action) {
  agenda_->After(delay_us, [process = shared_from_this(), action = std::move(action)]() mutable {
    if (!process->alive_) return;
    if (process->stopped_) {
      process->held_up_.push_back(std::move(action));
    } else {
      action();
    }
  });
}

void Process::Spawn(std::function<void()> body) {
  auto thread = std::make_unique<Thread>();
  thread->fiber = std::make_unique<Fiber>(std::move(body));
  Fiber* const fiber = thread->fiber.get();
  fibers_.push_back(std::move(thread));
  After(0, [this, fiber] { Run(fiber); });
}

void Process::Continue() {
  stopped_ = false;
  for (Agenda::Action& action : held_up_) After(0, std::move(action));
  held_up_.clear();
}

void Process::Kill() {
  const std::shared_ptr<Process> self = shared_from_this();
  alive_ = false;
  held_up_.clear();
  while (!fibers_.empty()) {
    Fiber* const fiber = fibers_.front()->fiber.get();
    Run(fiber);
  }
}

Process::Thread* Process::Find(const Fiber* fiber) {
  for (const std::unique_ptr<Thread>& thread : fibers_) {
    if (thread->fiber.get() == fiber) return thread.get();
  }
  return nullptr;
}

void Process::Run(Fiber* fiber) {
  fiber->Resume();
  if (!fiber->ended()) return;
  fibers_.erase(std::find_if(
      fibers_.begin(), fibers_.end(),
      [fiber](const std::unique_ptr<Thread>& thread) { return thread->fiber.get() == fiber; }));
}

bool Process::Sleep(int64_t delay_us) {
  if (!alive_) return false;
  Thread* const thread = Find(Fiber::Current());
  const uint64_t wait = ++thread->wait;
  thread->waits = true;
  Fiber* const fiber = thread->fiber.get();
  After(delay_us, [this, fiber, wait] {
    Thread* const sleeper = Find(fiber);
    if (sleeper == nullptr || sleeper->wait != wait || !sleeper->waits) return;
    sleeper->waits = false;
    Run(fiber);
  });
  Fiber::Suspend();
  return alive_;
}

bool Process::Wait(int64_t delay_us) { return Sleep(delay_us); }

void Process::Wake(Fiber* fiber) {
  Thread* const thread = Find(fiber);
  if (thread == nullptr || !thread->waits) return;
  const uint64_t wait = thread->wait;
  After(0, [this, fiber, wait] {
    Thread* const sleeper = Find(fiber);
    if (sleeper == nullptr || sleeper->wait != wait || !sleeper->waits) return;
    sleeper->waits = false;
    Run(fiber);
  });
}

}  // namespace sim
}  // namespace modlab
