// Blocking code without threads: a fiber has a stack of its own and runs until it
// suspends itself; then whoever resumed it goes on.
//
// A fiber must not be suspended while it handles an exception. All on one thread.

#ifndef MODLAB_TESTS_SIM_FIBER_H_
#define MODLAB_TESTS_SIM_FIBER_H_

#include <ucontext.h>

#include <cstddef>
#include <functional>
#include <memory>

namespace modlab {
namespace sim {

class Fiber {
 public:
  // Starts with the first Resume().
  explicit Fiber(std::function<void()> body);
  // It must have ended, or never have begun.
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Runs it until it suspends itself or ends. Not for a fiber that has ended.
  void Resume();
  bool ended() const { return ended_; }

  // The fiber that runs; null outside of all.
  static Fiber* Current();
  // Back to whoever resumed the fiber that runs.
  static void Suspend();

 private:
  static void Main();
  void SwitchTo(bool into_fiber, bool for_good);

  const std::function<void()> body_;
  std::unique_ptr<char[]> stack_;
  ucontext_t context_;
  ucontext_t resumer_;
  Fiber* resumed_by_ = nullptr;
  bool ended_ = false;

  // For the sanitizers, which have to be told of stacks.
  [[maybe_unused]] void* fake_stack_ = nullptr;
  [[maybe_unused]] void* resumer_fake_stack_ = nullptr;
  [[maybe_unused]] const void* resumer_stack_ = nullptr;
  [[maybe_unused]] size_t resumer_stack_bytes_ = 0;
  [[maybe_unused]] void* tsan_fiber_ = nullptr;
  [[maybe_unused]] void* tsan_resumer_ = nullptr;
};

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_FIBER_H_
