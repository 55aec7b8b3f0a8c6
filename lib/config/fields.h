// What job.proto states of single fields: limits, defaults, and the
// architectures that have them.
//
// All functions are pure and thread-safe.

#ifndef MODLAB_LIB_CONFIG_FIELDS_H_
#define MODLAB_LIB_CONFIG_FIELDS_H_

#include <google/protobuf/descriptor.h>

#include <set>
#include <string>

#include "absl/status/status.h"
#include "lib/config/config_numbers.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// Whether the required fields are set, every field that is set is one of the
// architecture's, and its value is allowed. An enum that is set to its
// ..._UNSPECIFIED is cleared: that counts as not set. INVALID_ARGUMENT names field,
// value and what is allowed.
absl::Status CheckFields(v1::JobConfig* config);

// Sets every field that is not set and has a default for such a job. `config`
// must have passed CheckFields().
void FillDefaults(v1::JobConfig* config);

// Whether the field of this number has the value that FillDefaults() would give it. `canonical`
// must come from Canonicalise().
bool IsDefault(const ConfigNumbers& canonical, int field);

// The field's value: numbers as they are, enums by number, unset as 0. Every value
// within the limits fits a double exactly.
double FieldValue(const v1::JobConfig& config, const google::protobuf::FieldDescriptor* field);

// Names of the other fields whose default, or whether they exist, depends on one of
// `fields`: modules, heads and scorer for "model".
std::set<std::string> FollowingFields(const std::set<std::string>& fields);

}  // namespace modlab

#endif  // MODLAB_LIB_CONFIG_FIELDS_H_
