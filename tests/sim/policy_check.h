// Whether turns of the engine keep the queue's policy: limits, priorities, fair shares.

#ifndef MODLAB_TESTS_SIM_POLICY_CHECK_H_
#define MODLAB_TESTS_SIM_POLICY_CHECK_H_

#include <map>
#include <string>
#include <vector>

#include "modlab/v1/coordinator.pb.h"

namespace modlab {
namespace sim {

class PolicyCheck {
 public:
  // The loads after a turn. `by_users`: users changed something in it, or it is the
  // first; then it is only remembered. Returns what is wrong, or "".
  std::string Turn(const std::vector<v1::SweepLoad>& loads, bool by_users);
  void Forget() { before_.clear(); }

 private:
  std::map<std::string, v1::SweepLoad> before_;
};

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_POLICY_CHECK_H_
