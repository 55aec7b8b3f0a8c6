// Keeps programs running, and ends them all when it is destroyed.
//
// A program that ends by itself is started again, at most 5 times a minute;
// then the supervisor gives up on it. One that may go stays away where it ends with
// exit code 0. Their output goes to DIR/NAME.log. When
// this process dies, however it dies, the kernel ends them.
//
// Thread-safe.

#ifndef MODLAB_CLIENT_SUPERVISOR_H_
#define MODLAB_CLIENT_SUPERVISOR_H_

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/sync/mutex.h"

namespace modlab {

class Supervisor {
 public:
  struct Program {
    // For messages, and the name of its log.
    std::string name;
    // argv[0] is a path.
    std::vector<std::string> argv;
    // It is ready once it has written this; empty: at once.
    std::string ready_text;
    // Exit code 0 means that it is no longer needed.
    bool may_go = false;
  };

  // `log_dir` must exist.
  explicit Supervisor(std::string log_dir);
  // Calls Stop().
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Returns when the program is ready. FAILED_PRECONDITION with the end of its
  // log if it ends before, DEADLINE_EXCEEDED after 30 s, CANCELLED on Ctrl-C;
  // it is not started again then.
  absl::Status Start(Program program);

  // OK while all are kept running; INTERNAL with the end of a log once one was
  // given up.
  absl::Status status() const;

  // Whether there are programs that may go, and all of them have.
  bool AllWent() const;

  // Ends all programs but the first (SIGTERM, after 10 s SIGKILL), then the first,
  // which the others may depend on, and waits for them. Nothing can be started
  // afterwards. Calling it again does nothing.
  void Stop();

  // SIGKILL to all, without waiting. For the second Ctrl-C.
  void Kill();

 private:
  struct Child {
    Program program;
    std::string log_path;
    pid_t pid = 0;                // 0 while it does not run
    int64_t log_start_bytes = 0;  // where the log of this life begins
    bool ready = false;
    bool went = false;     // by itself, and for good
    absl::Status failure;  // not OK: given up
    absl::Time restart_at = absl::InfinitePast();
    std::deque<absl::Time> restarts;
  };

  // All that follow run on thread_: children die with the thread that started them,
  // so that only this one, which outlives them, does.
  void Run();
  void Tend(Child* child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HandleEnd(Child* child, const std::string& how) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The first, or all others.
  void End(bool first) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Signal(bool first, int number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True once they are gone.
  bool Reap(bool first) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string log_dir_;
  mutable Mutex mutex_;
  Condition changed_;
  std::list<Child> children_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace modlab

#endif  // MODLAB_CLIENT_SUPERVISOR_H_
