#include "worker/worker.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "lib/train/device.h"
#include "lib/train/trainer.h"
#include "modlab/v1/worker.pb.h"
#include "spdlog/spdlog.h"
#include "worker/artifact_upload.h"
#include "worker/channel.h"
#include "worker/coordinator_link.h"
#include "worker/gang_runner.h"
#include "worker/session.h"

namespace modlab {
namespace {

using std::chrono::milliseconds;

// Of the two seconds that an end may take.
constexpr milliseconds kLastWords(1000);
constexpr milliseconds kLastSteps(700);

// -- signals ---------------------------------------------------------------------
// A handler and a pipe rather than a blocked mask and sigwait(): libraries start
// threads before main(), and those do not block what main() blocks.

int stop_pipe[2];
std::atomic<bool> is_stopping{false};

void OnStopSignal(int signal_number) {
  if (is_stopping.exchange(true)) _exit(128 + signal_number);
  const int saved_errno = errno;
  // Cannot fail: the pipe is empty.
  if (write(stop_pipe[1], "", 1) != 1) _exit(1);
  errno = saved_errno;
}

bool CatchStopSignals() {
  if (pipe(stop_pipe) != 0) return false;
  struct sigaction action = {};
  action.sa_handler = OnStopSignal;
  action.sa_flags = SA_RESTART;
  return sigaction(SIGTERM, &action, nullptr) == 0 && sigaction(SIGINT, &action, nullptr) == 0 &&
         // Whoever read our log may be gone.
         std::signal(SIGPIPE, SIG_IGN) != SIG_ERR;
}

void WaitForStopSignal() {
  char byte;
  while (read(stop_pipe[0], &byte, 1) < 0 && errno == EINTR) {
  }
}

// -- identity -----------------------------------------------------------------------

std::string RandomId() {
  std::random_device random;
  return absl::StrFormat("%08x%08x%08x%08x", random(), random(), random(), random());
}

std::string DefaultName() {
  char host[65] = "";
  if (gethostname(host, sizeof(host) - 1) != 0) return absl::StrCat("worker:", getpid());
  return absl::StrCat(host, ":", getpid());
}

int DefaultSlots(const v1::Provenance& provenance) {
  if (provenance.device() != "cpu") return 1;
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::min(std::max(cores, 1), kSlotsMax);
}

// -- slots --------------------------------------------------------------------------

// One thread a slot, each training one gang after another until the session drains.
class Slots {
 public:
  Slots(int count, Session* session, const GangRunner* runner) : running_(count) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this, session, runner] {
        while (const std::shared_ptr<Gang> gang = session->NextGang()) {
          spdlog::debug("gang of {} started", gang->size());
          runner->Run(gang.get());
          session->GangEnded();
        }
        const std::lock_guard<std::mutex> lock(mutex_);
        --running_;
        ended_.notify_all();
      });
    }
  }

  // False if some still train after `grace`; then the threads go on.
  bool Join(milliseconds grace) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!ended_.wait_for(lock, grace, [this] { return running_ == 0; })) return false;
    lock.unlock();
    for (std::thread& thread : threads_) thread.join();
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  int running_;
  std::vector<std::thread> threads_;
};

}  // namespace

int RunWorker(const WorkerOptions& options) {
  const absl::StatusOr<std::string> device = ResolveDevice(options.device);
  if (!device.ok()) {
    spdlog::error("{}", std::string(device.status().message()));
    return 2;
  }
  const v1::Provenance provenance = DescribeDevice(*device);
  v1::WorkerView identity;
  identity.set_worker_id(RandomId());
  identity.set_name(options.name.empty() ? DefaultName() : options.name);
  identity.set_device(provenance.device());
  identity.set_device_name(provenance.device_name());
  identity.set_slots(options.slots > 0 ? options.slots : DefaultSlots(provenance));
  identity.set_gang_size_max(options.gang_size_max);
  if (identity.slots() * identity.gang_size_max() > kLeasesMax) {
    spdlog::error("--slots {} times --gang {} is {}; at most {} is allowed", identity.slots(),
                  identity.gang_size_max(), identity.slots() * identity.gang_size_max(),
                  kLeasesMax);
    return 2;
  }
  const std::string blas_warning = BlasWarning();
  if (provenance.device() == "cpu" && !blas_warning.empty()) spdlog::warn("{}", blas_warning);
  if (!CatchStopSignals()) {
    spdlog::error("cannot set up signals: errno {}", errno);
    return 1;
  }
  spdlog::info("worker {} on {} ({}): slots {}, gang {}", identity.name(), *device,
               provenance.device_name(), identity.slots(), identity.gang_size_max());

  const absl::StatusOr<std::shared_ptr<grpc::Channel>> opened = OpenWorkerChannel(options.endpoint);
  if (!opened.ok()) {
    spdlog::error("{}", std::string(opened.status().message()));
    return 2;
  }
  const std::shared_ptr<grpc::Channel>& channel = *opened;
  std::unique_ptr<CoordinatorLink> link;
  Session session(identity, ReportLimits(), [&link] { link->Wake(); });
  link = std::make_unique<CoordinatorLink>(channel, options.endpoint.address, &session);
  const GangRunner runner(
      &session,
      [device = *device](const std::vector<v1::JobConfig>& canonical) {
        return Trainer::Create(canonical, device);
      },
      [channel](absl::string_view content, const std::function<bool()>& is_wanted) {
        return UploadArtifact(channel, content, is_wanted);
      },
      provenance);
  Slots slots(identity.slots(), &session, &runner);
  link->Start();

  WaitForStopSignal();
  spdlog::info("stopping");
  session.Drain();
  link->Stop(kLastWords);
  if (!slots.Join(kLastSteps)) {
    // A step of a large gang may take longer; nothing of it is wanted any more.
    spdlog::default_logger()->flush();
    std::_Exit(0);
  }
  return 0;
}

}  // namespace modlab
