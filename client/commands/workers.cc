#include <cstdint>
#include <iostream>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/commands/command.h"
#include "client/format.h"
#include "client/text.h"
#include "modlab/v1/worker.grpc.pb.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  Format format = Format::kTable;
};

absl::StatusOr<int> Workers(const Options& options) {
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  auto response =
      (*connection)->Call(&v1::WorkerService::Stub::ListWorkers, v1::ListWorkersRequest());
  if (!response.ok()) return response.status();
  RowWriter writer(
      options.format,
      {"name", "device", "device_name", "slots", "slots_idle", "gang_size_max", "jobs_held",
       "iterations_per_second", "connected", "last_seen", "draining", "id"},
      &std::cout);
  for (const v1::Worker& worker : response->workers()) {
    writer.Add({worker.name(), TextCell(worker.device()), TextCell(worker.device_name()),
                int64_t{worker.slots()}, int64_t{worker.slots_idle()},
                int64_t{worker.gang_size_max()}, int64_t{worker.jobs_held()},
                worker.iterations_per_second(), TextCell(TimeText(worker.connected_us())),
                TextCell(TimeText(worker.last_seen_us())),
                std::string(worker.draining() ? "yes" : "no"), TextCell(worker.id())});
  }
  writer.Finish();
  if (options.format == Format::kTable && response->workers().empty()) {
    if ((*connection)->embedded() == nullptr) {
      std::cout << "No worker is connected. Start one with `modlab-worker --server "
                << (*connection)->address() << "`.\n";
    } else {
      std::cout << "No coordinator runs " << (*connection)->place() << ", so no worker does.\n";
    }
  }
  return kExitOk;
}

}  // namespace

void AddWorkers(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand("workers", "List the workers that are connected");
  AddConnectionOptions(command, &options->choice);
  AddFormatOption(command, &options->format);
  command->footer("Example:\n  modlab workers --server localhost:7070");
  command->callback([=] { *action = [=] { return Workers(*options); }; });
}

}  // namespace modlab
