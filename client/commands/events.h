// What happened to a job, for `show JOB --events`.

#ifndef MODLAB_CLIENT_COMMANDS_EVENTS_H_
#define MODLAB_CLIENT_COMMANDS_EVENTS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "client/connection.h"
#include "client/format.h"

namespace modlab {

// Prints them as they happened, one a row.
absl::Status PrintJobEvents(const Connection& connection, int64_t job, Format format);

}  // namespace modlab

#endif  // MODLAB_CLIENT_COMMANDS_EVENTS_H_
