#include "server/store/job_filter.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "lib/config/words.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

absl::Status UnknownField(const std::string& field) {
  std::vector<std::string> known = JobFieldNames();
  known.push_back("state");
  known.push_back("job");
  const std::string nearest = NearestWord(field, known);
  return absl::InvalidArgumentError(
      absl::StrCat("filter on unknown field ", QuotedWord(field),
                   nearest.empty() ? ";" : absl::StrCat("; did you mean \"", nearest, "\"?"),
                   " known are the fields of a job's config, \"state\" and \"job\""));
}

absl::Status Contradiction(const std::string& field) {
  return absl::InvalidArgumentError(
      absl::StrCat("filters on ", QuotedWord(field),
                   ": no job has a value of each; filters must all hold, so give one of them all "
                   "the values"));
}

}  // namespace

absl::StatusOr<JobFilter> JobFilter::Parse(const std::vector<v1::FieldFilter>& filters) {
  if (filters.size() > kFiltersMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("filters: at most ", kFiltersMax, ", not ", filters.size()));
  }
  JobFilter result;
  for (const v1::FieldFilter& filter : filters) {
    if (filter.values().empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("filter on ", QuotedWord(filter.field()), ": needs at least one value"));
    }
    absl::Status status;
    if (filter.field() == "state") {
      status = result.AddStates(filter);
    } else if (filter.field() == "job") {
      status = result.AddIds(filter);
    } else if (CheckJobField(filter.field()).ok()) {
      status = result.AddConfigField(filter);
    } else {
      status = UnknownField(filter.field());
    }
    if (!status.ok()) return status;
  }
  return result;
}

absl::Status JobFilter::AddStates(const v1::FieldFilter& filter) {
  int64_t mask = 0;
  for (const std::string& value : filter.values()) {
    const absl::StatusOr<v1::JobState> state = ParseState(value);
    if (!state.ok()) return state.status();
    mask |= int64_t{1} << *state;
  }
  state_mask_ &= mask;
  return state_mask_ == 0 ? Contradiction(filter.field()) : absl::OkStatus();
}

absl::Status JobFilter::AddIds(const v1::FieldFilter& filter) {
  absl::flat_hash_set<int64_t> ids;
  for (const std::string& value : filter.values()) {
    int64_t id = 0;
    if (!absl::SimpleAtoi(value, &id) || id <= 0) {
      return absl::InvalidArgumentError(absl::StrCat("filter on \"id\": ", QuotedWord(value),
                                                     " is no job id; allowed are 1, 2, 3, ..."));
    }
    if (MatchesId(id)) ids.insert(id);
  }
  if (ids.empty()) return Contradiction(filter.field());
  id_min_ = *std::min_element(ids.begin(), ids.end());
  id_max_ = *std::max_element(ids.begin(), ids.end());
  ids_ = std::move(ids);
  return absl::OkStatus();
}

absl::Status JobFilter::AddConfigField(const v1::FieldFilter& filter) {
  const int field = v1::JobConfig::descriptor()->FindFieldByName(filter.field())->number();
  absl::flat_hash_set<double> values;
  for (const std::string& value : filter.values()) {
    v1::JobConfig scratch;
    absl::Status status = SetJobField(filter.field(), value, &scratch);
    if (!status.ok()) return status;
    values.insert(ConfigNumbers(scratch)[field]);
  }
  for (auto& [other, known] : values_) {
    if (other != field) continue;
    absl::erase_if(known, [&values](double value) { return !values.contains(value); });
    return known.empty() ? Contradiction(filter.field()) : absl::OkStatus();
  }
  values_.emplace_back(field, std::move(values));
  return absl::OkStatus();
}

bool JobFilter::MatchesConfig(const ConfigNumbers& config) const {
  return std::all_of(values_.begin(), values_.end(), [&config](const auto& entry) {
    return config.has(entry.first) && entry.second.contains(config[entry.first]);
  });
}

}  // namespace modlab
