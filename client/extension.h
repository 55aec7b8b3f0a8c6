// Values that a sweep is to be extended by, as a command line gives them:
// "model_seed=5..9,12".
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_EXTENSION_H_
#define MODLAB_CLIENT_EXTENSION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {

// One axis for each of `words`, FIELD=VALUE[,VALUE...]; a value may be a range of
// integers, FIRST..LAST, both of them included. INVALID_ARGUMENT names the word and
// what is allowed; also for an unknown field, a value that is none of its field's, and
// more than a million values.
absl::StatusOr<std::vector<v1::Axis>> ParseExtension(const std::vector<std::string>& words);

}  // namespace modlab

#endif  // MODLAB_CLIENT_EXTENSION_H_
