// What a coordinator bears: a real modlabd, many workers that train nothing and
// report as fast as it acknowledges, and a sweep of many jobs. The workers are the
// real session and stream; only their trainers are missing.
//
//   ./x bench load [--workers 200] [--jobs 100000] [--points 20] [--gang 8]
//
// Ends with exit code 1 if anything was lost: if a job did not succeed, or the
// audit of the store finds anything.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "grpcpp/grpcpp.h"
#include "lib/config/job_config.h"
#include "modlab/v1/coordinator.grpc.pb.h"
#include "modlab/v1/sweep.grpc.pb.h"
#include "modlab/v1/worker.grpc.pb.h"
#include "spdlog/spdlog.h"
#include "tests/e2e/process.h"
#include "worker/coordinator_link.h"
#include "worker/session.h"

namespace modlab {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  int workers = 200;
  int64_t jobs = 100'000;
  int64_t points = 20;
  int gang = 8;
  int minutes_max = 20;
};

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

[[noreturn]] void Give(const std::string& message) {
  std::fprintf(stderr, "load_bench: %s\n", message.c_str());
  std::exit(1);
}

// Milliseconds that something took, many times.
class Times {
 public:
  void Add(double ms) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ms_.push_back(ms);
  }
  std::string Text() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (ms_.empty()) return "-";
    std::sort(ms_.begin(), ms_.end());
    const auto at = [this](double share) {
      return ms_[static_cast<size_t>(share * static_cast<double>(ms_.size() - 1))];
    };
    return absl::StrFormat("%9.1f %9.1f %9.1f", at(0.5), at(0.99), at(0.999));
  }

 private:
  std::mutex mutex_;
  std::vector<double> ms_;
};

struct Totals {
  std::atomic<int64_t> points{0};
  std::atomic<int64_t> jobs{0};
  Times next_gang;
};

void AddMetric(v1::Metric metric, double value,
               google::protobuf::RepeatedPtrField<v1::MetricValue>* values) {
  v1::MetricValue* added = values->Add();
  added->set_metric(metric);
  added->set_value(value);
}

void FillActivation(const v1::JobConfig& config, v1::ActivationMatrix* activation) {
  activation->set_rules(config.rules());
  activation->set_modules(config.modules());
  const int cells = config.rules() * config.modules();
  for (int i = 0; i < cells; ++i) activation->add_values(1.0F / static_cast<float>(cells));
}

v1::Report Point(const v1::JobConfig& config, int64_t iteration) {
  v1::Report report;
  v1::CurvePoint* point = report.mutable_point();
  point->set_iteration(iteration);
  for (const v1::Metric metric : {v1::EVAL_LOSS, v1::COLLAPSE_AVG, v1::COLLAPSE_WORST,
                                  v1::ALIGNMENT, v1::ADAPTATION, v1::INVERSE_MI}) {
    AddMetric(metric, 0.5 / static_cast<double>(iteration + 1), point->mutable_values());
  }
  if (iteration > 0) {
    AddMetric(v1::TRAIN_LOSS, 0.5, point->mutable_values());
    AddMetric(v1::ITERATIONS_PER_SECOND, 1000, point->mutable_values());
  }
  FillActivation(config, point->mutable_activation());
  return report;
}

v1::Report Result(const v1::JobConfig& config) {
  v1::Report report;
  v1::JobResult* result = report.mutable_finished();
  for (const v1::Metric metric :
       {v1::ID, v1::OOD, v1::ID_LOSS, v1::OOD_LOSS, v1::COLLAPSE_AVG, v1::COLLAPSE_WORST,
        v1::ALIGNMENT, v1::ADAPTATION, v1::INVERSE_MI, v1::PARAMETERS}) {
    AddMetric(metric, 0.25, result->mutable_metrics());
  }
  FillActivation(config, result->mutable_activation());
  result->mutable_provenance()->set_device("cpu");
  return report;
}

// A worker of one slot that trains nothing.
class IdleWorker {
 public:
  IdleWorker(int number, int gang, const std::string& address, Totals* totals)
      : totals_(totals),
        session_(Identity(number, gang), Limits(), [this] { link_->Wake(); }),
        link_(std::make_unique<CoordinatorLink>(
            grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), OwnConnection()),
            address, &session_)) {
    link_->Start();
    slot_ = std::thread([this] { Work(); });
  }

  ~IdleWorker() {
    session_.Abandon();
    slot_.join();
    link_->Stop(std::chrono::milliseconds(0));
  }

 private:
  static v1::WorkerView Identity(int number, int gang) {
    v1::WorkerView identity;
    identity.set_worker_id(absl::StrFormat("%032x", number + 1));
    identity.set_name(absl::StrCat("load-", number));
    identity.set_place(absl::StrCat("load-", number, "/cpu"));
    identity.set_device("cpu");
    identity.set_slots(1);
    identity.set_gang_size_max(gang);
    return identity;
  }

  static ReportLimits Limits() {
    ReportLimits limits;
    limits.reports_max = 1000;  // of each of many workers in one process
    return limits;
  }

  static grpc::ChannelArguments OwnConnection() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return arguments;
  }

  void Work() {
    Clock::time_point idle = Clock::now();
    while (const std::shared_ptr<Gang> gang = session_.NextGang()) {
      totals_->next_gang.Add(1000 * SecondsSince(idle));
      const v1::JobConfig& shape = gang->leases().front().config();
      for (const int64_t iteration : EvaluationIterations(shape)) {
        for (int member = 0; member < gang->size(); ++member) {
          if (session_.Add(*gang, member, Point(shape, iteration))) ++totals_->points;
        }
      }
      for (int member = 0; member < gang->size(); ++member) {
        if (session_.Add(*gang, member, Result(shape))) ++totals_->jobs;
      }
      idle = Clock::now();
      session_.GangEnded();
    }
  }

  Totals* const totals_;
  Session session_;
  std::unique_ptr<CoordinatorLink> link_;
  std::thread slot_;
};

// A line of /proc/PID/status, in MiB.
int64_t MemoryMib(pid_t pid, const std::string& name) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(name + ":", 0) == 0) return std::atoll(line.c_str() + name.size() + 1) / 1024;
  }
  return 0;
}

v1::CreateSweepRequest Submission(const Options& options) {
  v1::CreateSweepRequest request;
  request.set_request_id("load");
  request.mutable_spec()->set_name("load");
  v1::JobConfig* defaults = request.mutable_spec()->mutable_defaults();
  defaults->set_architecture(v1::MLP);
  defaults->set_target(v1::REGRESSION);
  defaults->set_model(v1::MODULAR);
  defaults->set_rules(4);
  defaults->set_iterations(1000 * options.points);
  defaults->set_eval_interval(1000);
  defaults->set_validation_batches(0);
  v1::Axis* seeds = request.mutable_spec()->add_grids()->add_axes();
  seeds->set_field("model_seed");
  for (int64_t seed = 0; seed < options.jobs; ++seed) seeds->add_values(absl::StrCat(seed));
  return request;
}

template <typename Stub, typename Request, typename Response>
void Call(Stub* stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
          const Request& request, Response* response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(5));
  const grpc::Status status = (stub->*method)(&context, request, response);
  if (!status.ok()) Give(status.error_message());
}

// Findings of the audit, told.
int64_t Audit(v1::CoordinatorService::Stub* stub) {
  grpc::ClientContext context;
  v1::AuditRequest request;
  const auto stream = stub->Audit(&context, request);
  v1::AuditResponse response;
  int64_t findings = 0;
  while (stream->Read(&response)) {
    for (const v1::Finding& finding : response.findings()) {
      ++findings;
      std::printf("audit: %s: %s: %s\n", finding.kind().c_str(), finding.subject().c_str(),
                  finding.message().c_str());
    }
  }
  const grpc::Status status = stream->Finish();
  if (!status.ok()) Give("audit: " + status.error_message());
  return findings;
}

int Run(const Options& options) {
  const std::string dir =
      (std::filesystem::temp_directory_path() / absl::StrCat("modlab-load-", getpid())).string();
  std::filesystem::create_directories(dir);
  const std::string address = absl::StrCat("unix:", dir, "/sock");
  int exit_code = 0;
  {
    e2e::Process coordinator(
        {MODLABD_PATH, "--data-dir", dir + "/data", "--listen", address, "--log-level", "warning"},
        dir + "/out", dir + "/err");
    if (!e2e::WaitUntil(
            [&] { return e2e::ReadFile(dir + "/out").find("ready") != std::string::npos; })) {
      Give("modlabd did not start: " + e2e::ReadFile(dir + "/err"));
    }
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(80 << 20);
    const auto channel =
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    const auto sweeps = v1::SweepService::NewStub(channel);
    const auto care = v1::CoordinatorService::NewStub(channel);

    Clock::time_point start = Clock::now();
    v1::CreateSweepResponse created;
    Call(sweeps.get(), &v1::SweepService::Stub::CreateSweep, Submission(options), &created);
    std::printf("%lld jobs accepted in %.2f s\n", static_cast<long long>(created.jobs_created()),
                SecondsSince(start));

    Totals totals;
    Times reads;
    int64_t memory_early = 0;
    start = Clock::now();
    std::vector<std::unique_ptr<IdleWorker>> workers;
    for (int i = 0; i < options.workers; ++i) {
      workers.push_back(std::make_unique<IdleWorker>(i, options.gang, address, &totals));
    }
    v1::Sweep sweep;
    v1::GetSweepRequest get;
    get.set_sweep("load");
    do {
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
      const Clock::time_point asked = Clock::now();
      Call(sweeps.get(), &v1::SweepService::Stub::GetSweep, get, &sweep);
      reads.Add(1000 * SecondsSince(asked));
      if (memory_early == 0 && sweep.counts().succeeded() * 10 > options.jobs) {
        memory_early = MemoryMib(coordinator.pid(), "VmRSS");
      }
      if (SecondsSince(start) > 60.0 * options.minutes_max) Give("not done in time");
    } while (sweep.counts().queued() + sweep.counts().running() > 0);
    const double seconds = SecondsSince(start);

    std::printf("%d workers, gangs of %d: %lld jobs, %lld points in %.1f s\n", options.workers,
                options.gang, static_cast<long long>(totals.jobs.load()),
                static_cast<long long>(totals.points.load()), seconds);
    std::printf("%-44s %9.0f\n", "jobs a second, durable",
                static_cast<double>(sweep.counts().succeeded()) / seconds);
    std::printf("%-44s %9.0f\n", "points a second, durable",
                static_cast<double>(totals.points.load()) / seconds);
    std::printf("%-44s %9s %9s %9s\n", "milliseconds", "p50", "p99", "p99.9");
    std::printf("%-44s %s\n", "a slot's wait for its next gang", totals.next_gang.Text().c_str());
    std::printf("%-44s %s\n", "`modlab show SWEEP` meanwhile", reads.Text().c_str());
    std::printf("%-44s %9lld\n", "coordinator, MiB, at a tenth of the jobs",
                static_cast<long long>(memory_early));
    std::printf("%-44s %9lld\n", "coordinator, MiB, at most",
                static_cast<long long>(MemoryMib(coordinator.pid(), "VmHWM")));
    std::printf("%-44s %9.0f\n", "database, bytes a point",
                static_cast<double>(std::filesystem::file_size(dir + "/data/modlab.db")) /
                    static_cast<double>(totals.points.load()));
    workers.clear();

    const int64_t findings = Audit(care.get());
    const bool all = sweep.counts().succeeded() == options.jobs;
    std::printf("%-44s %9s\n", "every job succeeded", all ? "yes" : "NO");
    std::printf("%-44s %9lld\n", "findings of the audit", static_cast<long long>(findings));
    const std::string log = e2e::ReadFile(dir + "/err");
    if (!log.empty()) std::printf("the coordinator's log:\n%s", log.c_str());
    exit_code = all && findings == 0 ? 0 : 1;
  }
  std::filesystem::remove_all(dir);
  return exit_code;
}

}  // namespace
}  // namespace modlab

int main(int argc, char** argv) {
  modlab::Options options;
  CLI::App app("A coordinator under the load of many workers.", "load_bench");
  app.add_option("--workers", options.workers)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--jobs", options.jobs)->check(CLI::Range(1, 1'000'000))->capture_default_str();
  app.add_option("--points", options.points, "of each job, after the first")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--gang", options.gang)->check(CLI::Range(1, 1024))->capture_default_str();
  app.add_option("--minutes-max", options.minutes_max)
      ->check(CLI::Range(1, 600))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::off);  // 200 workers that are connected
  return modlab::Run(options);
}
