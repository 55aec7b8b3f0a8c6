// Ctrl-C: SIGINT, SIGTERM and SIGHUP ask the command to stop in order; a second
// one ends it at once. Signals that are ignored when the command starts (nohup)
// stay ignored.
//
// All functions are thread-safe but Install().

#ifndef MODLAB_CLIENT_INTERRUPT_H_
#define MODLAB_CLIENT_INTERRUPT_H_

#include <functional>
#include <list>

#include "absl/time/time.h"

namespace modlab {

class Interrupt {
 public:
  // Begins to listen. Call first in main(), before any other thread exists:
  // threads inherit the blocked signals.
  static void Install();

  static bool Requested();
  // What the process should exit with after a request: 128 + signal.
  static int ExitCode();
  // Returns early, with false, when a stop is or was requested.
  static bool Sleep(absl::Duration duration);

  // Calls `on_request` at the first signal, or at once where one came before,
  // and `on_kill` at the second, right before the process ends. Either may be
  // empty. Both run on another thread and must not block; none of them runs
  // during or after the destructor.
  class Hook {
   public:
    Hook(std::function<void()> on_request, std::function<void()> on_kill);
    ~Hook();
    Hook(const Hook&) = delete;
    Hook& operator=(const Hook&) = delete;

   private:
    friend class Interrupt;
    const std::function<void()> on_request_;
    const std::function<void()> on_kill_;
    std::list<Hook*>::iterator place_;
  };
};

}  // namespace modlab

#endif  // MODLAB_CLIENT_INTERRUPT_H_
