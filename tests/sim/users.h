// People who submit sweeps, change their minds, and do not give up when the
// coordinator does not answer.
//
// All on one thread.

#ifndef MODLAB_TESTS_SIM_USERS_H_
#define MODLAB_TESTS_SIM_USERS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "modlab/v1/sweep.pb.h"
#include "server/engine/ledger.h"
#include "tests/sim/agenda.h"
#include "tests/sim/coordinator.h"
#include "tests/sim/network.h"
#include "tests/sim/random.h"
#include "tests/sim/witness.h"

namespace modlab {
namespace sim {

class Users {
 public:
  struct Options {
    int count = 2;
    int sweeps_max = 4;                // of all of them
    int64_t pause_us = 60'000'000;     // between two things that one of them does, about
    bool change_minds = true;          // or only submit
    bool avoid_places = false;         // of earlier workers
    std::vector<std::string> workers;  // names
  };

  Users(Agenda* agenda, Network* network, Coordinator* coordinator, Witness* witness, uint64_t seed,
        const Options& options);
  ~Users();

  void Start();
  // No more whims. What they asked for last they still insist on.
  void CalmDown() { calm_ = true; }
  bool busy() const { return busy_ > 0; }
  // Resumes every sweep, lifts limits, releases workers, and queues again what failed
  // and need not.
  void CleanUp();

  int64_t calls() const { return calls_; }

 private:
  void Live(int user);
  void Submit(int user);
  void DoSomething(int user);

  // Asks until there is an answer that is one. In a fiber.
  absl::StatusOr<std::string> Insist(
      int user, const std::string& what,
      const std::function<absl::StatusOr<std::string>(Ledger*, int64_t)>& step, bool reads_store);
  // Once.
  absl::StatusOr<std::string> Ask(
      int user, const std::function<absl::StatusOr<std::string>(Ledger*, int64_t)>& step,
      bool reads_store);

  v1::SweepSpec RandomSpec();
  v1::SweepPolicy RandomPolicy();
  void Extend(int user, const std::string& sweep);
  void Update(int user, const std::string& sweep);
  void Retry(int user, const std::string& sweep, const std::vector<int64_t>& jobs);

  Network* const network_;
  Coordinator* const coordinator_;
  Witness* const witness_;
  const Options options_;
  Random random_;
  std::shared_ptr<Process> process_;
  std::set<std::string> sweeps_;
  int submitted_ = 0;
  int next_request_ = 0;
  bool calm_ = false;
  int busy_ = 0;
  int64_t calls_ = 0;
};

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_USERS_H_
