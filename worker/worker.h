// A worker from its flags to its end.

#ifndef MODLAB_WORKER_WORKER_H_
#define MODLAB_WORKER_WORKER_H_

#include <string>

#include "rpc/channel.h"

namespace modlab {

// Every view lists every lease, and has 1 MiB for them.
inline constexpr int kLeasesMax = 32'768;
inline constexpr int kSlotsMax = 1024;
// Members of a gang unless asked otherwise: on a core, more share little more;
// a GPU has room for hundreds.
inline constexpr int kGangSizeDefault = 8;

struct WorkerOptions {
  // Where the coordinator is.
  Endpoint endpoint;
  // "auto", "cpu" or "cuda:N".
  std::string device = "auto";
  // 1..kSlotsMax; 0: one a core for "cpu", one for "cuda:N".
  int slots = 0;
  // 1..kGangSizeMax of trainer.h.
  int gang_size_max = kGangSizeDefault;
  // 1..128 characters; empty: host name and process id.
  std::string name;
};

// Serves the coordinator until SIGINT or SIGTERM, then says so, drops what it
// holds and returns within two seconds; where a trainer takes longer, ends the
// process instead. A second signal ends the process at once. Returns the
// process's exit code: 0, or 2 for options that are not allowed, having said why.
// Call once, from main().
int RunWorker(const WorkerOptions& options);

}  // namespace modlab

#endif  // MODLAB_WORKER_WORKER_H_
