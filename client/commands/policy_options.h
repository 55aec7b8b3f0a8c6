// Options about a sweep's policy and its user, for `submit`, `run`, `set` and `retry`.

#ifndef MODLAB_CLIENT_COMMANDS_POLICY_OPTIONS_H_
#define MODLAB_CLIENT_COMMANDS_POLICY_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>

#include "client/policy.h"

namespace modlab {

// --priority, --max-running, --preempt, --require..., --no-requirements; "Policy" in the
// help.
void AddPolicyOptions(CLI::App* command, PolicyChange* change);
// The login name; "" for a user that this machine has no name for, or none that is allowed.
std::string LoginName();
// --user, whose a new sweep is; sets *user to the login name.
void AddUserOption(CLI::App* command, std::string* user);

}  // namespace modlab

#endif  // MODLAB_CLIENT_COMMANDS_POLICY_OPTIONS_H_
