// A worker from its flags to its end.

#ifndef MODLAB_WORKER_WORKER_H_
#define MODLAB_WORKER_WORKER_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "rpc/channel.h"

namespace modlab {

// Every view lists every lease, and has 1 MiB for them.
inline constexpr int kLeasesMax = 32'768;
inline constexpr int kSlotsMax = 1024;
inline constexpr int kLabelsMax = 64;
// Members of a gang unless asked otherwise: what a core is given for a long time is what
// others wait for; a GPU has room for hundreds.
inline constexpr int kGangSizeOnCpu = 8;
inline constexpr int kGangSizeOnCuda = 256;

struct WorkerOptions {
  // Where the coordinator is.
  Endpoint endpoint;
  // "auto", "cpu" or "cuda:N".
  std::string device = "auto";
  // 1..kSlotsMax; 0: one a core for "cpu", one for "cuda:N".
  int slots = 0;
  // 1..kGangSizeMax of trainer.h, all of which step together. 0: by the device, and as
  // many step together as is the fastest.
  int gang_size_max = 0;
  // 1..128 characters; empty: host name and process id.
  std::string name;
  // What sweeps may require. At most kLabelsMax, each as in Requirements of sweep.proto.
  std::vector<std::string> labels;
  // Of the device; for "cpu" the machine's; shared by the slots, of which each gang may use what
  // SlotMemoryBytes() says. Negative: as detected.
  int64_t memory_bytes = -1;
  // Between two checkpoints of a job. 0: only those that hand it back are made.
  std::chrono::milliseconds checkpoint_interval{60'000};
  // From the request to end to the end. Positive.
  std::chrono::milliseconds grace{20'000};
};

// Serves the coordinator until SIGINT, SIGTERM or the coordinator's wish, then hands
// back what it holds, with checkpoints, and returns within `grace`; where a trainer
// takes longer, ends the process instead. A second signal ends the process at once.
// Returns the process's exit code: 0; 1 if it ended because the thread of a slot hangs;
// 2 for options that are not allowed, having said why. Call once, from main().
int RunWorker(const WorkerOptions& options);

}  // namespace modlab

#endif  // MODLAB_WORKER_WORKER_H_
