// FieldFilters, parsed once and then asked of many jobs.
//
// Immutable after Parse(), so safe from any thread.

#ifndef MODLAB_SERVER_STORE_JOB_FILTER_H_
#define MODLAB_SERVER_STORE_JOB_FILTER_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/config/config_numbers.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {

class JobFilter {
 public:
  static constexpr size_t kFiltersMax = 64;

  // INVALID_ARGUMENT: too many filters, an unknown field, no values, or a value
  // that the field cannot have; names the nearest known word. Also filters of one
  // field that have no value in common.
  static absl::StatusOr<JobFilter> Parse(const std::vector<v1::FieldFilter>& filters);

  // The filter is the conjunction of all that follows.

  // Bit n stands for the JobState of number n.
  int64_t state_mask() const { return state_mask_; }
  // Bounds of the ids that can pass, both inclusive.
  int64_t id_min() const { return id_min_; }
  int64_t id_max() const { return id_max_; }
  bool MatchesId(int64_t id) const { return !ids_.has_value() || ids_->contains(id); }
  // Of a canonical config.
  bool MatchesConfig(const ConfigNumbers& config) const;

 private:
  JobFilter() = default;
  absl::Status AddStates(const v1::FieldFilter& filter);
  absl::Status AddIds(const v1::FieldFilter& filter);
  absl::Status AddConfigField(const v1::FieldFilter& filter);

  int64_t state_mask_ = ~int64_t{0};
  int64_t id_min_ = 1;
  int64_t id_max_ = std::numeric_limits<int64_t>::max();
  std::optional<absl::flat_hash_set<int64_t>> ids_;
  // The number of a field of JobConfig, and the values that it may have.
  std::vector<std::pair<int, absl::flat_hash_set<double>>> values_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_JOB_FILTER_H_
