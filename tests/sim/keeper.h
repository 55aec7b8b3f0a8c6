// The simulated CheckpointKeeper: the same class (worker/checkpoint_keeper.h), but its
// thread is what this file says.

#ifndef MODLAB_TESTS_SIM_KEEPER_H_
#define MODLAB_TESTS_SIM_KEEPER_H_

#include <functional>
#include <map>

namespace modlab {
namespace sim {

struct KeeperThread {
  std::function<void(std::function<void()> body)> start;
  std::function<bool()> wait;  // on the thread; false if its process is dead
  std::function<void()> wake;
};

// For the keepers made from now on.
void SetKeeperThread(KeeperThread thread);

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_KEEPER_H_
