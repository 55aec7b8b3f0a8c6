#include "client/commands/submit.h"

#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/commands/command.h"
#include "client/commands/policy_options.h"
#include "client/commands/watch.h"
#include "client/format.h"
#include "client/policy.h"
#include "client/sweep_file.h"
#include "client/text.h"
#include "lib/config/job_config.h"
#include "modlab/v1/sweep.grpc.pb.h"

namespace modlab {
namespace {

struct Options {
  Connection::Choice choice;
  std::string file;
  bool dry_run = false;
  bool force = false;
  PolicyChange change;
  std::string user;
  Format format = Format::kTable;
};

// 32 hex digits.
std::string MakeRequestId() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 4; ++i) absl::StrAppendFormat(&id, "%08x", static_cast<uint32_t>(random()));
  return id;
}

// One row a shape, in the order of the file.
void PrintShapes(const SweepFile& file, Format format) {
  struct Shape {
    int64_t jobs = 0;
    int64_t iterations = 0;
  };
  std::vector<std::string> order;
  std::map<std::string, Shape> shapes;
  int64_t iterations = 0;
  for (const v1::JobConfig& config : file.jobs) {
    const std::string key = ShapeKey(config);
    Shape& shape = shapes[key];
    if (shape.jobs++ == 0) order.push_back(key);
    shape.iterations += config.iterations();
    iterations += config.iterations();
  }
  RowWriter writer(format, {"shape_key", "jobs", "iterations"}, &std::cout);
  for (const std::string& key : order) {
    writer.Add({key, shapes[key].jobs, shapes[key].iterations});
  }
  writer.Finish();
  if (format != Format::kTable) return;
  std::cout << file.spec.name() << ": " << CountText(static_cast<int64_t>(file.jobs.size()), "job")
            << " of " << CountText(static_cast<int64_t>(order.size()), "shape") << ", "
            << CountText(iterations, "iteration") << " in total. Nothing was submitted.\n";
}

absl::StatusOr<int> Submit(const Options& options) {
  auto file = ReadSweepFile(options.file);
  if (!file.ok()) return file.status();
  v1::CreateSweepRequest request;
  *request.mutable_spec() = file->spec;
  *request.mutable_policy() = file->policy;
  request.set_force(options.force);
  request.set_user(options.user);
  if (auto status = ApplyChange(options.change, request.mutable_policy()); !status.ok()) {
    return status;
  }
  if (options.dry_run) {
    PrintShapes(*file, options.format);
    return kExitOk;
  }
  auto connection = Connection::Open(options.choice, Connection::Store::kCreate);
  if (!connection.ok()) return connection.status();
  auto response = SubmitSweep(**connection, std::move(request));
  if (!response.ok()) return response.status();
  const std::string& id = response->sweep().id();
  const std::string& flags = (*connection)->flags();
  std::cout << SubmittedText(*response, (*connection)->place()) << "\n";
  const v1::JobCounts& counts = response->sweep().counts();
  if (counts.queued() + counts.running() == 0) {
    std::cout << "All of them have finished: modlab results " << id << flags << "\n";
  } else if ((*connection)->embedded() != nullptr) {
    std::cout << HowToTrain(**connection, id) << "\n";
  } else {
    if (response->sweep().policy().paused()) {
      std::cout << "  begin     modlab resume " << id << flags << "\n";
    }
    std::cout << "  progress  modlab watch " << id << flags << "\n"
              << "  results   modlab results " << id << flags << "\n"
              << "  stop it   modlab cancel " << id << flags << "\n";
    const std::string why = WhySweepWaits(**connection, response->sweep());
    if (!why.empty()) std::cout << why << "\n";
  }
  return kExitOk;
}

}  // namespace

absl::StatusOr<v1::CreateSweepResponse> SubmitSweep(const Connection& connection,
                                                    v1::CreateSweepRequest request) {
  request.set_request_id(MakeRequestId());
  return connection.Call(&v1::SweepService::Stub::CreateSweep, request);
}

std::string HowToTrain(const Connection& connection, const std::string& sweep) {
  return absl::StrCat("No coordinator runs ", connection.place(),
                      ". Train what waits with `modlab run --sweep ", sweep, connection.flags(),
                      "`, or start modlabd and modlab-worker.");
}

std::string JobOriginsText(int64_t created, int64_t shared, int64_t requeued) {
  std::vector<std::string> parts;
  const auto add = [&parts](int64_t jobs, const char* what) {
    if (jobs > 0) parts.push_back(absl::StrCat(CountText(jobs), " ", what));
  };
  add(created, "new");
  add(shared, "shared with earlier sweeps");
  add(requeued, "queued again");
  return absl::StrJoin(parts, ", ");
}

std::string SubmittedText(const v1::CreateSweepResponse& response, const std::string& place) {
  const int64_t jobs = response.jobs_created() + response.jobs_shared() + response.jobs_requeued();
  const std::string policy = PolicyText(response.sweep().policy());
  return absl::StrCat(
      response.sweep().id(), ": ", CountText(jobs, "job"), " ", place, " (",
      JobOriginsText(response.jobs_created(), response.jobs_shared(), response.jobs_requeued()),
      ")", policy.empty() ? "" : absl::StrCat(", ", policy));
}

void AddSubmit(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand("submit", "Queue the jobs of a sweep file");
  command->add_option("FILE", options->file, "Sweep file (YAML)")->type_name("")->required();
  command->add_flag("--dry-run", options->dry_run,
                    "Only show how many jobs of which shapes the file makes; needs no server");
  command->add_flag("--force", options->force,
                    "Train every config anew, even where a result exists");
  command
      ->add_flag_callback(
          "--paused", [options] { options->change.paused = true; },
          "Start nothing of it before `modlab resume`")
      ->group("Policy");
  AddPolicyOptions(command, &options->change);
  AddUserOption(command, &options->user);
  AddConnectionOptions(command, &options->choice);
  AddFormatOption(command, &options->format);
  command->footer("Example:\n  modlab submit examples/quickstart.yaml --server localhost:7070");
  command->callback([=] { *action = [=] { return Submit(*options); }; });
}

}  // namespace modlab
