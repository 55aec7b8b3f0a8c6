#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/commands/policy_options.h"
#include "client/commands/submit.h"
#include "client/commands/watch.h"
#include "client/format.h"
#include "client/interrupt.h"
#include "client/run_comparison.h"
#include "client/text.h"
#include "lib/config/words.h"
#include "modlab/v1/results.grpc.pb.h"
#include "modlab/v1/sweep.grpc.pb.h"

namespace modlab {
namespace {

constexpr size_t kNameMax = 63;

struct Options {
  Connection::Choice choice;
  std::string sweep;
  int sample = 10;
  std::optional<uint32_t> seed;
  double tolerance = 0.01;
  std::string user;
  Format format = Format::kTable;
};

// `count` of them, by a generator that is the same everywhere; in their order.
std::vector<int64_t> Sample(std::vector<int64_t> ids, size_t count, uint32_t seed) {
  std::mt19937_64 random(seed);
  count = std::min(count, ids.size());
  for (size_t i = 0; i < count; ++i) {
    std::swap(ids[i], ids[i + static_cast<size_t>(random() % (ids.size() - i))]);
  }
  ids.resize(count);
  std::sort(ids.begin(), ids.end());
  return ids;
}

// "verify-<name>", no longer than a name may be.
std::string VerificationName(const std::string& name) {
  std::string result = ("verify-" + name).substr(0, kNameMax);
  while (!absl::ascii_isalnum(static_cast<unsigned char>(result.back()))) result.pop_back();
  return result;
}

// A grid of one point that is `config`.
v1::Grid GridOf(const v1::JobConfig& config) {
  v1::Grid grid;
  for (const std::string& field : JobFieldNames()) {
    const std::string word = JobFieldWord(config, field);
    if (word.empty()) continue;
    v1::Axis* axis = grid.add_axes();
    axis->set_field(field);
    axis->add_values(word);
  }
  return grid;
}

class Verification {
 public:
  Verification(const Connection& connection, const Options& options)
      : connection_(connection), options_(options) {}

  absl::StatusOr<int> Run() {
    absl::Status status = Choose();
    if (!status.ok()) return status;
    if (before_.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("no job of ", sweep_.id(), " has finished; there is nothing to verify"));
    }
    const absl::StatusOr<v1::Sweep> again = TrainAgain();
    if (!again.ok()) return again.status();
    return Compare(again->id());
  }

 private:
  absl::Status Choose() {
    v1::GetSweepRequest request;
    request.set_sweep(options_.sweep);
    auto sweep = connection_.Call(&v1::SweepService::Stub::GetSweep, request);
    if (!sweep.ok()) return sweep.status();
    sweep_ = *std::move(sweep);
    v1::FieldFilter finished;
    finished.set_field("state");
    finished.add_values("succeeded");
    std::vector<int64_t> ids;
    absl::Status status =
        VisitJobs(connection_, sweep_.id(), {finished}, [&ids](const v1::Job& job) {
          ids.push_back(job.id());
          return true;
        });
    if (!status.ok()) return status;
    const uint32_t seed = options_.seed.value_or(std::random_device()());
    const size_t all = ids.size();
    for (const int64_t id : Sample(std::move(ids), static_cast<size_t>(options_.sample), seed)) {
      v1::GetJobRequest job_request;
      job_request.set_id(id);
      auto job = connection_.Call(&v1::SweepService::Stub::GetJob, job_request);
      if (!job.ok()) return job.status();
      before_.push_back(*std::move(job));
    }
    std::cerr << sweep_.id() << ": " << CountText(static_cast<int64_t>(before_.size())) << " of "
              << CountText(static_cast<int64_t>(all), "finished job")
              << " are trained again (--seed " << seed << ")\n";
    return absl::OkStatus();
  }

  absl::StatusOr<v1::Sweep> TrainAgain() {
    v1::CreateSweepRequest request;
    request.mutable_spec()->set_name(VerificationName(sweep_.name()));
    for (const v1::Job& job : before_) *request.mutable_spec()->add_grids() = GridOf(job.config());
    request.set_force(true);
    request.set_avoid_earlier_workers(true);
    request.set_user(options_.user);
    auto response = SubmitSweep(connection_, std::move(request));
    if (!response.ok()) return response.status();
    std::cerr << SubmittedText(*response, connection_.place()) << "\n";
    if (connection_.embedded() != nullptr) {
      WorkerOptions workers;
      workers.workers =
          std::min(static_cast<int>(before_.size()),
                   std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
      const absl::Status started = connection_.embedded()->StartWorkers(workers);
      if (!started.ok()) return started;
    }
    auto sweep = WatchSweep(connection_, response->sweep().id(), stderr);
    if (!sweep.ok() && Interrupt::Requested()) {
      std::cerr << "The sweep stays; drop it with `modlab cancel " << response->sweep().id()
                << connection_.flags() << "`.\n";
    }
    return sweep;
  }

  absl::StatusOr<FinishedRun> ReadRun(const v1::Job& job) const {
    v1::GetJobCurveRequest request;
    request.set_id(job.id());
    auto curve = connection_.Call(&v1::ResultsService::Stub::GetJobCurve, request);
    if (!curve.ok()) return curve.status();
    return FinishedRun{job, {curve->points().begin(), curve->points().end()}};
  }

  absl::StatusOr<int> Compare(const std::string& again) {
    std::map<std::string, v1::Job> after;  // by job key
    absl::Status status = VisitJobs(connection_, again, {}, [&after](const v1::Job& job) {
      after[job.job_key()] = job;
      return true;
    });
    if (!status.ok()) return status;
    RowWriter writer(
        options_.format,
        {"job", "again", "model", "rules", "data_seed", "model_seed", "worker", "worker_again",
         "points", "compared", "equal", "largest_difference", "difference"},
        &std::cout);
    int64_t equal = 0, unequal = 0, unfinished = 0;
    for (const v1::Job& job : before_) {
      const v1::Job& repeated = after[job.job_key()];
      std::vector<Cell> cells = {job.id(), repeated.id()};
      for (const char* field : {"model", "rules", "data_seed", "model_seed"}) {
        cells.push_back(WordCell(field, JobFieldWord(job.config(), field)));
      }
      cells.push_back(TextCell(job.worker()));
      cells.push_back(TextCell(repeated.worker()));
      if (repeated.state() != v1::SUCCEEDED) {
        ++unfinished;
        for (Cell cell : {Cell(), Cell(), Cell(), Cell(), TextCell(StateName(repeated.state()))}) {
          cells.push_back(std::move(cell));
        }
        writer.Add(cells);
        continue;
      }
      const absl::StatusOr<FinishedRun> left = ReadRun(job);
      if (!left.ok()) return left.status();
      const absl::StatusOr<FinishedRun> right = ReadRun(repeated);
      if (!right.ok()) return right.status();
      const RunComparison comparison = CompareRuns(*left, *right);
      const bool same = comparison.Equal(options_.tolerance);
      ++(same ? equal : unequal);
      cells.push_back(static_cast<int64_t>(left->curve.size()));
      cells.push_back(comparison.one_kind
                          ? std::string("bit for bit")
                          : absl::StrCat("within ", NumberText(options_.tolerance)));
      cells.push_back(std::string(same ? "yes" : "no"));
      cells.push_back(comparison.largest);
      cells.push_back(TextCell(Difference(comparison)));
      writer.Add(cells);
    }
    writer.Finish();
    std::ostream& out = options_.format == Format::kTable ? std::cout : std::cerr;
    out << CountText(equal) << " equal, " << CountText(unequal) << " not, " << CountText(unfinished)
        << " not finished.\n";
    if (unequal > 0) return kExitError;
    return unfinished > 0 ? kExitFailed : kExitOk;
  }

  static std::string Difference(const RunComparison& comparison) {
    if (!comparison.missing.empty()) return "only in one: " + comparison.missing;
    return comparison.one_kind ? comparison.first_difference : comparison.largest_at;
  }

  const Connection& connection_;
  const Options& options_;
  v1::Sweep sweep_;
  std::vector<v1::Job> before_;
};

absl::StatusOr<int> Verify(const Options& options) {
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  (*connection)->Share();
  return Verification(**connection, options).Run();
}

}  // namespace

void AddVerify(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command = app->add_subcommand(
      "verify", "Train a sample of finished jobs again and compare, bit for bit");
  AddSweepArgument(command, &options->sweep);
  command->add_option("--sample", options->sample, "How many jobs, at most; default 10")
      ->type_name("N")
      ->check(CLI::Range(1, 1000).description(""));
  command
      ->add_option_function<uint32_t>(
          "--seed", [options = options.get()](const uint32_t& seed) { options->seed = seed; },
          "Chooses the sample; default another one each time")
      ->type_name("N");
  command
      ->add_option("--tolerance", options->tolerance,
                   "Largest relative difference between different kinds of devices; default 0.01")
      ->type_name("X")
      ->check(CLI::Range(0.0, 1.0).description(""));
  AddUserOption(command, &options->user);
  AddConnectionOptions(command, &options->choice);
  AddFormatOption(command, &options->format);
  command->footer(
      "The jobs are submitted as sweep verify-SWEEP and given to other machines than those that\n"
      "trained them, else to other workers, where there are any. Every point of the curves (but\n"
      "the speed), activation matrices, figures, best checkpoint and weights are compared: bit "
      "for\n"
      "bit where both were trained on one kind of device (its name, LibTorch and BLAS are the\n"
      "same), else within --tolerance, relative to the larger number (to 0.01 if both are "
      "smaller)\n"
      "and without the weights.\n"
      "Exit codes: 0 all are equal; 1 some are not; 3 not all have finished.\n"
      "\nExample:\n  modlab verify quickstart --sample 5");
  command->callback([=] { *action = [=] { return Verify(*options); }; });
}

}  // namespace modlab
