#include "client/commands/policy_options.h"

#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "client/policy.h"
#include "lib/config/sweep_policy.h"

namespace modlab {
namespace {

constexpr char kGroup[] = "Policy";

}  // namespace

std::string LoginName() {
  std::vector<char> buffer(1 << 14);
  passwd entry = {};
  passwd* found = nullptr;
  getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found);
  const std::string name = found == nullptr ? "" : found->pw_name;
  return CheckUser(name).ok() ? name : "";
}

void AddPolicyOptions(CLI::App* command, PolicyChange* change) {
  command
      ->add_option("--priority", change->priority,
                   "Sweeps of a higher priority come first; -1000 to 1000, 0 unless set")
      ->type_name("N")
      ->check(CLI::Range(-kPriorityMax, kPriorityMax).description(""))
      ->group(kGroup);
  command->add_option("--max-running", change->max_running, "Jobs that run at a time; 0: no limit")
      ->type_name("N")
      ->check(CLI::Range(0, std::numeric_limits<int32_t>::max()).description(""))
      ->group(kGroup);
  command
      ->add_flag_function(
          "--preempt,!--no-preempt", [change](int64_t count) { change->preempt = count > 0; },
          "Make sweeps of a lower priority hand back their checkpoints to get room")
      ->group(kGroup);
  command
      ->add_option("--require", change->labels,
                   "Only workers with this label; may be repeated, they have all of them")
      ->type_name("LABEL")
      ->allow_extra_args(false)
      ->group(kGroup);
  command->add_option("--require-device", change->device, "Only workers of this kind: cpu or cuda")
      ->type_name("KIND")
      ->check(CLI::IsMember({"cpu", "cuda"}).description(""))
      ->group(kGroup);
  command
      ->add_option("--require-memory", change->memory_gib,
                   "Only workers of which a slot may use at least so much memory: four fifths of "
                   "the worker's, divided by its slots")
      ->type_name("GIB")
      ->group(kGroup);
  command
      ->add_flag("--no-requirements", change->no_requirements,
                 "Any worker, but for what --require... says")
      ->group(kGroup);
}

void AddUserOption(CLI::App* command, std::string* user) {
  *user = LoginName();
  command
      ->add_option("--user", *user,
                   "Whose sweep it is: users share the workers fairly; default your login name. "
                   "Where calls carry tokens, it is the token's name")
      ->type_name("NAME")
      ->group(kGroup);
}

}  // namespace modlab
