#include <iostream>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/commands/command.h"
#include "client/text.h"
#include "modlab/v1/sweep.grpc.pb.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  std::string sweep;
};

absl::StatusOr<int> Cancel(const Options& options) {
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  v1::CancelSweepRequest request;
  request.set_sweep(options.sweep);
  auto response = (*connection)->Call(&v1::SweepService::Stub::CancelSweep, request);
  if (!response.ok()) return response.status();
  const v1::JobCounts& counts = response->sweep().counts();
  std::cout << response->sweep().id() << ": " << CountText(response->jobs_cancelled(), "job")
            << " cancelled";
  if (counts.succeeded() > 0) std::cout << ", " << CountText(counts.succeeded()) << " had finished";
  const int64_t others = counts.queued() + counts.running();
  if (others > 0) std::cout << ", " << CountText(others) << " go on for other sweeps";
  std::cout << ".\n";
  return kExitOk;
}

}  // namespace

void AddCancel(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command =
      app->add_subcommand("cancel", "Stop the jobs of a sweep that no other sweep needs");
  AddSweepArgument(command, &options->sweep);
  AddConnectionOptions(command, &options->choice);
  command->footer("Example:\n  modlab cancel quickstart-2");
  command->callback([=] { *action = [=] { return Cancel(*options); }; });
}

}  // namespace modlab
