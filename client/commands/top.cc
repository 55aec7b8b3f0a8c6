#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/commands/command.h"
#include "client/interrupt.h"
#include "client/status_view.h"
#include "modlab/v1/coordinator.grpc.pb.h"

namespace modlab {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(1);
constexpr absl::Duration kAwayMax = absl::Seconds(30);

struct Options {
  Connection::Choice choice;
  bool once = false;
  std::string format = "table";
};

absl::StatusOr<v1::CoordinatorStatus> GetStatus(const Connection& connection,
                                                absl::Duration patience) {
  return connection.Call(&v1::CoordinatorService::Stub::GetStatus, v1::GetStatusRequest(),
                         patience);
}

// The whole screen anew, without the flicker of clearing it first.
void Draw(const std::vector<std::string>& lines) {
  winsize size = {};
  const bool known =
      ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
  const int rows = known ? size.ws_row : 24;
  const int columns = known ? size.ws_col : 80;
  std::string screen = "\x1b[H";
  // The last row is the cursor's, and the last column where it stands behind a long line.
  for (const std::string& line : FitLines(lines, rows - 1, columns - 1)) {
    absl::StrAppend(&screen, line, "\x1b[K\n");
  }
  std::cout << screen << "\x1b[J" << std::flush;
}

// Until Ctrl-C, or until the coordinator was away for long.
absl::Status Watch(const Connection& connection) {
  std::cout << "\x1b[2J";
  std::vector<std::string> lines;
  absl::Time answered = absl::InfinitePast();
  while (!Interrupt::Requested() && std::cout.good()) {
    const bool away = !lines.empty() && absl::Now() - answered > kInterval * 2;
    auto status = GetStatus(connection, away ? absl::ZeroDuration() : Connection::kPatience);
    if (status.ok()) {
      answered = absl::Now();
      lines = StatusLines(*status, connection.place());
      Draw(lines);
    } else if (Interrupt::Requested()) {
      break;
    } else if (lines.empty() || !absl::IsUnavailable(status.status()) ||
               absl::Now() - answered > kAwayMax) {
      return status.status();
    } else {
      std::vector<std::string> stale = {"The coordinator does not answer; waiting for it ..."};
      stale.insert(stale.end(), lines.begin(), lines.end());
      Draw(stale);
    }
    Interrupt::Sleep(kInterval);
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Top(const Options& options) {
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  // Nothing happens to a store that no coordinator holds.
  const bool live = !options.once && options.format == "table" && isatty(STDOUT_FILENO) != 0 &&
                    (*connection)->embedded() == nullptr;
  if (live) {
    const absl::Status watched = Watch(**connection);
    if (!watched.ok()) return watched;
    return kExitOk;
  }
  auto status = GetStatus(**connection, Connection::kPatience);
  if (!status.ok()) return status.status();
  if (options.format == "json") {
    std::cout << StatusJson(*status) << "\n";
    return kExitOk;
  }
  if ((*connection)->embedded() != nullptr) {
    std::cout << "No coordinator runs " << (*connection)->place() << "; this is how it stands.\n";
  }
  for (const std::string& line : StatusLines(*status, (*connection)->place())) {
    std::cout << line << "\n";
  }
  return kExitOk;
}

}  // namespace

void AddTop(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand(
      "top", "What the coordinator and its workers do: queue, slots, rates, store");
  command->add_flag("--once", options->once,
                    "Print it once; so it is where standard output is no terminal");
  AddConnectionOptions(command, &options->choice);
  command
      ->add_option("--format", options->format, "table or json (one object, once); default table")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json"}).description(""));
  command->footer("Example:\n  modlab top --server localhost:7070\n  modlab top --format json");
  command->callback([=] { *action = [=] { return Top(*options); }; });
}

}  // namespace modlab
