#include "worker/worker.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <string>
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
#include "worker/artifact_download.h"
#include "worker/artifact_upload.h"
#include "worker/channel.h"
#include "worker/checkpoint_keeper.h"
#include "worker/coordinator_link.h"
#include "worker/gang.h"
#include "worker/gang_runner.h"
#include "worker/machine_memory.h"
#include "worker/session.h"
#include "worker/slots.h"

namespace modlab {
namespace {

using std::chrono::milliseconds;

using Clock = std::chrono::steady_clock;

// -- the end ---------------------------------------------------------------------
// A handler and a pipe rather than a blocked mask and sigwait(): libraries start
// threads before main(), and those do not block what main() blocks.

int stop_pipe[2];
std::atomic<bool> is_stopping{false};
std::atomic<bool> a_slot_hangs{false};

// Safe in a signal handler. What does not fit into the pipe was said before.
void AskToStop() {
  const int saved_errno = errno;
  [[maybe_unused]] const ssize_t written = write(stop_pipe[1], "", 1);
  errno = saved_errno;
}

void OnStopSignal(int signal_number) {
  if (is_stopping.exchange(true)) _exit(128 + signal_number);
  AskToStop();
}

bool CatchStopSignals() {
  if (pipe(stop_pipe) != 0 || fcntl(stop_pipe[1], F_SETFL, O_NONBLOCK) != 0) return false;
  struct sigaction action = {};
  action.sa_handler = OnStopSignal;
  action.sa_flags = SA_RESTART;
  return sigaction(SIGTERM, &action, nullptr) == 0 && sigaction(SIGINT, &action, nullptr) == 0 &&
         // Whoever read our log may be gone.
         std::signal(SIGPIPE, SIG_IGN) != SIG_ERR;
}

void WaitUntilAskedToStop() {
  char byte;
  while (read(stop_pipe[0], &byte, 1) < 0 && errno == EINTR) {
  }
}

// -- identity -----------------------------------------------------------------------

std::string RandomId() {
  std::random_device random;
  return absl::StrFormat("%08x%08x%08x%08x", random(), random(), random(), random());
}

std::string HostName() {
  char host[65] = "";
  return gethostname(host, sizeof(host) - 1) == 0 ? host : "worker";
}

int DefaultSlots(const v1::Provenance& provenance) {
  if (provenance.device() != "cpu") return 1;
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::min(std::max(cores, 1), kSlotsMax);
}

v1::WorkerView Identity(const WorkerOptions& options, const std::string& device,
                        const v1::Provenance& provenance) {
  const std::string host = HostName();
  v1::WorkerView identity;
  identity.set_worker_id(RandomId());
  identity.set_name(options.name.empty() ? absl::StrCat(host, ":", getpid()) : options.name);
  identity.set_device(provenance.device());
  identity.set_device_name(provenance.device_name());
  identity.set_slots(options.slots > 0 ? options.slots : DefaultSlots(provenance));
  identity.set_gang_size_max(options.gang_size_max > 0      ? options.gang_size_max
                             : provenance.device() == "cpu" ? kGangSizeOnCpu
                                                            : kGangSizeOnCuda);
  identity.mutable_labels()->Assign(options.labels.begin(), options.labels.end());
  identity.set_memory_bytes(options.memory_bytes >= 0 ? options.memory_bytes
                            : device == "cpu"         ? MachineMemoryBytes()
                                                      : DeviceMemoryBytes(device));
  identity.set_slot_memory_bytes(SlotMemoryBytes(identity.memory_bytes(), identity.slots()));
  identity.set_place(absl::StrCat(host, "/", device));
  return identity;
}

TrainerLimits LimitsOfSlot(const WorkerOptions& options, const v1::WorkerView& identity) {
  TrainerLimits limits;
  limits.memory_bytes = identity.slot_memory_bytes();
  limits.stack_size = options.gang_size_max;
  return limits;
}

}  // namespace

int RunWorker(const WorkerOptions& options) {
  const absl::StatusOr<std::string> device = ResolveDevice(options.device);
  if (!device.ok()) {
    spdlog::error("{}", std::string(device.status().message()));
    return 2;
  }
  const v1::Provenance provenance = DescribeDevice(*device);
  const v1::WorkerView identity = Identity(options, *device, provenance);
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
  spdlog::info("worker {} at {} ({}, {:.1f} GiB): slots {} of {:.2f} GiB, gang {}", identity.name(),
               identity.place(), provenance.device_name(),
               static_cast<double>(identity.memory_bytes()) / (1 << 30), identity.slots(),
               static_cast<double>(identity.slot_memory_bytes()) / (1 << 30),
               identity.gang_size_max());

  const absl::StatusOr<std::shared_ptr<grpc::Channel>> opened = OpenWorkerChannel(options.endpoint);
  if (!opened.ok()) {
    spdlog::error("{}", std::string(opened.status().message()));
    return 2;
  }
  const std::shared_ptr<grpc::Channel>& channel = *opened;
  std::unique_ptr<CoordinatorLink> link;
  Session session(identity, ReportLimits(), [&link, &session] {
    link->Wake();
    if (session.draining()) AskToStop();
  });
  link = std::make_unique<CoordinatorLink>(channel, options.endpoint.address, &session);
  const ArtifactSink upload = [channel](absl::string_view content, const TryAgain& try_again) {
    return UploadArtifact(channel, content, try_again);
  };
  CheckpointKeeper keeper(&session, upload);
  const GangRunner runner(
      &session, &keeper,
      [device = *device, limits = LimitsOfSlot(options, identity)](
          const std::vector<v1::JobConfig>& canonical,
          const std::vector<std::string>& checkpoints) {
        return Trainer::Create(canonical, device, checkpoints, limits);
      },
      upload,
      [channel](const v1::TrainingCheckpoint& checkpoint, const std::function<bool()>& is_wanted) {
        return DownloadCheckpoint(channel, checkpoint, is_wanted);
      },
      provenance);
  Slots slots(
      identity.slots(), &session, [&](const std::shared_ptr<Gang>& gang) { runner.Run(gang); },
      options.checkpoint_interval,
      [] {
        spdlog::error(
            "a slot got nowhere for {} minutes after its jobs were taken away: its thread hangs. "
            "This worker hands back the rest and exits with 1, to be started again",
            kHangsAfter.count());
        a_slot_hangs = true;
        AskToStop();
      });
  link->Start();

  WaitUntilAskedToStop();
  const Clock::time_point end = Clock::now() + options.grace;
  spdlog::info("stopping: handing back what is trained");
  session.Drain();
  const milliseconds last_words = std::min(options.grace / 4, milliseconds(1000));
  if (!session.WaitUntilReleased(end - last_words)) {
    // No longer listed, so that the coordinator gives them away at once.
    spdlog::warn("some jobs could not be handed back in time: they go on from older checkpoints");
    session.Abandon();
  }
  const auto left = [end] { return std::chrono::duration_cast<milliseconds>(end - Clock::now()); };
  link->Stop(left() - last_words / 2);
  if (!slots.WaitUntilEnded(end) || !keeper.Stop(left())) {
    // A step of a large gang may take longer; nothing of it is wanted any more.
    spdlog::default_logger()->flush();
    std::_Exit(a_slot_hangs ? 1 : 0);
  }
  return a_slot_hangs ? 1 : 0;
}

}  // namespace modlab
