// The store and the artifacts of an installation at rest: nothing that is not needed,
// and all that is.

#ifndef MODLAB_TESTS_SIM_END_CHECK_H_
#define MODLAB_TESTS_SIM_END_CHECK_H_

#include <string>

#include "tests/sim/coordinator.h"

namespace modlab {
namespace sim {

// Every job has ended and garbage has had its time. Returns what is wrong, or "".
std::string CheckStoreAtRest(Coordinator* coordinator);

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_END_CHECK_H_
