#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/commands/command.h"
#include "client/text.h"
#include "modlab/v1/sweep.grpc.pb.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  std::string sweep;
  std::vector<std::string> where;
};

// Some of the sweep's jobs.
absl::StatusOr<int> CancelJobs(const Connection& connection, const std::string& sweep,
                               const std::vector<v1::FieldFilter>& filters) {
  v1::CancelJobsRequest request;
  request.set_sweep(sweep);
  request.mutable_filters()->Assign(filters.begin(), filters.end());
  auto response = connection.Call(&v1::SweepService::Stub::CancelJobs, request);
  if (!response.ok()) return response.status();
  if (response->jobs_cancelled() + response->jobs_shared() == 0) {
    std::cout << "No job of this selection waits or runs.\n";
    return kExitOk;
  }
  std::cout << CountText(response->jobs_cancelled(), "job") << " cancelled";
  if (response->jobs_shared() > 0) {
    std::cout << ", " << CountText(response->jobs_shared()) << " go on for other sweeps";
  }
  std::cout << ".\n";
  return kExitOk;
}

absl::StatusOr<int> Cancel(const Options& options) {
  auto filters = ParseWhere(options.where);
  if (!filters.ok()) return filters.status();
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  if (!filters->empty()) return CancelJobs(**connection, options.sweep, *filters);
  v1::CancelSweepRequest request;
  request.set_sweep(options.sweep);
  auto response = (*connection)->Call(&v1::SweepService::Stub::CancelSweep, request);
  if (!response.ok()) return response.status();
  if (response->sweep().cancelled_us() == 0) {
    std::cout << response->sweep().id() << ": no job of it waits or runs; nothing was changed.\n";
    return kExitOk;
  }
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
  auto* command = app->add_subcommand(
      "cancel", "Stop a sweep, or some of its jobs; what another sweep needs goes on");
  AddSweepArgument(command, &options->sweep);
  AddWhereOption(command, &options->where);
  AddConnectionOptions(command, &options->choice);
  command->footer(
      "Cancelling a sweep is final: it cannot be extended, paused or retried any more; its file\n"
      "can be submitted again, and what is finished is not trained again. With --where the sweep\n"
      "stays, and `modlab retry` queues the jobs again. `modlab pause` stops all for a while.\n"
      "\nExample:\n  modlab cancel quickstart-2\n  modlab cancel quickstart --where rules=32");
  command->callback([=] { *action = [=] { return Cancel(*options); }; });
}

}  // namespace modlab
