// Words: how people write JobConfig fields, enum values and metrics. One table,
// the proto's own descriptors, serves sweep files, filters, group-by lists,
// `describe` and every table that is printed.
//
// All functions are pure and thread-safe. Errors are INVALID_ARGUMENT and name
// the word, the nearest known one and what is allowed.

#ifndef MODLAB_LIB_CONFIG_WORDS_H_
#define MODLAB_LIB_CONFIG_WORDS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// The known word with the smallest edit distance to `word`, or "" where even
// that one differs in more than half of its letters. Case does not count.
std::string NearestWord(absl::string_view word, const std::vector<std::string>& known);

// `word` in quotes, escaped, and cut short where it is long: how messages show
// what came from outside.
std::string QuotedWord(absl::string_view word);

// Names of all JobConfig fields, in field-number order.
const std::vector<std::string>& JobFieldNames();

// OK if `field` names a JobConfig field. Errors begin with `where`, a name for
// what it was given for ("group_by").
absl::Status CheckJobField(absl::string_view field, absl::string_view where = "field");

// Sets one field from a word: "8", "1e-4", "mlp". Numbers must be written in
// full in the field's type ("8.0" is no integer); enum values in any case, with
// '-' or '_' ("gt-modular"). Leaves `config` as it was on
// error. Limits are not checked here; Canonicalise() does.
absl::Status SetJobField(absl::string_view field, absl::string_view word, v1::JobConfig* config);

// The field's value as a word that SetJobField() reads back to the same value:
// enum values in lower case, doubles in the fewest digits that restore them; ""
// if unset, unspecified, or no field of a job.
std::string JobFieldWord(const v1::JobConfig& config, absl::string_view field);

// "collapse_avg" for COLLAPSE_AVG; "" for a value this build does not know.
std::string MetricName(v1::Metric metric);

// The metric of a name, in any case.
absl::StatusOr<v1::Metric> ParseMetric(absl::string_view name);

// Lower-case names of the other enums' values ("queued", "worker_lost").
std::string StateName(v1::JobState state);
absl::StatusOr<v1::JobState> ParseState(absl::string_view name);
std::string CauseName(v1::FailureCause cause);

}  // namespace modlab

#endif  // MODLAB_LIB_CONFIG_WORDS_H_
