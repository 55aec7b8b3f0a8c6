#include "client/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/time/time.h"

namespace modlab {
namespace {

struct State {
  std::mutex mutex;
  std::condition_variable requested;
  // Written with the mutex held; read without, so that holders of other locks may.
  std::atomic<int> signal{0};
  std::list<Interrupt::Hook*> hooks;
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
      std::lock_guard<std::mutex> lock(state.mutex);
      const bool second = state.signal != 0;
      if (!second) state.signal = number;
      for (Hook* hook : state.hooks) {
        const auto& call = second ? hook->on_kill_ : hook->on_request_;
        if (call) call();
      }
      if (second) _exit(128 + number);
      state.requested.notify_all();
    }
  }).detach();
}

bool Interrupt::Requested() { return Global().signal != 0; }

int Interrupt::ExitCode() { return 128 + Global().signal; }

bool Interrupt::Sleep(absl::Duration duration) {
  State& state = Global();
  std::unique_lock<std::mutex> lock(state.mutex);
  return !state.requested.wait_for(lock, absl::ToChronoMilliseconds(duration),
                                   [&] { return state.signal != 0; });
}

Interrupt::Hook::Hook(std::function<void()> on_request, std::function<void()> on_kill)
    : on_request_(std::move(on_request)), on_kill_(std::move(on_kill)) {
  State& state = Global();
  std::lock_guard<std::mutex> lock(state.mutex);
  place_ = state.hooks.insert(state.hooks.end(), this);
  if (state.signal != 0 && on_request_) on_request_();
}

Interrupt::Hook::~Hook() {
  State& state = Global();
  std::lock_guard<std::mutex> lock(state.mutex);
  state.hooks.erase(place_);
}

}  // namespace modlab
