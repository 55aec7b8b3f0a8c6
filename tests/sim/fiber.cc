#include "tests/sim/fiber.h"

#include <utility>
#include <vector>

// Clang has features where GCC defines macros.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace modlab {
namespace sim {

namespace {

constexpr size_t kStackBytes = size_t{256} << 10;

Fiber* current = nullptr;

// Stacks are used again: making one costs more than a fiber's whole life.
std::vector<std::unique_ptr<char[]>>& IdleStacks() {
  static auto* const stacks = new std::vector<std::unique_ptr<char[]>>();
  return *stacks;
}

std::unique_ptr<char[]> TakeStack() {
  if (IdleStacks().empty()) return std::unique_ptr<char[]>(new char[kStackBytes]);
  std::unique_ptr<char[]> stack = std::move(IdleStacks().back());
  IdleStacks().pop_back();
  return stack;
}

}  // namespace

Fiber::Fiber(std::function<void()> body) : body_(std::move(body)) {}

Fiber::~Fiber() {
#if defined(__SANITIZE_THREAD__)
  if (tsan_fiber_ != nullptr) __tsan_destroy_fiber(tsan_fiber_);
#endif
  if (stack_ != nullptr) IdleStacks().push_back(std::move(stack_));
}

Fiber* Fiber::Current() { return current; }

void Fiber::SwitchTo(bool into_fiber, [[maybe_unused]] bool for_good) {
#if defined(__SANITIZE_ADDRESS__)
  if (into_fiber) {
    __sanitizer_start_switch_fiber(&resumer_fake_stack_, stack_.get(), kStackBytes);
  } else {
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_stack_, resumer_stack_,
                                   resumer_stack_bytes_);
  }
#endif
#if defined(__SANITIZE_THREAD__)
  if (into_fiber) tsan_resumer_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(into_fiber ? tsan_fiber_ : tsan_resumer_, 0);
#endif
  if (into_fiber) {
    swapcontext(&resumer_, &context_);
  } else {
    swapcontext(&context_, &resumer_);
  }
#if defined(__SANITIZE_ADDRESS__)
  // On the stack that was left above, now that it runs again.
  if (into_fiber) {
    __sanitizer_finish_switch_fiber(resumer_fake_stack_, nullptr, nullptr);
  } else {
    __sanitizer_finish_switch_fiber(fake_stack_, &resumer_stack_, &resumer_stack_bytes_);
  }
#endif
}

void Fiber::Resume() {
  if (stack_ == nullptr) {
    stack_ = TakeStack();
    getcontext(&context_);
    context_.uc_stack.ss_sp = stack_.get();
    context_.uc_stack.ss_size = kStackBytes;
    context_.uc_link = nullptr;
    makecontext(&context_, &Fiber::Main, 0);
#if defined(__SANITIZE_THREAD__)
    tsan_fiber_ = __tsan_create_fiber(0);
#endif
  }
  resumed_by_ = std::exchange(current, this);
  SwitchTo(/*into_fiber=*/true, /*for_good=*/false);
  current = resumed_by_;
}

void Fiber::Suspend() { current->SwitchTo(/*into_fiber=*/false, /*for_good=*/false); }

void Fiber::Main() {
  Fiber* const fiber = current;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &fiber->resumer_stack_, &fiber->resumer_stack_bytes_);
#endif
  fiber->body_();
  fiber->ended_ = true;
  fiber->SwitchTo(/*into_fiber=*/false, /*for_good=*/true);
}

}  // namespace sim
}  // namespace modlab
