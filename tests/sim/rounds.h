// Many runs on all cores, and what they add up to.

#ifndef MODLAB_TESTS_SIM_ROUNDS_H_
#define MODLAB_TESTS_SIM_ROUNDS_H_

#include <cstdint>

namespace modlab {
namespace sim {

struct RoundOptions {
  uint64_t first_seed = 1;
  int64_t runs = INT64_MAX;
  double seconds = 0;  // 0: until all runs are done
  int processes = 0;   // 0: one a core
};

// Runs seeds from the first on and prints what came of it. Returns whether all is
// well.
bool RunRounds(const RoundOptions& options);
bool RunOne(uint64_t seed, bool trace);

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_ROUNDS_H_
