// What modlabd is told on its command line to serve with.

#ifndef MODLAB_SERVER_FLAGS_H_
#define MODLAB_SERVER_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/engine/engine.h"
#include "server/queue/queue.h"
#include "server/services/listen_address.h"
#include "server/services/security.h"
#include "server/store/artifacts.h"
#include "server/store/store.h"

namespace modlab {

struct Flags {
  std::string data_dir = "./modlab-data";
  ListenAddress listen{"", "127.0.0.1", 7070};
  Security security;
  double lease_seconds = 10.0;
  double stall_seconds = 600.0;
  Queue::Retries retries;
  double backoff_seconds = 1.0;
  double store_max_gib = 0.0;
  double artifacts_max_gib = 0.0;
  std::optional<ListenAddress> metrics;  // absent: none
  bool metrics_insecure = false;
  std::string log_level = "info";
  std::string log_format = "text";
  bool exit_with_parent = false;
};

// Adds the options of all that serves. `flags` must outlive the parsing; what is
// wrong is thrown as CLI11 does.
void AddFlags(CLI::App* app, Flags* flags);

// `before`, changed as "worker_lost=4,diverged=1" says. INVALID_ARGUMENT names the
// word and what is allowed.
absl::StatusOr<Queue::Retries> ParseRetries(absl::string_view text, const Queue::Retries& before);

// FAILED_PRECONDITION: others could reach the metrics, and nothing says that they may.
absl::Status CheckMetrics(const Flags& flags);

Engine::Options EngineOptions(const Flags& flags);
StoreOptions OpenOptions(const Flags& flags);
Artifacts::Options ArtifactsOptions(const Flags& flags);

}  // namespace modlab

#endif  // MODLAB_SERVER_FLAGS_H_
