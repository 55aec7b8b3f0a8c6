#include "client/extension.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/text.h"
#include "lib/config/sweep_spec.h"
#include "lib/config/words.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {
namespace {

constexpr absl::string_view kDots = "..";

// Adds one value, or those of a range.
absl::Status AddValues(absl::string_view text, int64_t* count, v1::Axis* axis) {
  const size_t dots = text.find(kDots);
  if (dots == absl::string_view::npos) {
    ++*count;
    axis->add_values(std::string(text));
    return absl::OkStatus();
  }
  int64_t first = 0, last = 0;
  if (!absl::SimpleAtoi(text.substr(0, dots), &first) ||
      !absl::SimpleAtoi(text.substr(dots + kDots.size()), &last)) {
    return absl::InvalidArgumentError(
        absl::StrCat(axis->field(), ": ", QuotedWord(text),
                     " is no range; allowed: whole numbers, FIRST..LAST, e.g. 5..9"));
  }
  if (first > last) {
    return absl::InvalidArgumentError(absl::StrCat(axis->field(), ": the range ", text,
                                                   " is empty: ", first, " is above ", last));
  }
  // Unsigned, as the difference of any two numbers fits that.
  const uint64_t more = static_cast<uint64_t>(last) - static_cast<uint64_t>(first);
  if (more >= static_cast<uint64_t>(kSweepJobsMax)) {
    *count = kSweepJobsMax + 1;
    return absl::OkStatus();
  }
  *count += static_cast<int64_t>(more) + 1;
  if (*count > kSweepJobsMax) return absl::OkStatus();
  for (int64_t value = first; value <= last; ++value) axis->add_values(absl::StrCat(value));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<v1::Axis>> ParseExtension(const std::vector<std::string>& words) {
  std::vector<v1::Axis> axes;
  int64_t count = 0;
  for (const std::string& word : words) {
    v1::Axis axis;
    const size_t equals = word.find('=');
    const std::vector<std::string> values =
        equals == std::string::npos ? std::vector<std::string>()
                                    : SplitList(absl::string_view(word).substr(equals + 1));
    if (values.empty() || equals == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(QuotedWord(word),
                       ": expected FIELD=VALUE[,VALUE...] or FIELD=FIRST..LAST, e.g. "
                       "model_seed=5..9"));
    }
    axis.set_field(word.substr(0, equals));
    if (auto status = CheckJobField(axis.field()); !status.ok()) return status;
    for (const std::string& value : values) {
      if (auto status = AddValues(value, &count, &axis); !status.ok()) return status;
      if (count > kSweepJobsMax) {
        return absl::InvalidArgumentError(absl::StrCat(
            axis.field(), ": too many values; a sweep may have at most ", kSweepJobsMax, " jobs"));
      }
    }
    v1::JobConfig scratch;
    for (const std::string& value : axis.values()) {
      if (auto status = SetJobField(axis.field(), value, &scratch); !status.ok()) return status;
    }
    axes.push_back(std::move(axis));
  }
  return axes;
}

}  // namespace modlab
