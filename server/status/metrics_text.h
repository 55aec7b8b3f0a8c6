// How the coordinator does, in Prometheus' text format.

#ifndef MODLAB_SERVER_STATUS_METRICS_TEXT_H_
#define MODLAB_SERVER_STATUS_METRICS_TEXT_H_

#include <string>

#include "server/engine/engine_core.h"

namespace modlab {

// Every label has a few values that are known beforehand: nothing is told by job, sweep,
// user or worker. Counters begin at 0 when the coordinator starts. Pure, thread-safe.
std::string MetricsText(const EngineStatus& status);

}  // namespace modlab

#endif  // MODLAB_SERVER_STATUS_METRICS_TEXT_H_
