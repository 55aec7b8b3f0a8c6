// What sweep.proto allows in a SweepPolicy, in labels and in the name of a user; and
// whether a worker has what a sweep requires.
//
// All functions are pure and thread-safe. Errors are INVALID_ARGUMENT and name the
// field, its value and what is allowed.

#ifndef MODLAB_LIB_CONFIG_SWEEP_POLICY_H_
#define MODLAB_LIB_CONFIG_SWEEP_POLICY_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/sweep.pb.h"
#include "modlab/v1/worker.pb.h"

namespace modlab {

inline constexpr int kPriorityMax = 1000;
inline constexpr int kRequiredLabelsMax = 16;

absl::Status CheckPolicy(const v1::SweepPolicy& policy);
absl::Status CheckRequirements(const v1::Requirements& requirements);

bool MeetsRequirements(const v1::Worker& worker, const v1::Requirements& wants);

// 1..63 characters of letters, digits, '-', '_', '.', '=' and '/'.
absl::Status CheckLabel(absl::string_view label);

// 0..63 bytes without control characters.
absl::Status CheckUser(absl::string_view user);

}  // namespace modlab

#endif  // MODLAB_LIB_CONFIG_SWEEP_POLICY_H_
