// How the coordinator does, with the sizes of its files.

#ifndef MODLAB_SERVER_STATUS_STATUS_READER_H_
#define MODLAB_SERVER_STATUS_STATUS_READER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/engine.h"

namespace modlab {

// All of it; blocks until the engine answers. Thread-safe.
absl::StatusOr<EngineStatus> ReadStatus(Engine* engine, const std::string& data_dir);

// Whether the coordinator can do its work: UNAVAILABLE says why not. What could not be
// written counts for half a minute, since without a new try nobody knows better.
absl::Status Readiness(const absl::StatusOr<EngineStatus>& status);

}  // namespace modlab

#endif  // MODLAB_SERVER_STATUS_STATUS_READER_H_
