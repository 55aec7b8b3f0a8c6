#include "lib/config/sweep_policy.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/config/words.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {
namespace {

constexpr size_t kLabelBytesMax = 63;
constexpr size_t kUserBytesMax = 63;

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

}  // namespace

absl::Status CheckPolicy(const v1::SweepPolicy& policy) {
  if (policy.priority() < -kPriorityMax || policy.priority() > kPriorityMax) {
    return Invalid("priority: ", policy.priority(), " is not allowed; allowed: -", kPriorityMax,
                   "..", kPriorityMax);
  }
  if (policy.max_running() < 0) {
    return Invalid("max_running: ", policy.max_running(),
                   " is not allowed; allowed: 1 and more, or 0 for no limit");
  }
  return CheckRequirements(policy.requirements());
}

absl::Status CheckRequirements(const v1::Requirements& requirements) {
  const std::string& device = requirements.device();
  if (!device.empty() && device != "cpu" && device != "cuda") {
    return Invalid("device: ", QuotedWord(device),
                   " is not allowed; allowed: cpu, cuda, or nothing for any");
  }
  if (requirements.memory_bytes() < 0) {
    return Invalid("memory_bytes: ", requirements.memory_bytes(),
                   " is not allowed; allowed: 0 (any) and more");
  }
  if (requirements.labels_size() > kRequiredLabelsMax) {
    return Invalid("labels: ", requirements.labels_size(), " are too many; allowed: at most ",
                   kRequiredLabelsMax);
  }
  for (const std::string& label : requirements.labels()) {
    if (auto status = CheckLabel(label); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CheckLabel(absl::string_view label) {
  bool ok = !label.empty() && label.size() <= kLabelBytesMax;
  for (const char c : label) {
    const auto letter = static_cast<unsigned char>(c);
    ok = ok && (absl::ascii_isalnum(letter) ||
                absl::string_view("-_.=/").find(c) != absl::string_view::npos);
  }
  if (ok) return absl::OkStatus();
  return Invalid("label: ", QuotedWord(label),
                 " is not allowed; allowed: 1..63 characters: letters, digits, '-', '_', '.', '=' "
                 "and '/'");
}

absl::Status CheckUser(absl::string_view user) {
  bool ok = user.size() <= kUserBytesMax;
  for (const char c : user) {
    const auto letter = static_cast<unsigned char>(c);
    ok = ok && letter >= 0x20 && letter != 0x7f;
  }
  if (ok) return absl::OkStatus();
  return Invalid("user: ", QuotedWord(user),
                 " is not allowed; allowed: at most 63 characters, none of them a control "
                 "character");
}

bool MeetsRequirements(const v1::Worker& worker, const v1::Requirements& wants) {
  if (!wants.device().empty() && wants.device() != worker.device()) return false;
  if (wants.memory_bytes() > worker.slot_memory_bytes()) return false;
  return std::all_of(wants.labels().begin(), wants.labels().end(), [&](const std::string& label) {
    return std::find(worker.labels().begin(), worker.labels().end(), label) !=
           worker.labels().end();
  });
}

}  // namespace modlab
