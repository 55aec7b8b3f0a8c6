#include "client/waiting.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/policy.h"
#include "client/text.h"
#include "lib/config/sweep_policy.h"

namespace modlab {

namespace {

bool IsQuarantined(const v1::Worker& worker, int64_t now_us) {
  return worker.quarantined_until_us() > now_us;
}

bool TakesJobs(const v1::Worker& worker, int64_t now_us) {
  return !worker.draining() && !IsQuarantined(worker, now_us);
}

// The most that a slot may use of workers that have everything else; 0: there are none.
int64_t MostMemory(v1::Requirements wants, const Workers& workers, int64_t now_us) {
  wants.clear_memory_bytes();
  int64_t most = 0;
  for (const v1::Worker& worker : workers) {
    if (!TakesJobs(worker, now_us) || !MeetsRequirements(worker, wants)) continue;
    most = std::max(most, worker.slot_memory_bytes());
  }
  return most;
}

}  // namespace

bool SomeWorkerFits(const v1::Requirements& wants, const Workers& workers, int64_t now_us) {
  return std::any_of(workers.begin(), workers.end(), [&](const v1::Worker& worker) {
    return TakesJobs(worker, now_us) && MeetsRequirements(worker, wants);
  });
}

std::string WhyItWaits(const v1::Sweep& sweep, const Workers& workers, int64_t now_us,
                       const std::string& address, const std::string& flags) {
  const v1::Requirements& wants = sweep.policy().requirements();
  if (sweep.counts().queued() == 0 || sweep.policy().paused()) return "";
  if (SomeWorkerFits(wants, workers, now_us)) return "";
  if (workers.empty()) {
    return absl::StrCat("No worker is connected. Start one with `modlab-worker --server ", address,
                        "`.");
  }
  if (!SomeWorkerFits({}, workers, now_us)) {
    const auto drain = std::count_if(workers.begin(), workers.end(),
                                     [](const v1::Worker& worker) { return worker.draining(); });
    const int64_t quarantined = workers.size() - drain;
    std::vector<std::string> parts;
    if (drain > 0) parts.push_back(absl::StrCat(drain, drain == 1 ? " drains" : " drain"));
    if (quarantined > 0) {
      parts.push_back(absl::StrCat(quarantined, quarantined == 1 ? " is" : " are",
                                   " in quarantine, as its gangs failed"));
    }
    return absl::StrCat("No worker takes jobs now: ", absl::StrJoin(parts, ", "),
                        ". Start another, or see `modlab workers", flags, "`",
                        quarantined > 0 ? " and `modlab workers release NAME`." : ".");
  }
  const int64_t most = MostMemory(wants, workers, now_us);
  return absl::StrCat(
      "No worker that takes jobs meets what it requires (", RequirementsText(wants), ")",
      most == 0 ? ""
                : absl::StrCat("; a slot of those that have the rest may use ", BytesText(most)),
      ". Start one that does, or change what it requires: `modlab set ", sweep.id(),
      " --no-requirements", flags, "`.");
}

}  // namespace modlab
