#include "client/policy.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/text.h"
#include "lib/config/sweep_policy.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {
namespace {

constexpr double kBytesPerGib = 1 << 30;
constexpr double kGibMax = 1e6;

}  // namespace

bool PolicyChange::ChangesRequirements() const {
  return no_requirements || device.has_value() || memory_gib.has_value() || !labels.empty();
}

bool PolicyChange::empty() const {
  return !priority && !max_running && !preempt && !paused && !ChangesRequirements();
}

absl::Status ApplyChange(const PolicyChange& change, v1::SweepPolicy* policy) {
  if (change.priority) policy->set_priority(*change.priority);
  if (change.max_running) policy->set_max_running(*change.max_running);
  if (change.preempt) policy->set_preempt(*change.preempt);
  if (change.paused) policy->set_paused(*change.paused);
  if (change.ChangesRequirements()) {
    v1::Requirements* const requirements = policy->mutable_requirements();
    if (change.no_requirements) requirements->Clear();
    if (change.device) requirements->set_device(*change.device);
    if (change.memory_gib) {
      const auto bytes = BytesOfGib(*change.memory_gib);
      if (!bytes.ok()) return bytes.status();
      requirements->set_memory_bytes(*bytes);
    }
    if (!change.labels.empty()) {
      requirements->mutable_labels()->Assign(change.labels.begin(), change.labels.end());
    }
  }
  return CheckPolicy(*policy);
}

absl::StatusOr<int64_t> BytesOfGib(double gib) {
  // Written so that NaN is refused.
  if (gib > 0 && gib <= kGibMax) return std::llround(gib * kBytesPerGib);
  return absl::InvalidArgumentError(absl::StrCat("memory: ", NumberText(gib),
                                                 " GiB is not allowed; allowed: above 0, at most ",
                                                 CountText(std::llround(kGibMax))));
}

std::string RequirementsText(const v1::Requirements& requirements) {
  std::vector<std::string> parts;
  if (!requirements.device().empty()) parts.push_back(requirements.device());
  if (requirements.memory_bytes() > 0) {
    parts.push_back(NumberText(static_cast<double>(requirements.memory_bytes()) / kBytesPerGib) +
                    " GiB");
  }
  parts.insert(parts.end(), requirements.labels().begin(), requirements.labels().end());
  return absl::StrJoin(parts, ", ");
}

std::string PolicyText(const v1::SweepPolicy& policy) {
  std::vector<std::string> parts;
  if (policy.priority() != 0) parts.push_back(absl::StrCat("priority ", policy.priority()));
  if (policy.max_running() > 0) {
    parts.push_back(absl::StrCat("at most ", CountText(policy.max_running()), " running"));
  }
  if (policy.preempt()) parts.emplace_back("preempts");
  if (policy.paused()) parts.emplace_back("paused");
  const std::string needs = RequirementsText(policy.requirements());
  if (!needs.empty()) parts.push_back("needs " + needs);
  return absl::StrJoin(parts, ", ");
}

}  // namespace modlab
