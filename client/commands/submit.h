// Submitting a sweep file, for `submit` and `run`.

#ifndef MODLAB_CLIENT_COMMANDS_SUBMIT_H_
#define MODLAB_CLIENT_COMMANDS_SUBMIT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {

// Sends `request` with a request id of its own: safe against lost answers.
absl::StatusOr<v1::CreateSweepResponse> SubmitSweep(const Connection& connection,
                                                    v1::CreateSweepRequest request);

// How the jobs of a sweep get trained on a data directory that no coordinator holds.
std::string HowToTrain(const Connection& connection, const std::string& sweep);

// "90 new, 6 shared with earlier sweeps", "" for none.
std::string JobOriginsText(int64_t created, int64_t shared, int64_t requeued);

// "quickstart-1: 96 jobs in ./modlab-data (90 new, 6 shared with earlier sweeps)".
std::string SubmittedText(const v1::CreateSweepResponse& response, const std::string& place);

}  // namespace modlab

#endif  // MODLAB_CLIENT_COMMANDS_SUBMIT_H_
