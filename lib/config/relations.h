// The limits of job.proto that tie the fields of a config to each other.

#ifndef MODLAB_LIB_CONFIG_RELATIONS_H_
#define MODLAB_LIB_CONFIG_RELATIONS_H_

#include "absl/status/status.h"
#include "modlab/v1/job.pb.h"

namespace modlab {

// INVALID_ARGUMENT names field, value and what is allowed. `config` has passed
// CheckFields() and FillDefaults(). Pure, thread-safe.
absl::Status CheckRelations(const v1::JobConfig& config);

}  // namespace modlab

#endif  // MODLAB_LIB_CONFIG_RELATIONS_H_
