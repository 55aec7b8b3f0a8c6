// Watching a sweep until it ends, for `watch` and `run`, and seeing why it waits.

#ifndef MODLAB_CLIENT_COMMANDS_WATCH_H_
#define MODLAB_CLIENT_COMMANDS_WATCH_H_

#include <cstdio>
#include <string>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {

// Shows progress on `out` (a live bar on a terminal, else a line now and then)
// until nothing of the sweep is queued or running, and returns its last view.
// A coordinator that is away for less than 30 s is waited for. CANCELLED on
// Ctrl-C.
absl::StatusOr<v1::Sweep> WatchSweep(const Connection& connection, const std::string& sweep,
                                     std::FILE* out);

// WhyItWaits() by a coordinator's workers, if none of the sweep's jobs runs; "" where it cannot be
// told.
std::string WhySweepWaits(const Connection& connection, const v1::Sweep& sweep);

// "quickstart-1: 94 succeeded, 2 failed." with what to do about the latter.
std::string EndText(const v1::Sweep& sweep, const std::string& flags);

// kExitOk if all jobs succeeded, else kExitFailed.
int EndCode(const v1::Sweep& sweep);

}  // namespace modlab

#endif  // MODLAB_CLIENT_COMMANDS_WATCH_H_
