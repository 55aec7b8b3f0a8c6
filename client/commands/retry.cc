#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/commands/command.h"
#include "client/commands/policy_options.h"
#include "client/commands/submit.h"
#include "client/text.h"
#include "modlab/v1/sweep.grpc.pb.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  std::string sweep;
  std::vector<std::string> where;
  std::string user;
};

absl::StatusOr<int> Retry(const Options& options) {
  auto filters = ParseWhere(options.where);
  if (!filters.ok()) return filters.status();
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  v1::RetryJobsRequest request;
  request.set_sweep(options.sweep);
  request.set_user(options.user);
  request.mutable_filters()->Assign(filters->begin(), filters->end());
  auto response = (*connection)->Call(&v1::SweepService::Stub::RetryJobs, request);
  if (!response.ok()) return response.status();
  if (response->jobs_requeued() == 0) {
    std::cout << "No job of this selection is failed or cancelled.\n";
  } else {
    std::cout << CountText(response->jobs_requeued(), "job") << " queued again.\n";
    if ((*connection)->embedded() != nullptr) {
      std::cout << HowToTrain(**connection, options.sweep) << "\n";
    }
  }
  return kExitOk;
}

}  // namespace

void AddRetry(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand("retry", "Queue failed and cancelled jobs again");
  AddSweepArgument(command, &options->sweep);
  AddWhereOption(command, &options->where);
  options->user = LoginName();
  command
      ->add_option("--user", options->user,
                   "Who asks, for the jobs' events; default your login name. Where calls carry "
                   "tokens, it is the token's name")
      ->type_name("NAME");
  AddConnectionOptions(command, &options->choice);
  command->footer("Example:\n  modlab retry quickstart --where model=modular");
  command->callback([=] { *action = [=] { return Retry(*options); }; });
}

}  // namespace modlab
