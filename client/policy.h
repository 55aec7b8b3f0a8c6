// What a command line says about a sweep's policy, and how a policy reads.
//
// All functions are pure and thread-safe.

#ifndef MODLAB_CLIENT_POLICY_H_
#define MODLAB_CLIENT_POLICY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {

// What is not set stays as it is.
struct PolicyChange {
  std::optional<int32_t> priority;
  std::optional<int32_t> max_running;
  std::optional<bool> preempt;
  std::optional<bool> paused;
  // Requirements. Without those of before where `no_requirements` is set; labels take
  // the place of the earlier ones.
  bool no_requirements = false;
  std::optional<std::string> device;
  std::optional<double> memory_gib;
  std::vector<std::string> labels;

  bool ChangesRequirements() const;
  bool empty() const;
};

// INVALID_ARGUMENT where the outcome is not allowed; then `policy` is half changed.
absl::Status ApplyChange(const PolicyChange& change, v1::SweepPolicy* policy);

// The memory in bytes. INVALID_ARGUMENT: not above 0, or more than a million.
absl::StatusOr<int64_t> BytesOfGib(double gib);

// "priority 5, at most 4 running, preempts, paused, needs cuda, 40 GiB, a100"; "" where
// all is as by default.
std::string PolicyText(const v1::SweepPolicy& policy);
// "cuda, 40 GiB, a100"; "" for none.
std::string RequirementsText(const v1::Requirements& requirements);

}  // namespace modlab

#endif  // MODLAB_CLIENT_POLICY_H_
