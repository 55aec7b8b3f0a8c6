#include "tests/bench/bench_coordinator.h"

#include <sqlite3.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace modlab::bench {

void Give(const std::string& message) {
  std::fprintf(stderr, "bench: %s\n", message.c_str());
  std::exit(1);
}

BenchCoordinator::BenchCoordinator()
    : directory_((std::filesystem::temp_directory_path() / absl::StrCat("modlab-bench-", getpid()))
                     .string()),
      address_(absl::StrCat("unix:", directory_, "/sock")) {
  std::filesystem::remove_all(directory_);
  std::filesystem::create_directories(directory_);
  process_ = std::make_unique<e2e::Process>(
      std::vector<std::string>{MODLABD_PATH, "--data-dir", directory_ + "/data", "--listen",
                               address_, "--log-level", "error"},
      directory_ + "/out", directory_ + "/err");
  if (!e2e::WaitUntil(
          [&] { return e2e::ReadFile(directory_ + "/out").find("ready") != std::string::npos; })) {
    Give("modlabd did not start: " + Log());
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(80 << 20);
  const auto channel =
      grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
  sweeps_ = v1::SweepService::NewStub(channel);
  results_ = v1::ResultsService::NewStub(channel);
  care_ = v1::CoordinatorService::NewStub(channel);
}

BenchCoordinator::~BenchCoordinator() {
  process_.reset();
  std::filesystem::remove_all(directory_);
}

double BenchCoordinator::Submit(const SweepShape& shape) {
  v1::JobConfig defaults;
  defaults.set_architecture(v1::MLP);
  defaults.set_target(v1::REGRESSION);
  defaults.set_model(v1::MODULAR);
  defaults.set_rules(4);
  defaults.set_iterations(1000 * shape.points);
  defaults.set_eval_interval(1000);
  defaults.set_validation_batches(0);
  return Submit(shape.name, defaults, shape.jobs);
}

double BenchCoordinator::Submit(const std::string& name, const v1::JobConfig& defaults,
                                int64_t jobs) {
  v1::CreateSweepRequest request;
  request.set_request_id(name);
  request.mutable_spec()->set_name(name);
  *request.mutable_spec()->mutable_defaults() = defaults;
  // Of two axes, as sweeps have: 1,000 jobs of a data seed differ in their model seed.
  v1::Grid* grid = request.mutable_spec()->add_grids();
  v1::Axis* data_seeds = grid->add_axes();
  data_seeds->set_field("data_seed");
  v1::Axis* model_seeds = grid->add_axes();
  model_seeds->set_field("model_seed");
  const int64_t row = jobs % 1000 == 0 ? 1000 : jobs;
  for (int64_t seed = 0; seed < jobs / row; ++seed) {
    data_seeds->add_values(absl::StrCat(seed));
  }
  for (int64_t seed = 0; seed < row; ++seed) model_seeds->add_values(absl::StrCat(seed));
  v1::CreateSweepResponse created;
  const auto start = std::chrono::steady_clock::now();
  Call(sweeps_.get(), &v1::SweepService::Stub::CreateSweep, request, &created);
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
  if (created.jobs_created() != jobs) {
    Give(absl::StrCat(created.jobs_created(), " jobs were made of ", jobs));
  }
  return passed.count();
}

v1::JobCounts BenchCoordinator::Counts(const std::string& sweep) {
  v1::GetSweepRequest request;
  request.set_sweep(sweep);
  v1::Sweep found;
  Call(sweeps_.get(), &v1::SweepService::Stub::GetSweep, request, &found);
  return found.counts();
}

int64_t BenchCoordinator::Audit(const std::string& sweep) {
  grpc::ClientContext context;
  v1::AuditRequest request;
  request.set_sweep(sweep);
  const auto stream = care_->Audit(&context, request);
  v1::AuditResponse response;
  int64_t findings = 0;
  while (stream->Read(&response)) {
    for (const v1::Finding& finding : response.findings()) {
      if (finding.incomplete()) continue;
      ++findings;
      if (findings > 10) continue;
      std::printf("audit: %s: %s: %s\n", finding.kind().c_str(), finding.subject().c_str(),
                  finding.message().c_str());
    }
  }
  const grpc::Status status = stream->Finish();
  if (!status.ok()) Give("audit: " + status.error_message());
  return findings;
}

double BenchCoordinator::MemoryMib(const std::string& line) const {
  std::ifstream status(absl::StrCat("/proc/", process_->pid(), "/status"));
  for (std::string text; std::getline(status, text);) {
    if (text.rfind(line + ":", 0) == 0) return std::atof(text.c_str() + line.size() + 1) / 1024;
  }
  return 0;
}

int64_t BenchCoordinator::DatabaseBytes() {
  const std::string path = directory_ + "/data/modlab.db";
  sqlite3* database = nullptr;
  sqlite3_open(path.c_str(), &database);
  sqlite3_busy_timeout(database, 10'000);
  sqlite3_exec(database, "PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr, nullptr);
  sqlite3_close(database);
  return static_cast<int64_t>(std::filesystem::file_size(path));
}

std::string BenchCoordinator::Log() const { return e2e::ReadFile(directory_ + "/err"); }

}  // namespace modlab::bench
