#include <iostream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/commands/policy_options.h"
#include "client/commands/submit.h"
#include "client/policy.h"
#include "modlab/v1/sweep.grpc.pb.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  std::string sweep;
  PolicyChange change;
};

absl::StatusOr<v1::Sweep> Update(const Connection& connection, const Options& options) {
  const PolicyChange& change = options.change;
  v1::UpdateSweepRequest request;
  request.set_sweep(options.sweep);
  if (change.priority) request.set_priority(*change.priority);
  if (change.max_running) request.set_max_running(*change.max_running);
  if (change.preempt) request.set_preempt(*change.preempt);
  if (change.paused) request.set_paused(*change.paused);
  if (change.ChangesRequirements()) {
    // The call replaces all of them; the command only those that it names.
    v1::GetSweepRequest get;
    get.set_sweep(options.sweep);
    auto sweep = connection.Call(&v1::SweepService::Stub::GetSweep, get);
    if (!sweep.ok()) return sweep.status();
    request.set_sweep(sweep->id());
    v1::SweepPolicy policy = sweep->policy();
    if (auto status = ApplyChange(change, &policy); !status.ok()) return status;
    *request.mutable_requirements() = policy.requirements();
  }
  return connection.Call(&v1::SweepService::Stub::UpdateSweep, request);
}

absl::StatusOr<int> Set(const Options& options) {
  if (options.change.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("what is to be set? For example `modlab set ", options.sweep,
                     " --priority 10`; `modlab set --help` lists what can be, `modlab show ",
                     options.sweep, "` what is"));
  }
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  auto sweep = Update(**connection, options);
  if (!sweep.ok()) return sweep.status();
  const std::string policy = PolicyText(sweep->policy());
  std::cout << sweep->id() << ": " << (policy.empty() ? "policy as by default" : policy) << ".\n";
  return kExitOk;
}

absl::StatusOr<int> Pause(const Options& options) {
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  auto sweep = Update(**connection, options);
  if (!sweep.ok()) return sweep.status();
  const std::string& flags = (*connection)->flags();
  if (sweep->policy().paused()) {
    std::cout << sweep->id()
              << ": paused. What runs hands back its checkpoint and waits, unless another sweep "
                 "asks for it.\nGo on with `modlab resume "
              << sweep->id() << flags << "`.\n";
  } else if ((*connection)->embedded() != nullptr) {
    std::cout << sweep->id() << ": not paused any more. " << HowToTrain(**connection, sweep->id())
              << "\n";
  } else {
    std::cout << sweep->id() << ": goes on; see `modlab watch " << sweep->id() << flags << "`.\n";
  }
  return kExitOk;
}

void AddPausing(CLI::App* app, Action* action, bool paused, const std::string& name,
                const std::string& text) {
  auto options = std::make_shared<Options>();
  options->change.paused = paused;
  auto* command = app->add_subcommand(name, text);
  AddSweepArgument(command, &options->sweep);
  AddConnectionOptions(command, &options->choice);
  command->footer("Example:\n  modlab " + name + " quickstart");
  command->callback([=] { *action = [=] { return Pause(*options); }; });
}

}  // namespace

void AddPause(CLI::App* app, Action* action) {
  AddPausing(app, action, true, "pause",
             "Start nothing more of a sweep, and hand back what runs; nothing is lost");
}

void AddResume(CLI::App* app, Action* action) {
  AddPausing(app, action, false, "resume", "Let a paused sweep go on where it stood");
}

void AddSet(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand("set", "Change how the jobs of a sweep are given to workers");
  AddSweepArgument(command, &options->sweep);
  AddPolicyOptions(command, &options->change);
  AddConnectionOptions(command, &options->choice);
  command->footer(
      "What is not named stays as it is. Labels replace the earlier ones.\n"
      "Example:\n  modlab set quickstart --priority 10 --max-running 40\n"
      "  modlab set quickstart --no-requirements --require a100");
  command->callback([=] { *action = [=] { return Set(*options); }; });
}

}  // namespace modlab
