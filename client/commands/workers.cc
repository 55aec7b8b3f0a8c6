#include <cstdint>
#include <iostream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "client/commands/command.h"
#include "client/format.h"
#include "client/interrupt.h"
#include "client/text.h"
#include "modlab/v1/worker.grpc.pb.h"

namespace modlab {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(500);

struct Options {
  Connection::Choice choice;
  Format format = Format::kTable;
  std::string worker;
  bool wait = false;
};

// For people, what is as by default is not there.
Cell CountCell(int64_t count, Format format) {
  if (format == Format::kTable && count == 0) return {};
  return count;
}

Cell MemoryCell(int64_t bytes, Format format) {
  if (format == Format::kTable && bytes > 0) return BytesText(bytes);
  return CountCell(bytes, format);
}

absl::StatusOr<int> List(const Options& options) {
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  auto response =
      (*connection)->Call(&v1::WorkerService::Stub::ListWorkers, v1::ListWorkersRequest());
  if (!response.ok()) return response.status();
  RowWriter writer(
      options.format,
      {"name", "device", "device_name", "memory", "slot_memory", "labels", "slots", "slots_idle",
       "gang_size_max", "jobs_held", "iterations_per_second", "connected", "last_seen", "draining",
       "failures", "quarantined_until", "quarantine_reason", "place", "id"},
      &std::cout);
  writer.HideIfEmpty(
      {"memory", "slot_memory", "labels", "failures", "quarantined_until", "quarantine_reason"});
  for (const v1::Worker& worker : response->workers()) {
    writer.Add(
        {worker.name(), TextCell(worker.device()), TextCell(worker.device_name()),
         MemoryCell(worker.memory_bytes(), options.format),
         MemoryCell(worker.slot_memory_bytes(), options.format),
         TextCell(absl::StrJoin(worker.labels(), " ")), int64_t{worker.slots()},
         int64_t{worker.slots_idle()}, int64_t{worker.gang_size_max()}, int64_t{worker.jobs_held()},
         worker.iterations_per_second(), TextCell(TimeText(worker.connected_us())),
         TextCell(TimeText(worker.last_seen_us())), std::string(worker.draining() ? "yes" : "no"),
         CountCell(worker.failures(), options.format),
         TextCell(TimeText(worker.quarantined_until_us())), TextCell(worker.quarantine_reason()),
         TextCell(worker.place()), TextCell(worker.id())});
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

// Until the worker is not listed any more. Another one may have its name by then.
absl::Status WaitUntilGone(const Connection& connection, const std::string& id) {
  while (true) {
    auto response =
        connection.Call(&v1::WorkerService::Stub::ListWorkers, v1::ListWorkersRequest());
    if (!response.ok()) return response.status();
    bool there = false;
    for (const v1::Worker& worker : response->workers()) there = there || worker.id() == id;
    if (!there) return absl::OkStatus();
    if (!Interrupt::Sleep(kPollInterval)) return absl::CancelledError("interrupted");
  }
}

absl::StatusOr<int> Drain(const Options& options) {
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  v1::DrainWorkerRequest request;
  request.set_worker(options.worker);
  auto response = (*connection)->Call(&v1::WorkerService::Stub::DrainWorker, request);
  if (!response.ok()) return response.status();
  const v1::Worker& worker = response->worker();
  std::cout << worker.name() << ": hands back "
            << (worker.jobs_held() > 0 ? CountText(worker.jobs_held(), "job")
                                       : std::string("nothing"))
            << " and exits." << std::endl;
  if (!options.wait) return kExitOk;
  const absl::Status gone = WaitUntilGone(**connection, worker.id());
  if (!gone.ok()) return gone;
  std::cout << worker.name() << ": gone.\n";
  return kExitOk;
}

absl::StatusOr<int> Release(const Options& options) {
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  v1::ReleaseWorkerRequest request;
  request.set_worker(options.worker);
  auto worker = (*connection)->Call(&v1::WorkerService::Stub::ReleaseWorker, request);
  if (!worker.ok()) return worker.status();
  std::cout << worker->name() << ": is not in quarantine and is given jobs again.\n";
  return kExitOk;
}

void AddWorkerArgument(CLI::App* command, std::string* worker) {
  command->add_option("WORKER", *worker, "Name or id, see `modlab workers`")
      ->type_name("")
      ->required();
}

}  // namespace

void AddWorkers(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand(
      "workers", "List the workers that are connected; drain one, or end its quarantine");
  command->require_subcommand(0, 1);
  AddConnectionOptions(command, &options->choice);
  AddFormatOption(command, &options->format);
  command->footer(
      "Example:\n  modlab workers --server localhost:7070\n  modlab workers drain node7 --wait");
  command->callback([=] {
    if (command->get_subcommands().empty()) *action = [=] { return List(*options); };
  });

  auto* drain = command->add_subcommand(
      "drain", "Ask a worker to hand back its jobs, with their checkpoints, and to exit");
  AddWorkerArgument(drain, &options->worker);
  drain->add_flag("--wait", options->wait, "Return when it is gone");
  AddConnectionOptions(drain, &options->choice);
  drain->footer("Its jobs go on on other workers.\nExample:\n  modlab workers drain node7 --wait");
  drain->callback([=] { *action = [=] { return Drain(*options); }; });

  auto* release = command->add_subcommand(
      "release", "End the quarantine of a worker whose jobs failed again and again");
  AddWorkerArgument(release, &options->worker);
  AddConnectionOptions(release, &options->choice);
  release->footer("Example:\n  modlab workers release node7");
  release->callback([=] { *action = [=] { return Release(*options); }; });
}

}  // namespace modlab
