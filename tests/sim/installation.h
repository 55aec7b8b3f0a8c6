// A whole installation, and everything that can happen to one, from one number.

#ifndef MODLAB_TESTS_SIM_INSTALLATION_H_
#define MODLAB_TESTS_SIM_INSTALLATION_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/agenda.h"
#include "tests/sim/coordinator.h"
#include "tests/sim/network.h"
#include "tests/sim/random.h"
#include "tests/sim/users.h"
#include "tests/sim/witness.h"
#include "tests/sim/worker.h"

namespace modlab {
namespace sim {

// How a run came out.
struct Outcome {
  uint64_t seed = 0;
  std::string wrong;  // "": all is well
  int64_t steps = 0;
  int64_t simulated_us = 0;
  int64_t jobs = 0;
  uint64_t fingerprint = 0;               // equal for equal runs
  std::map<std::string, int64_t> counts;  // of faults and other things by name
};

class Installation {
 public:
  Installation(uint64_t seed, Coordinator::Sabotage sabotage, const Witness::Trace& trace);

  // Troubles it for a while, lets it calm down, and looks at what has become of it.
  Outcome Run();

 private:
  // How bad this run is. Most runs have some kinds of trouble and not others, so that
  // one does not hide what another would show.
  struct Trouble {
    int64_t duration_us = 0;
    int64_t between_us = 0;  // two blows, about
    bool disk_crashes = false;
    bool full_disk = false;
    bool disk_errors = false;
    bool kills = false;
    bool stops = false;
    bool drains = false;
    bool streams_break = false;
    bool partitions = false;
    bool clock_jumps = false;
    bool bad_machines = false;
    bool hangs = false;
    Network::Weather weather;
  };

  void ChooseTrouble();
  void StrikeLater();
  void Strike();
  void CalmDown();
  // Does what is due until then; false where something is wrong.
  bool RunUntil(int64_t time_us);
  bool AllEnded() const;
  std::string WhatIsStuck() const;
  void CheckEnd();
  Outcome Sum() const;

  const uint64_t seed_;
  Random random_;
  Agenda agenda_;
  Network network_;
  Witness witness_;
  Coordinator coordinator_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Users> users_;
  Trouble trouble_;
  bool calm_ = false;
  int64_t steps_ = 0;
  int64_t partitions_ = 0;
  int64_t standstills_ = 0;
  int64_t clock_jumps_ = 0;
};

// One run.
Outcome RunSeed(uint64_t seed, const Coordinator::Sabotage& sabotage = {},
                const Witness::Trace& trace = nullptr);

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_INSTALLATION_H_
