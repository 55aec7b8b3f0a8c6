#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/commands/command.h"
#include "client/commands/policy_options.h"
#include "client/commands/results.h"
#include "client/commands/submit.h"
#include "client/commands/watch.h"
#include "client/embedded.h"
#include "client/interrupt.h"
#include "client/policy.h"
#include "client/sweep_file.h"
#include "client/text.h"
#include "modlab/v1/sweep.grpc.pb.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  std::string file;
  std::string sweep;  // in place of a file
  bool force = false;
  PolicyChange change;
  std::string user;
  int workers = 0;  // 0: one a core
  int gang = 0;
  std::string device = "auto";
  Format format = Format::kTable;
};

// Cores that this process may use.
int Cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? std::max(CPU_COUNT(&set), 1) : 1;
}

absl::Status StartWorkers(const Connection& connection, const Options& options,
                          const v1::Sweep& sweep) {
  const int64_t waiting = sweep.counts().queued() + sweep.counts().running();
  // Workers share a GPU badly, and have a core each. What `auto` will be is known
  // to the workers alone; NVIDIA's driver shows itself.
  const bool gpu = absl::StartsWith(options.device, "cuda") ||
                   (options.device == "auto" && access("/dev/nvidiactl", F_OK) == 0);
  const int wanted = options.workers > 0 ? options.workers : gpu ? 1 : Cores();
  WorkerOptions workers;
  workers.workers = static_cast<int>(std::min<int64_t>(wanted, waiting));
  workers.gang = options.gang;
  workers.device = options.device;
  return connection.embedded()->StartWorkers(workers);
}

// What the file asks for, as a new sweep.
absl::StatusOr<v1::Sweep> Submit(const Connection& connection, v1::CreateSweepRequest request) {
  auto response = SubmitSweep(connection, std::move(request));
  if (!response.ok()) return response.status();
  // What people read goes to standard error: standard output has the results.
  std::cerr << SubmittedText(*response, connection.place()) << "\n";
  return response->sweep();
}

// The sweep that is there.
absl::StatusOr<v1::Sweep> Find(const Connection& connection, const std::string& sweep) {
  v1::GetSweepRequest request;
  request.set_sweep(sweep);
  auto found = connection.Call(&v1::SweepService::Stub::GetSweep, request);
  if (!found.ok()) return found.status();
  const int64_t unfinished = found->counts().queued() + found->counts().running();
  std::cerr << found->id() << ": " << CountText(unfinished, "job") << " to go on with "
            << connection.place() << "\n";
  return found;
}

absl::StatusOr<v1::CreateSweepRequest> ReadRequest(const Options& options) {
  auto file = ReadSweepFile(options.file);
  if (!file.ok()) return file.status();
  v1::CreateSweepRequest request;
  *request.mutable_spec() = file->spec;
  *request.mutable_policy() = file->policy;
  request.set_force(options.force);
  request.set_user(options.user);
  absl::Status status = ApplyChange(options.change, request.mutable_policy());
  if (!status.ok()) return status;
  return request;
}

absl::Status CheckChoice(const Options& options) {
  if (options.file.empty() == options.sweep.empty()) {
    return absl::InvalidArgumentError(
        "run what? Give a sweep file, or --sweep with a sweep that is there, and not both");
  }
  if (!options.sweep.empty() && (options.force || !options.change.empty())) {
    return absl::InvalidArgumentError(
        "--sweep goes on with a sweep as it is; --force and a policy are for files. "
        "`modlab set` changes a policy");
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Run(const Options& options) {
  if (auto status = CheckChoice(options); !status.ok()) return status;
  absl::StatusOr<v1::CreateSweepRequest> request = v1::CreateSweepRequest();
  if (options.sweep.empty()) request = ReadRequest(options);
  if (!request.ok()) return request.status();
  auto connection =
      Connection::Open(options.choice, options.sweep.empty() ? Connection::Store::kCreate
                                                             : Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  (*connection)->Share();
  const std::string& flags = (*connection)->flags();
  auto begun = options.sweep.empty() ? Submit(**connection, *std::move(request))
                                     : Find(**connection, options.sweep);
  if (!begun.ok()) return begun.status();
  const std::string id = begun->id();

  if ((*connection)->embedded() != nullptr) {
    const absl::Status started = StartWorkers(**connection, options, *begun);
    if (!started.ok()) return started;
  }
  const absl::Time start = absl::Now();
  auto sweep = WatchSweep(**connection, id, stderr);
  if (!sweep.ok()) {
    if (!Interrupt::Requested()) return sweep.status();
    std::cerr << ((*connection)->embedded() == nullptr
                      ? absl::StrCat("The sweep goes on; see `modlab watch ", id, flags, "`.")
                      : absl::StrCat(
                            "Stopped. Go on with `modlab run --sweep ", id, flags,
                            "`: what is finished is not trained again, and what was begun goes "
                            "on where it stopped. Or drop it: `modlab cancel ",
                            id, flags, "`."))
              << "\n";
    return sweep.status();
  }
  std::cerr << EndText(*sweep, flags) << " "
            << DurationText(absl::ToDoubleSeconds(absl::Now() - start)) << ".\n\n";

  v1::QueryResultsRequest question;
  question.set_sweep(id);
  for (std::string& field : SplitList(kGroupByDefault)) question.add_group_by(std::move(field));
  for (std::string& metric : SplitList(kMetricsDefault)) question.add_metrics(std::move(metric));
  const absl::Status printed = PrintResults(**connection, question, options.format);
  if (!printed.ok()) return printed;
  std::cerr << "The results stay " << (*connection)->place() << ": ask again with `modlab results "
            << id << flags << "`.\n";
  return EndCode(*sweep);
}

}  // namespace

void AddRun(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand(
      "run", "Run a sweep file from start to results; starts all that it needs");
  command->add_option("FILE", options->file, "Sweep file (YAML)")->type_name("");
  command
      ->add_option("--sweep", options->sweep,
                   "In place of a file: go on with what waits of a sweep that is there (its id or "
                   "name), after `extend`, `retry`, `submit` or an interruption")
      ->type_name("SWEEP");
  command->add_flag("--force", options->force,
                    "Train every config anew, even where a result exists");
  command
      ->add_option("--workers", options->workers,
                   "Worker processes; default one a core, or one where there is a GPU")
      ->type_name("N")
      ->check(CLI::Range(1, 1024).description(""));
  command->add_option("--gang", options->gang, "Jobs of one shape that a worker trains together")
      ->type_name("N")
      ->check(CLI::Range(1, 4096).description(""));
  command->add_option("--device", options->device, "auto (default), cpu or cuda:N")
      ->type_name("DEVICE");
  AddPolicyOptions(command, &options->change);
  AddUserOption(command, &options->user);
  AddConnectionOptions(command, &options->choice);
  AddFormatOption(command, &options->format);
  command->footer(
      "Where a coordinator runs already (--server, or one on the data directory), the sweep is\n"
      "submitted to it and its workers train it; --workers, --gang and --device mean nothing "
      "then.\n"
      "\nExamples:\n  modlab run examples/quickstart.yaml\n  modlab run --sweep quickstart");
  command->callback([=] { *action = [=] { return Run(*options); }; });
}

}  // namespace modlab
