// `modlabd restore` and `modlabd check`: what is done to a store that no coordinator
// runs on.

#ifndef MODLAB_SERVER_CARE_COMMANDS_H_
#define MODLAB_SERVER_CARE_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <functional>

#include "absl/status/status.h"

namespace modlab {

// Registers the subcommands; once the line is parsed and one of them was given,
// `*action` does it. An action that is OK has set `*exit_code`, which must outlive it.
void AddCareCommands(CLI::App* app, std::function<absl::Status()>* action, int* exit_code);

}  // namespace modlab

#endif  // MODLAB_SERVER_CARE_COMMANDS_H_
