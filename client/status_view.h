// How a coordinator does, as text and as JSON, from what it says of itself.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_STATUS_VIEW_H_
#define MODLAB_CLIENT_STATUS_VIEW_H_

#include <string>
#include <vector>

#include "modlab/v1/coordinator.pb.h"

namespace modlab {

// Lines without their ends: totals, the store, what is wrong, a table of sweeps and one
// of workers. `place` is where the coordinator is, "at localhost:7070".
std::vector<std::string> StatusLines(const v1::CoordinatorStatus& status, const std::string& place);

// One object on one line; names and units as in the message, times as text.
std::string StatusJson(const v1::CoordinatorStatus& status);

// `lines` as they fit a terminal: each cut at `columns`, and of those beyond `rows` it
// is told how many they are.
std::vector<std::string> FitLines(std::vector<std::string> lines, int rows, int columns);

}  // namespace modlab

#endif  // MODLAB_CLIENT_STATUS_VIEW_H_
