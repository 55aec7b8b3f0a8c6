#include <poll.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/commands/command.h"
#include "client/interrupt.h"
#include "client/text.h"
#include "lib/config/words.h"
#include "modlab/v1/coordinator.grpc.pb.h"

namespace modlab {
namespace {

constexpr int kSweepsShownMax = 50;

struct Options {
  Connection::Choice choice;
  std::string sweep;
  std::string older_than;
  bool weights_only = false;
  bool dry_run = false;
  bool yes = false;
};

// "90d", "12h": a whole number of minutes, hours, days or weeks, in seconds.
absl::StatusOr<int64_t> ParseAge(absl::string_view text) {
  int64_t unit = 0;
  switch (text.empty() ? ' ' : text.back()) {
    case 'm':
      unit = 60;
      break;
    case 'h':
      unit = 3600;
      break;
    case 'd':
      unit = 24 * 3600;
      break;
    case 'w':
      unit = 7 * 24 * 3600;
      break;
    default:
      break;
  }
  int32_t count = 0;
  if (unit == 0 || !absl::SimpleAtoi(text.substr(0, text.size() - 1), &count) || count <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--older-than: ", QuotedWord(text),
                     " is no age; give a whole number of minutes, hours, days or weeks: 30m, 12h, "
                     "90d, 8w"));
  }
  return count * unit;
}

void Tell(const v1::PruneResponse& pruned, const Options& options, const char* verb) {
  for (int i = 0; i < pruned.sweeps_size() && i < kSweepsShownMax; ++i) {
    std::cout << "  " << pruned.sweeps(i) << "\n";
  }
  if (pruned.sweeps_size() > kSweepsShownMax) {
    std::cout << "  ... and " << CountText(pruned.sweeps_size() - kSweepsShownMax) << " more\n";
  }
  std::cout << verb << ": ";
  if (options.weights_only) {
    std::cout << "the weights of " << CountText(pruned.jobs(), "job") << " in "
              << CountText(pruned.sweeps_size(), "sweep");
  } else {
    std::cout << CountText(pruned.sweeps_size(), "sweep") << " with "
              << CountText(pruned.jobs(), "job") << " and " << CountText(pruned.points(), "point");
  }
  std::cout << "; " << CountText(pruned.artifacts(), "artifact") << ", "
            << BytesText(pruned.artifact_bytes()) << ".\n";
}

// The answer of a person at a terminal.
bool Confirmed() {
  std::cout << "Remove them for good? [y/N] " << std::flush;
  std::string answer;
  pollfd input = {STDIN_FILENO, POLLIN, 0};
  while (!Interrupt::Requested()) {
    if (poll(&input, 1, /*timeout_ms=*/200) == 0) continue;
    std::getline(std::cin, answer);
    break;
  }
  return answer == "y" || answer == "Y" || answer == "yes";
}

absl::StatusOr<int> Prune(const Options& options) {
  if (options.sweep.empty() && options.older_than.empty()) {
    return absl::InvalidArgumentError(
        "prune what? Give a sweep, or --older-than AGE (e.g. 90d), or both");
  }
  v1::PruneRequest request;
  request.set_sweep(options.sweep);
  request.set_weights_only(options.weights_only);
  request.set_dry_run(true);
  if (!options.older_than.empty()) {
    const absl::StatusOr<int64_t> seconds = ParseAge(options.older_than);
    if (!seconds.ok()) return seconds.status();
    request.set_older_than_seconds(*seconds);
  }
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  auto would = (*connection)->Call(&v1::CoordinatorService::Stub::Prune, request);
  if (!would.ok()) return would.status();
  if (would->sweeps().empty()) {
    std::cout << "There is nothing to prune.\n";
    return kExitOk;
  }
  Tell(*would, options, "To be removed");
  if (options.dry_run) return kExitOk;
  if (!options.yes) {
    if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0) {
      return absl::InvalidArgumentError(
          "nothing was removed: nobody is there to ask; say --yes, or --dry-run to look only");
    }
    if (!Confirmed()) {
      std::cout << "Nothing was removed.\n";
      return kExitOk;
    }
  }
  // The name's newest sweep may be another one by now.
  if (!options.sweep.empty()) request.set_sweep(would->sweeps(0));
  request.set_dry_run(false);
  auto pruned = (*connection)->Call(&v1::CoordinatorService::Stub::Prune, request);
  if (!pruned.ok()) return pruned.status();
  Tell(*pruned, options, "Removed");
  return kExitOk;
}

}  // namespace

void AddPrune(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand("prune", "Remove sweeps, or their weights, for good");
  command
      ->add_option("SWEEP", options->sweep,
                   "Sweep: its id, or its name for the newest of that name; it has no job that "
                   "waits or runs")
      ->type_name("");
  command
      ->add_option("--older-than", options->older_than,
                   "Only sweeps of which nothing has changed for so long: 30m, 12h, 90d, 8w")
      ->type_name("AGE");
  command->add_flag("--weights-only", options->weights_only,
                    "Keep sweeps, figures and curves; remove weights");
  command->add_flag("--dry-run", options->dry_run, "Only show what would be removed");
  command->add_flag("--yes", options->yes, "Do not ask");
  AddConnectionOptions(command, &options->choice);
  command->footer(
      "Jobs that other sweeps ask for stay. Files go within minutes. It works on a full disk, "
      "too:\n"
      "modlabd keeps some room for it. Space freed in the database is used again.\n"
      "\nExample:\n  modlab prune --older-than 90d --weights-only --dry-run");
  command->callback([=] { *action = [=] { return Prune(*options); }; });
}

}  // namespace modlab
