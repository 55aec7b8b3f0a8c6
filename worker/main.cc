// modlab-worker: trains what a coordinator leases to it.

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "lib/log/log.h"
#include "lib/train/device.h"
#include "lib/train/trainer.h"
#include "modlab/v1/job.pb.h"
#include "rpc/options.h"
#include "worker/describe.h"
#include "worker/evaluate.h"
#include "worker/worker.h"

namespace modlab {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

// The kernel kills this process when the thread that started it ends, so that
// nothing of `modlab run` is left behind, whatever ends it. False if the parent
// is gone already.
bool ExitWithParent(pid_t parent) {
  return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "modlab-worker: %s\n", std::string(status.message()).c_str());
  return kExitFailure;
}

int Print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return Fail(absl::InternalError("standard output cannot be written"));
  }
  return 0;
}

int Describe(const std::string& path, const std::string& format) {
  const absl::StatusOr<v1::JobConfig> config = ReadConfig(path);
  if (!config.ok()) return Fail(config.status());
  return Print(format == "json" ? DescribeAsJson(*config) : DescribeAsTable(*config));
}

int Evaluate(const std::string& config_path, const std::string& weights_path,
             const std::string& device, const std::string& format) {
  const absl::StatusOr<v1::JobConfig> config = ReadConfig(config_path);
  if (!config.ok()) return Fail(config.status());
  const absl::StatusOr<v1::JobResult> result = EvaluateFile(*config, weights_path, device);
  if (!result.ok()) return Fail(result.status());
  return Print(format == "json" ? ResultAsJson(*result) : ResultAsTable(*result));
}

// Of a label: "" or what is wrong with it.
std::string CheckLabel(const std::string& label) {
  const bool fits =
      !label.empty() && label.size() <= 63 && std::all_of(label.begin(), label.end(), [](char c) {
        return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
               absl::StrContains("-_.=/", std::string(1, c));
      });
  return fits ? ""
              : "\"" + label +
                    "\" is no label; give 1 to 63 letters, digits, '-', '_', '.', '=' or '/'";
}

std::chrono::milliseconds Milliseconds(double seconds) {
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

int Main(int argc, char** argv) {
  // Before anything slow: the parent may end at any time.
  const pid_t parent = getppid();

  WorkerOptions options;
  std::string server;
  EndpointOptions connection;
  double memory_gib = -1;
  double checkpoint_seconds = 60;
  double grace_seconds = 20;
  bool exit_with_parent = false;
  std::string log_level = "info";
  std::string log_format = "text";
  std::string config_path;
  std::string weights_path;
  std::string format = "table";

  CLI::App app("Trains and evaluates the jobs that a coordinator (modlabd) leases to it.",
               "modlab-worker");
  app.footer(
      "Examples:\n"
      "  modlab-worker --server coordinator.example:7070\n"
      "  modlab-worker --server unix:/run/modlab.sock --device cuda:0 --gang 256\n"
      "  modlab-worker --server coordinator.example:7070 --tls-ca ca.pem --token-file "
      "worker.token\n"
      "  modlab-worker describe --config job.yaml --format json\n"
      "  modlab-worker eval --config job.yaml --state-dict model.pt\n"
      "Exit codes: 0 stopped by SIGINT or SIGTERM or drained, or printed; 1 failed, or the thread "
      "of "
      "a slot hangs; 2 wrong usage.");
  app.set_version_flag("--version", std::string("modlab-worker ") + MODLAB_VERSION);
  app.add_option("--server", server,
                 "Address of the coordinator: HOST:PORT or unix:PATH. Need not be up yet")
      ->envname("MODLAB_SERVER");
  app.add_option("--tls-ca", connection.tls_ca,
                 "Encrypt, and trust a coordinator whose certificate those in FILE (PEM) signed "
                 "(or set MODLAB_TLS_CA)")
      ->type_name("FILE");
  app.add_option("--tls-cert", connection.tls_cert,
                 "Certificate of this worker (PEM), where the coordinator asks for one")
      ->type_name("FILE");
  app.add_option("--tls-key", connection.tls_key, "Its private key (PEM)")->type_name("FILE");
  app.add_option("--token-file", connection.token_file,
                 "File with a token of the role worker (or set MODLAB_TOKEN or MODLAB_TOKEN_FILE)")
      ->type_name("FILE");
  app.add_option("--device", options.device, "auto (a CUDA device if there is one), cpu or cuda:N")
      ->capture_default_str();
  app.add_option("--slots", options.slots,
                 "Gangs to train side by side. Default: one a core on cpu, one on cuda")
      ->check(CLI::Range(1, kSlotsMax));
  app.add_option("--gang", options.gang_size_max,
                 "Most jobs to train in a slot, all together as one stacked program. Default: 8 on "
                 "cpu, 256 on cuda, as many together as is the fastest")
      ->check(CLI::Range(1, static_cast<int>(kGangSizeMax)));
  app.add_option("--name", options.name,
                 "Name for people, up to 128 characters. Default: host name and process id");
  app.add_option(
         "--label", options.labels,
         "What sweeps may require, as in \"a100\" or \"rack=7\": 1 to 63 letters, digits and "
         "-_.=/ (repeatable)")
      ->type_name("LABEL")
      ->check(CheckLabel);
  app.add_option(
         "--memory-gib", memory_gib,
         "Memory that the slots share. Sweeps may require what a slot may use, which is four "
         "fifths of its share. Default: the device's; on cpu the machine's")
      ->type_name("GIB")
      ->check(CLI::Range(0.0, 1048576.0));
  app.add_option("--checkpoint-seconds", checkpoint_seconds,
                 "Keep a checkpoint of every job with the coordinator so often; 0: only when it is "
                 "handed back")
      ->type_name("S")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  app.add_option("--grace-seconds", grace_seconds,
                 "After SIGTERM, hand back what is trained and exit within so many seconds")
      ->type_name("S")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  app.add_flag("--exit-with-parent", exit_with_parent,
               "End at once when the process that started this one ends");
  app.add_option("--log-level", log_level, "What to log on standard error")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}))
      ->capture_default_str();
  app.add_option("--log-format", log_format, "As lines for people, or of JSON")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();

  CLI::App* describe = app.add_subcommand(
      "describe", "Prints a config's parameter count, tensors, keys and task coefficients");
  CLI::App* evaluate = app.add_subcommand(
      "eval", "Evaluates weights, trained here or with PyTorch, as the end of a job is");
  for (CLI::App* command : {describe, evaluate}) {
    command
        ->add_option("--config", config_path,
                     "YAML or JSON file: one flat map of job fields, as in \"rules: 8\"")
        ->type_name("FILE")
        ->required();
    command->add_option("--format", format, "table or json")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str();
  }
  describe->footer("Example:\n  modlab-worker describe --config job.yaml --format json");
  evaluate
      ->add_option("--state-dict", weights_path,
                   "What torch.save(model.state_dict(), FILE) wrote, or a .safetensors file")
      ->type_name("FILE")
      ->required();
  evaluate->add_option("--device", options.device, "auto, cpu or cuda:N")->capture_default_str();
  evaluate->footer(
      "Example:\n  modlab-worker eval --config job.yaml --state-dict model.pt --format json\n"
      "The config's sample counts (final_batches, activation_batches, ...) say how exactly.");
  app.require_subcommand(0, 1);

  try {
    app.parse(argc, argv);
    if (!describe->parsed() && !evaluate->parsed()) {
      if (server.empty()) {
        throw CLI::ValidationError("--server", "required; or set MODLAB_SERVER");
      }
      if (server.find(':') == std::string::npos) {
        throw CLI::ValidationError("--server",
                                   "\"" + server + "\" is no address; give HOST:PORT or unix:PATH");
      }
      if (options.name.size() > 128) {
        throw CLI::ValidationError("--name", "at most 128 characters are allowed");
      }
      if (options.labels.size() > static_cast<size_t>(kLabelsMax)) {
        throw CLI::ValidationError("--label", "at most 64 are allowed");
      }
    }
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }

  PrepareProcess();
  if (describe->parsed()) return Describe(config_path, format);
  if (evaluate->parsed()) return Evaluate(config_path, weights_path, options.device, format);

  if (exit_with_parent && !ExitWithParent(parent)) return kExitFailure;
  StartLog("modlab-worker", log_level, log_format);
  const absl::StatusOr<Endpoint> endpoint = ReadEndpoint(server, connection);
  if (!endpoint.ok()) {
    Fail(endpoint.status());
    return kExitUsage;
  }
  options.endpoint = *endpoint;
  if (memory_gib >= 0) options.memory_bytes = std::llround(memory_gib * (1 << 30));
  options.checkpoint_interval = Milliseconds(checkpoint_seconds);
  options.grace = Milliseconds(grace_seconds);
  return RunWorker(options);
}

}  // namespace
}  // namespace modlab

int main(int argc, char** argv) {
  try {
    return modlab::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "modlab-worker: %s\n", error.what());
    return modlab::kExitFailure;
  }
}
