// modlab: the command line. See `modlab --help`.

#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands/command.h"
#include "client/interrupt.h"
#include "lib/config/words.h"

namespace {

// The commands, as the help lists them.
struct Group {
  const char* title;
  std::vector<void (*)(CLI::App*, modlab::Action*)> commands;
};
const Group kGroups[] = {
    {"Experiments", {modlab::AddRun, modlab::AddSubmit, modlab::AddWatch}},
    {"What there is", {modlab::AddList, modlab::AddShow, modlab::AddTop, modlab::AddWorkers}},
    {"Results",
     {modlab::AddResults, modlab::AddCurves, modlab::AddRank, modlab::AddCompare, modlab::AddReport,
      modlab::AddExport, modlab::AddArtifacts}},
    {"Steering",
     {modlab::AddPause, modlab::AddResume, modlab::AddSet, modlab::AddExtend, modlab::AddCancel,
      modlab::AddRetry}},
    {"Care", {modlab::AddAudit, modlab::AddVerify, modlab::AddBackup, modlab::AddPrune}},
};

int Run(const modlab::Action& action) {
  const absl::StatusOr<int> code = action();
  if (modlab::Interrupt::Requested()) {
    std::cout.flush();
    return modlab::Interrupt::ExitCode();
  }
  if (!code.ok()) {
    std::cout.flush();
    std::cerr << "modlab: " << code.status().message() << "\n";
    return absl::IsInvalidArgument(code.status()) ? modlab::kExitUsage : modlab::kExitError;
  }
  if (!std::cout.flush()) {
    // A reader that has seen enough (`| head`) is no error to talk about.
    pollfd output = {STDOUT_FILENO, POLLOUT, 0};
    if (poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0) return 128 + SIGPIPE;
    std::cerr << "modlab: cannot write the output\n";
    return modlab::kExitError;
  }
  return *code;
}

// "" if the first argument is a command or an option.
std::string UnknownCommand(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return "";
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands(nullptr)) known.push_back(command->get_name());
  const std::string word = argv[1];
  if (std::find(known.begin(), known.end(), word) != known.end()) return "";
  const std::string nearest = modlab::NearestWord(word, known);
  return absl::StrCat("unknown command ", modlab::QuotedWord(word),
                      nearest.empty() ? "" : absl::StrCat("; did you mean \"", nearest, "\"?"),
                      "\nCommands: ", absl::StrJoin(known, ", "),
                      "\nRun with --help for more information.");
}

}  // namespace

int main(int argc, char** argv) {
  modlab::Interrupt::Install();
  // gRPC's own log is not for people; errors arrive as status.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);

  CLI::App app(
      "modlab runs experiments on modular neural networks: sweeps of small models, trained by\n"
      "workers, stored with every curve and metric by a coordinator.",
      "modlab");
  app.set_version_flag("--version", std::string("modlab ") + MODLAB_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Start here:\n"
      "  modlab run examples/quickstart.yaml\n"
      "\n"
      "Every command takes --server ADDR or --data-dir DIR. Without them it uses MODLAB_SERVER, "
      "or\n"
      "else ./modlab-data. `modlab COMMAND --help` says more.");
  modlab::Action action;
  for (const Group& group : kGroups) {
    const size_t before = app.get_subcommands(nullptr).size();
    for (const auto add : group.commands) add(&app, &action);
    const std::vector<CLI::App*> commands = app.get_subcommands(nullptr);
    for (size_t i = before; i < commands.size(); ++i) commands[i]->group(group.title);
  }
  const std::string unknown = UnknownCommand(app, argc, argv);
  if (!unknown.empty()) {
    std::cerr << "modlab: " << unknown << "\n";
    return modlab::kExitUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? modlab::kExitOk : modlab::kExitUsage;
  }
  return Run(action);
}
