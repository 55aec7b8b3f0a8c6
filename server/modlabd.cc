// modlabd: the coordinator.

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/log/log.h"
#include "server/access/tokens_command.h"
#include "server/care/commands.h"
#include "server/engine/engine.h"
#include "server/flags.h"
#include "server/services/security.h"
#include "server/services/server.h"
#include "server/status/status_reader.h"
#include "server/status/status_server.h"
#include "server/store/artifacts.h"
#include "server/store/data_dir.h"
#include "server/store/store.h"
#include "spdlog/spdlog.h"

namespace modlab {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;
constexpr absl::Duration kCallsGrace = absl::Seconds(2);
constexpr std::chrono::seconds kStopPatience(5);

// The Unix time of the start plus the time that passed since: a clock that is
// set while a coordinator runs expires no lease.
Engine::Clock SteadyUnixClock() {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  const auto unix_start = std::chrono::system_clock::now().time_since_epoch();
  const auto steady_start = std::chrono::steady_clock::now();
  return [unix_start, steady_start] {
    const auto passed = std::chrono::steady_clock::now() - steady_start;
    return int64_t{duration_cast<microseconds>(unix_start + passed).count()};
  };
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "modlabd: %s\n", std::string(status.message()).c_str());
  return kExitFailure;
}

// What was answered is on disk, so ending in the middle of a long read loses
// nothing.
void EndIfStoppingHangs() {
  std::thread([] {
    std::this_thread::sleep_for(kStopPatience);
    spdlog::warn("calls are still running after {} s; exiting without their answers",
                 kStopPatience.count());
    std::_Exit(0);
  }).detach();
}

// Each connection is a file; the usual limit of 1024 is for programs that may still
// use select().
void OpenManyFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Null where it is not wanted. The engine must outlive it.
absl::StatusOr<std::unique_ptr<StatusServer>> ServeStatus(const Flags& flags, Engine* engine) {
  if (!flags.metrics.has_value()) return nullptr;
  ListenAddress address = *flags.metrics;
  auto server = StatusServer::Start(
      address.host, address.port,
      [engine, data_dir = flags.data_dir] { return ReadStatus(engine, data_dir); });
  if (!server.ok()) return server;
  address.port = (*server)->port();
  spdlog::info("metrics, health and readiness at http://{}/", address.ToString());
  if (!address.is_local()) {
    spdlog::warn("{} can be reached from other machines: EVERYONE who reaches it reads the metrics",
                 address.ToString());
  }
  return server;
}

int Run(const Flags& flags, const sigset_t& stop_signals) {
  absl::Status secure = CheckSecurity(flags.listen, flags.security, flags.data_dir);
  if (secure.ok()) secure = CheckMetrics(flags);
  if (!secure.ok()) {
    Fail(secure);
    return kExitUsage;
  }
  if (flags.security.insecure && !flags.listen.is_local()) {
    spdlog::warn(
        "{} can be reached from other machines, and --insecure lets EVERYONE who reaches it "
        "submit, cancel, read and train, unseen and as often as they like",
        flags.listen.ToString());
  }
  absl::StatusOr<std::unique_ptr<DataDir>> data_dir = DataDir::Acquire(flags.data_dir);
  if (!data_dir.ok()) return Fail(data_dir.status());
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(flags.data_dir, OpenOptions(flags));
  if (!store.ok()) return Fail(store.status());
  absl::StatusOr<std::unique_ptr<Artifacts>> artifacts =
      Artifacts::Open(flags.data_dir, ArtifactsOptions(flags));
  if (!artifacts.ok()) return Fail(artifacts.status());

  absl::StatusOr<std::unique_ptr<Engine>> engine = Engine::Start(
      store->get(), (*store)->writer(), artifacts->get(), SteadyUnixClock(), EngineOptions(flags));
  if (!engine.ok()) return Fail(engine.status());
  absl::StatusOr<std::unique_ptr<Server>> server =
      Server::Start(store->get(), artifacts->get(), engine->get(), flags.listen,
                    {flags.security, flags.data_dir});
  if (!server.ok()) return Fail(server.status());
  absl::StatusOr<std::unique_ptr<StatusServer>> status_server = ServeStatus(flags, engine->get());
  if (!status_server.ok()) return Fail(status_server.status());
  const std::string listens_at = (*server)->address().ToString();
  absl::Status announced = (*data_dir)->SetAddress(listens_at);
  if (!announced.ok()) return Fail(announced);
  std::printf("modlabd ready at %s (data in %s)\n", listens_at.c_str(), flags.data_dir.c_str());
  std::fflush(stdout);

  int signal = 0;
  sigwait(&stop_signals, &signal);
  spdlog::info("{}: stopping", signal == SIGINT ? "SIGINT" : "SIGTERM");
  EndIfStoppingHangs();
  (*server)->Stop(kCallsGrace);
  (*engine)->Stop();
  return 0;
}

int Main(int argc, char** argv) {
  const pid_t parent = getppid();  // before anything slow: it may end at any time
  Flags flags;
  CLI::App app(
      "The coordinator of modlab: queues experiments, leases them to workers and keeps "
      "their results.",
      "modlabd");
  app.footer(
      "Examples:\n"
      "  modlabd --data-dir /srv/modlab\n"
      "  modlabd tokens create --name ada --role admin --data-dir /srv/modlab > ada.token\n"
      "  modlabd --data-dir /srv/modlab --listen 10.0.0.1:7070 --tls-cert cert.pem --tls-key "
      "key.pem\n"
      "Exit codes: 0 stopped by SIGINT or SIGTERM; 1 failed; 2 wrong usage.");
  app.set_version_flag("--version", std::string("modlabd ") + MODLAB_VERSION);
  AddFlags(&app, &flags);
  std::function<absl::Status()> action;  // of a subcommand
  int exit_code = 0;
  AddTokensCommand(&app, &action);
  AddCareCommands(&app, &action, &exit_code);
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (action != nullptr) {
    const absl::Status done = action();
    if (done.ok()) return exit_code;
    Fail(done);
    return absl::IsInvalidArgument(done) ? kExitUsage : kExitFailure;
  }

  // Blocked in all threads to come; Run() waits for them.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGINT);
  sigaddset(&stop_signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
  // A reader of our log that went away is no reason to stop.
  signal(SIGPIPE, SIG_IGN);
  if (flags.exit_with_parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent) return kExitFailure;
  }
  OpenManyFiles();
  // A port that is taken is told by us, in one line.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  StartLog("modlabd", flags.log_level, flags.log_format);
  return Run(flags, stop_signals);
}

}  // namespace
}  // namespace modlab

int main(int argc, char** argv) {
  try {
    return modlab::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "modlabd: %s\n", error.what());
    return modlab::kExitFailure;
  }
}
