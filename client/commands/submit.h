// Submitting a sweep file, for `submit` and `run`.

#ifndef MODLAB_CLIENT_COMMANDS_SUBMIT_H_
#define MODLAB_CLIENT_COMMANDS_SUBMIT_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {

// Safe against lost answers: one request id for all tries.
absl::StatusOr<v1::CreateSweepResponse> SubmitSweep(const Connection& connection,
                                                    const v1::SweepSpec& spec, bool force);

// "quickstart-1: 96 jobs in ./modlab-data (90 new, 6 shared with earlier sweeps)".
std::string SubmittedText(const v1::CreateSweepResponse& response, const std::string& place);

}  // namespace modlab

#endif  // MODLAB_CLIENT_COMMANDS_SUBMIT_H_
