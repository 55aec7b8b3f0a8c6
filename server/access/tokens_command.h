// `modlabd tokens`: makes, revokes and lists tokens, also while a coordinator runs
// on the data directory.

#ifndef MODLAB_SERVER_ACCESS_TOKENS_COMMAND_H_
#define MODLAB_SERVER_ACCESS_TOKENS_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>

#include "absl/status/status.h"

namespace modlab {

// Registers the subcommand; once the line is parsed, `*action` does what was asked
// for and is empty if it was something else.
void AddTokensCommand(CLI::App* app, std::function<absl::Status()>* action);

}  // namespace modlab

#endif  // MODLAB_SERVER_ACCESS_TOKENS_COMMAND_H_
