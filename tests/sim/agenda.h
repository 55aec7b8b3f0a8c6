// Simulated time: what happens next, in the order of its time. And processes:
// things happen to them unless they are stopped (SIGSTOP) or dead.
//
// All on one thread. Times are microseconds since the Unix epoch.

#ifndef MODLAB_TESTS_SIM_AGENDA_H_
#define MODLAB_TESTS_SIM_AGENDA_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/fiber.h"

namespace modlab {
namespace sim {

class Agenda {
 public:
  using Action = std::function<void()>;

  int64_t now_us() const { return now_us_; }
  // What is due at one time is done in the order in which it was put here.
  void After(int64_t delay_us, Action action);
  // Does the next thing; false if there is none.
  bool RunNext();
  // Drops all that is still to come.
  void Clear() { entries_ = {}; }

 private:
  struct Entry {
    int64_t time_us;
    uint64_t number;
    Action action;
  };
  struct Later {
    bool operator()(const Entry& a, const Entry& b) const {
      return std::make_pair(a.time_us, a.number) > std::make_pair(b.time_us, b.number);
    }
  };

  int64_t now_us_ = 1'700'000'000'000'000;
  uint64_t next_number_ = 0;
  std::priority_queue<Entry, std::vector<Entry>, Later> entries_;
};

class Process : public std::enable_shared_from_this<Process> {
 public:
  Process(Agenda* agenda, std::string name) : agenda_(agenda), name_(std::move(name)) {}
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  const std::string& name() const { return name_; }
  bool alive() const { return alive_; }
  bool stopped() const { return stopped_; }

  // Happens after `delay_us`, or once it is continued; not if it is dead by then.
  void After(int64_t delay_us, Agenda::Action action);
  // A thread of the process.
  void Spawn(std::function<void()> body);

  void Stop() { stopped_ = true; }
  void Continue();
  // Its fibers run once more, to their ends: what they wait for fails.
  void Kill();
  bool has_threads() const { return !fibers_.empty(); }

  // -- for its fibers; false if it is dead ------------------------------------------

  bool Sleep(int64_t delay_us);
  // Waits for Wake() with this fiber, but no longer than `delay_us`.
  bool Wait(int64_t delay_us);
  void Wake(Fiber* fiber);

 private:
  struct Thread {
    std::unique_ptr<Fiber> fiber;
    uint64_t wait = 0;  // changes with each
    bool waits = false;
  };

  Thread* Find(const Fiber* fiber);
  void Run(Fiber* fiber);

  Agenda* const agenda_;
  const std::string name_;
  bool alive_ = true;
  bool stopped_ = false;
  std::vector<Agenda::Action> held_up_;  // while it is stopped
  std::vector<std::unique_ptr<Thread>> fibers_;
};

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_AGENDA_H_
