#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/commands/command.h"
#include "client/commands/submit.h"
#include "client/extension.h"
#include "client/text.h"
#include "modlab/v1/sweep.grpc.pb.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  std::string sweep;
  std::vector<std::string> values;
};

absl::StatusOr<int> Extend(const Options& options) {
  auto axes = ParseExtension(options.values);
  if (!axes.ok()) return axes.status();
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  v1::ExtendSweepRequest request;
  request.set_sweep(options.sweep);
  request.mutable_axes()->Assign(axes->begin(), axes->end());
  auto response = (*connection)->Call(&v1::SweepService::Stub::ExtendSweep, request);
  if (!response.ok()) return response.status();
  const std::string& id = response->sweep().id();
  const std::string& flags = (*connection)->flags();
  const int64_t jobs =
      response->jobs_created() + response->jobs_shared() + response->jobs_requeued();
  if (jobs == 0) {
    std::cout << id << ": has all of these jobs already.\n";
    return kExitOk;
  }
  std::cout << id << ": " << CountText(jobs, "more job") << " ("
            << JobOriginsText(response->jobs_created(), response->jobs_shared(),
                              response->jobs_requeued())
            << ")\n";
  const v1::JobCounts& counts = response->sweep().counts();
  if (counts.queued() + counts.running() == 0) {
    std::cout << "All of them have finished: modlab results " << id << flags << "\n";
  } else if ((*connection)->embedded() != nullptr) {
    std::cout << HowToTrain(**connection, id) << "\n";
  } else {
    std::cout << "  progress  modlab watch " << id << flags << "\n"
              << "  results   modlab results " << id << flags << "\n";
  }
  return kExitOk;
}

}  // namespace

void AddExtend(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand(
      "extend", "Add values to a sweep, more seeds say; finished jobs are not trained again");
  AddSweepArgument(command, &options->sweep);
  command
      ->add_option("VALUES", options->values,
                   "For the grids of the sweep: FIELD=VALUE[,VALUE...] or FIELD=FIRST..LAST")
      ->type_name("")
      ->required();
  AddConnectionOptions(command, &options->choice);
  command->footer(
      "A field that was no axis of a grid becomes one, with the value that it had and these.\n"
      "Example:\n  modlab extend quickstart model_seed=5..9\n"
      "  modlab extend quickstart rules=16,32 data_seed=3");
  command->callback([=] { *action = [=] { return Extend(*options); }; });
}

}  // namespace modlab
