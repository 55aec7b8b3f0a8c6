#include "server/care/sweep_check.h"

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "lib/config/job_config.h"
#include "lib/config/sweep_spec.h"
#include "lib/config/words.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

// "model=modular rules=8": what was chosen in a config.
std::string ConfigText(const v1::JobConfig& config) {
  std::string text;
  for (const char* field :
       {"architecture", "target", "model", "rules", "data_seed", "model_seed"}) {
    absl::StrAppend(&text, text.empty() ? "" : " ", field, "=", JobFieldWord(config, field));
  }
  return text;
}

}  // namespace

int64_t AuditSweepJobs(const v1::Sweep& sweep,
                       const std::vector<std::pair<int64_t, std::string>>& jobs,
                       Findings* findings) {
  const std::string subject = absl::StrCat("sweep ", sweep.id());
  const absl::StatusOr<std::vector<v1::JobConfig>> configs = ExpandSweep(sweep.spec());
  if (!configs.ok()) {
    findings->Damage(
        "bad_spec", subject,
        absl::StrCat("its spec is refused: ", std::string(configs.status().message())));
    return 0;
  }
  absl::flat_hash_map<std::string, int64_t> job_of;  // by key; 0: none so far
  for (const v1::JobConfig& config : *configs) job_of.emplace(JobKey(config), 0);
  auto missing = static_cast<int64_t>(job_of.size());
  for (const auto& [job, key] : jobs) {
    const auto found = job_of.find(key);
    if (found == job_of.end()) {
      findings->Damage("extra_job", subject,
                       absl::StrCat("job ", job, " is in it, and its spec does not ask for it"));
    } else if (found->second != 0) {
      findings->Damage(
          "doubled_config", subject,
          absl::StrCat("jobs ", found->second, " and ", job, " of it have the same config"));
    } else {
      found->second = job;
      --missing;
    }
  }
  if (missing == 0) return 0;
  for (const v1::JobConfig& config : *configs) {
    if (job_of[JobKey(config)] != 0) continue;
    findings->Damage(
        "missing_job", subject,
        absl::StrCat("it has no job for ", ConfigText(config), ". Submit its file again"));
  }
  return missing;
}

}  // namespace modlab
