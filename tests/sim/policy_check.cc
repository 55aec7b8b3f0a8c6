#include "tests/sim/policy_check.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"

namespace modlab {
namespace sim {

namespace {

std::string Show(const v1::SweepLoad& load) { return load.ShortDebugString(); }

bool TakesAnyWorker(const v1::SweepLoad& load) {
  const v1::Requirements& needs = load.policy().requirements();
  return needs.device().empty() && needs.labels().empty() && needs.memory_bytes() == 0;
}

// It has jobs that any worker could be given now.
bool Wants(const v1::SweepLoad& load) {
  const int64_t limit = load.policy().max_running();
  return !load.policy().paused() && TakesAnyWorker(load) && load.waiting() > load.delayed() &&
         (limit == 0 || load.running() < limit);
}

}  // namespace

std::string PolicyCheck::Turn(const std::vector<v1::SweepLoad>& loads, bool by_users) {
  std::map<std::string, v1::SweepLoad> now;
  std::map<std::string, int64_t> slots_of_user;
  for (const v1::SweepLoad& load : loads) {
    now[load.id()] = load;
    slots_of_user[load.user()] += load.slots();
  }
  const std::map<std::string, v1::SweepLoad> before = std::exchange(before_, now);
  if (by_users) return "";
  for (const auto& [id, load] : now) {
    const auto old = before.find(id);
    if (old == before.end()) continue;
    const int64_t limit = load.policy().max_running();
    if (limit > 0 && load.running() > limit && load.running() > old->second.running()) {
      return absl::StrCat("more jobs than max_running were started: ", Show(load));
    }
    if (load.policy().paused() && load.running() > old->second.running()) {
      return absl::StrCat("jobs of a paused sweep were started: ", Show(load));
    }
    if (load.slots() <= old->second.slots()) continue;
    // A slot was given to it in this turn; who else still waits for one?
    for (const auto& [other_id, other] : now) {
      if (other_id == id || !Wants(other)) continue;
      const bool is_lower = load.policy().priority() < other.policy().priority();
      const bool is_equal = load.policy().priority() == other.policy().priority();
      const bool same_user = load.user() == other.user();
      const int64_t mine = same_user ? load.slots() : slots_of_user[load.user()];
      const int64_t theirs = same_user ? other.slots() : slots_of_user[other.user()];
      if (is_lower || (is_equal && mine - 1 > theirs)) {
        std::string all;
        for (const auto& [any_id, any] : now) all += "; " + Show(any);
        return absl::StrCat("a slot went to ", id, " while there waited ", other_id, all);
      }
    }
  }
  return "";
}

}  // namespace sim
}  // namespace modlab
