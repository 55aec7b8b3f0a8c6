#include "server/flags.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/config/words.h"

namespace modlab {

namespace {

constexpr int32_t kRetriesMax = 1000;
constexpr double kGibMax = 1e6;
// The log is written into the database at about this size, which may grow by as much.
constexpr int64_t kReserveBytes = int64_t{32} << 20;

int64_t GibToBytes(double gib) { return std::llround(gib * 1024.0 * 1024.0 * 1024.0); }

// Throws CLI11's error for an option's bad value.
template <typename T>
T OrThrow(const char* option, absl::StatusOr<T> value) {
  if (!value.ok()) {
    throw CLI::ValidationError(option, std::string(value.status().message()));
  }
  return *std::move(value);
}

}  // namespace

absl::StatusOr<Queue::Retries> ParseRetries(absl::string_view text, const Queue::Retries& before) {
  Queue::Retries retries = before;
  const std::vector<std::pair<std::string, int32_t*>> causes = {
      {CauseName(v1::WORKER_LOST), &retries.worker_lost},
      {CauseName(v1::WORKER_ERROR), &retries.worker_error},
      {CauseName(v1::OUT_OF_MEMORY), &retries.out_of_memory},
      {CauseName(v1::DIVERGED), &retries.diverged},
  };
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    const std::pair<absl::string_view, absl::string_view> words =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    const auto cause = std::find_if(causes.begin(), causes.end(),
                                    [&](const auto& known) { return known.first == words.first; });
    int32_t count = -1;
    if (cause == causes.end() || !absl::SimpleAtoi(words.second, &count) || count < 0 ||
        count > kRetriesMax) {
      return absl::InvalidArgumentError(
          absl::StrCat(QuotedWord(part),
                       " is not allowed; allowed is CAUSE=N[,...] with a cause of worker_lost, "
                       "worker_error, out_of_memory and diverged, and 0 to ",
                       kRetriesMax, " retries"));
    }
    *cause->second = count;
  }
  return retries;
}

void AddFlags(CLI::App* app, Flags* flags) {
  app->add_option("--data-dir", flags->data_dir, "Directory of the results store; made if need be")
      ->capture_default_str();
  app->add_option_function<std::string>(
         "--listen",
         [flags](const std::string& text) {
           flags->listen = OrThrow("--listen", ParseListenAddress(text));
         },
         "Where to listen: HOST:PORT (port 0: any free one) or unix:PATH")
      ->default_str(flags->listen.ToString());
  app->add_option("--tls-cert", flags->security.tls_cert,
                  "Certificate of this coordinator, with those that lead to its root (PEM); read "
                  "again when it changes, as are the next two")
      ->type_name("FILE");
  app->add_option("--tls-key", flags->security.tls_key, "Its private key (PEM)")->type_name("FILE");
  app->add_option("--tls-client-ca", flags->security.tls_client_ca,
                  "Callers must show a certificate that those in FILE (PEM) signed")
      ->type_name("FILE");
  app->add_flag("--require-tokens", flags->security.require_tokens,
                "Ask for tokens also at a Unix socket and on loopback, as is done on a network");
  app->add_flag("--insecure", flags->security.insecure,
                "Listen on a network without TLS and tokens: everyone who can reach it may do "
                "everything");
  app->add_option("--lease-seconds", flags->lease_seconds,
                  "A worker that is silent for so long loses its jobs")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  app->add_option(
         "--stall-seconds", flags->stall_seconds,
         "A worker that answers, but gets nowhere with a job for so long (no step, no batch "
         "of an evaluation), loses it; 0: never")
      ->check(CLI::Range(0.0, 604800.0))
      ->capture_default_str();
  app->add_option_function<std::string>(
         "--retries",
         [flags](const std::string& text) {
           flags->retries = OrThrow("--retries", ParseRetries(text, flags->retries));
         },
         "CAUSE=N[,...]: failures in a row after which a job is tried again, by the newest "
         "one's cause")
      ->default_str(absl::StrCat(
          "worker_lost=", flags->retries.worker_lost, ",worker_error=", flags->retries.worker_error,
          ",out_of_memory=", flags->retries.out_of_memory, ",diverged=", flags->retries.diverged));
  app->add_option("--backoff-seconds", flags->backoff_seconds,
                  "Wait before a job is tried again; doubled with each failure in a row, up to "
                  "60 s or this if it is longer")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  app->add_option("--store-max-gib", flags->store_max_gib,
                  "The database grows no larger; 0: as large as its disk")
      ->check(CLI::Range(0.0, kGibMax))
      ->capture_default_str();
  app->add_option("--artifacts-max-gib", flags->artifacts_max_gib,
                  "All weights and checkpoints together take no more; 0: as much as their disk has")
      ->check(CLI::Range(0.0, kGibMax))
      ->capture_default_str();
  app->add_option_function<std::string>(
         "--metrics",
         [flags](const std::string& text) {
           flags->metrics = OrThrow("--metrics", ParseListenAddress(text));
           if (flags->metrics->is_unix()) {
             throw CLI::ValidationError("--metrics", "\"" + text + "\" is no HOST:PORT");
           }
         },
         "Where to serve /metrics (Prometheus), /healthz and /readyz over HTTP; they only tell "
         "how much there is of what, but to everyone who reaches them, without TLS or tokens: an "
         "address that other machines can reach needs --metrics-insecure. Without it: nowhere")
      ->type_name("HOST:PORT");
  app->add_flag("--metrics-insecure", flags->metrics_insecure,
                "Serve --metrics on a network, to everyone who can reach it");
  app->add_option("--log-level", flags->log_level, "What to log on standard error")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}))
      ->capture_default_str();
  app->add_option("--log-format", flags->log_format, "As lines for people, or of JSON")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app->add_flag("--exit-with-parent", flags->exit_with_parent,
                "Stop when the process that started this one ends");
}

absl::Status CheckMetrics(const Flags& flags) {
  if (!flags.metrics.has_value() || flags.metrics->is_local()) return absl::OkStatus();
  // Who may do everything may look as well.
  if (flags.metrics_insecure || flags.security.insecure) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "--metrics: other machines can reach ", flags.metrics->ToString(),
      ", and metrics have neither TLS nor tokens. Serve them at 127.0.0.1:PORT, behind a proxy "
      "say, or, where everyone who can reach them may read them, give --metrics-insecure"));
}

Engine::Options EngineOptions(const Flags& flags) {
  Engine::Options options;
  options.queue.lease_duration_us = std::llround(flags.lease_seconds * 1e6);
  options.queue.stall_us = std::llround(flags.stall_seconds * 1e6);
  options.queue.retries = flags.retries;
  options.queue.backoff_first_us = std::llround(flags.backoff_seconds * 1e6);
  options.queue.backoff_max_us =
      std::max(options.queue.backoff_max_us, options.queue.backoff_first_us);
  return options;
}

StoreOptions OpenOptions(const Flags& flags) {
  StoreOptions options;
  options.bytes_max = GibToBytes(flags.store_max_gib);
  return options;
}

Artifacts::Options ArtifactsOptions(const Flags& flags) {
  Artifacts::Options options;
  options.total_bytes_max = GibToBytes(flags.artifacts_max_gib);
  options.reserve_bytes = kReserveBytes;
  return options;
}

}  // namespace modlab
