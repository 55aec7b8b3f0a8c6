#include "client/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <list>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "lib/sync/mutex.h"

namespace modlab {
namespace {

struct State {
  Mutex mutex;
  Condition requested;
  // Written with the mutex held; read without, so that holders of other locks may.
  std::atomic<int> signal{0};
  std::list<Interrupt::Hook*> hooks ABSL_GUARDED_BY(mutex);
};

// Never destroyed: the listening thread uses it until the process is gone.
State& Global() {
  static State* const state = new State;
  return *state;
}

}  // namespace

void Interrupt::Install() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action = {};
    sigaction(number, nullptr, &action);
    if (action.sa_handler != SIG_IGN) sigaddset(&signals, number);
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A reader of our output that goes away shows as a failed write.
  signal(SIGPIPE, SIG_IGN);
  std::thread([signals] {
    State& state = Global();
    while (true) {
      int number = 0;
      if (sigwait(&signals, &number) != 0) continue;
      const MutexLock lock(&state.mutex);
      const bool second = state.signal != 0;
      if (!second) state.signal = number;
      for (Hook* hook : state.hooks) {
        const auto& call = second ? hook->on_kill_ : hook->on_request_;
        if (call) call();
      }
      if (second) _exit(128 + number);
      state.requested.NotifyAll();
    }
  }).detach();
}

bool Interrupt::Requested() { return Global().signal != 0; }

int Interrupt::ExitCode() { return 128 + Global().signal; }

bool Interrupt::Sleep(absl::Duration duration) {
  State& state = Global();
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(duration);
  const MutexLock lock(&state.mutex);
  while (state.signal == 0 && state.requested.WaitUntil(&state.mutex, deadline)) {
  }
  return state.signal == 0;
}

Interrupt::Hook::Hook(std::function<void()> on_request, std::function<void()> on_kill)
    : on_request_(std::move(on_request)), on_kill_(std::move(on_kill)) {
  State& state = Global();
  const MutexLock lock(&state.mutex);
  place_ = state.hooks.insert(state.hooks.end(), this);
  if (state.signal != 0 && on_request_) on_request_();
}

Interrupt::Hook::~Hook() {
  State& state = Global();
  const MutexLock lock(&state.mutex);
  state.hooks.erase(place_);
}

}  // namespace modlab
