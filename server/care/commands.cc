#include "server/care/commands.h"

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/care/audit.h"
#include "server/care/restore.h"
#include "server/store/artifacts.h"
#include "server/store/data_dir.h"

namespace modlab {
namespace {

// As those of `modlab audit`.
constexpr int kExitDamaged = 1;
constexpr int kExitIncomplete = 3;

// For printf.
long long Wide(int64_t number) { return number; }

struct Options {
  std::string file;
  std::string data_dir = "./modlab-data";
  bool no_checksums = false;
};

absl::Status RestoreStore(const Options& options) {
  const absl::StatusOr<Restored> restored =
      Restore(options.file, options.data_dir, absl::ToUnixMicros(absl::Now()));
  if (!restored.ok()) return restored.status();
  std::printf(
      "%s: the store of %s, with %lld sweeps, %lld jobs and %lld artifacts.\n",
      options.data_dir.c_str(),
      absl::FormatTime(absl::FromUnixMicros(restored->created_us), absl::UTCTimeZone()).c_str(),
      Wide(restored->sweeps), Wide(restored->jobs), Wide(restored->artifacts));
  if (!restored->with_artifacts) std::printf("The backup was made without weights.\n");
  if (restored->unfinished > 0) {
    std::printf(
        "%lld jobs wait for workers%s.\n", Wide(restored->unfinished),
        restored->with_artifacts ? ", and go on from their checkpoints" : ", and start anew");
  }
  return absl::OkStatus();
}

absl::Status CheckStore(const Options& options, int* exit_code) {
  std::error_code error;
  if (!std::filesystem::exists(options.data_dir + "/modlab.db", error)) {
    return absl::FailedPreconditionError(
        absl::StrCat("there is no modlab store in ", options.data_dir));
  }
  const absl::StatusOr<std::unique_ptr<DataDir>> lock = DataDir::Acquire(options.data_dir);
  if (!lock.ok()) {
    return absl::Status(lock.status().code(),
                        absl::StrCat(std::string(lock.status().message()),
                                     " (`modlab audit` checks a store in use)"));
  }
  const absl::StatusOr<std::unique_ptr<Artifacts>> artifacts = Artifacts::Open(options.data_dir);
  if (!artifacts.ok()) return artifacts.status();
  AuditOptions audit;
  audit.checksums = !options.no_checksums;
  v1::AuditSummary summary;
  absl::Status status =
      Audit(options.data_dir, **artifacts, audit, [&](const v1::AuditResponse& response) {
        for (const v1::Finding& finding : response.findings()) {
          if (finding.incomplete()) continue;
          std::printf("%s  %s: %s\n", finding.kind().c_str(), finding.subject().c_str(),
                      finding.message().c_str());
        }
        summary = response.summary();
        return true;
      });
  if (!status.ok()) return status;
  const std::string repeats =
      summary.repeats() > 0
          ? absl::StrCat(" (", summary.repeats(), " jobs more repeat some of them)")
          : "";
  std::printf(
      "%lld sweeps, %lld jobs: %lld configs gave %lld results%s, %lld points, %lld artifacts; "
      "%lld jobs not finished, failed or cancelled. %s\n",
      Wide(summary.sweeps()), Wide(summary.jobs()), Wide(summary.configs()),
      Wide(summary.results()), repeats.c_str(), Wide(summary.points()), Wide(summary.artifacts()),
      Wide(summary.incomplete()),
      summary.damaged() == 0 ? "Nothing is damaged."
                             : absl::StrCat("DAMAGED: ", summary.damaged(), " findings.").c_str());
  if (summary.damaged() > 0) {
    *exit_code = kExitDamaged;
  } else if (summary.incomplete() > 0) {
    *exit_code = kExitIncomplete;
  }
  return absl::OkStatus();
}

}  // namespace

void AddCareCommands(CLI::App* app, std::function<absl::Status()>* action, int* exit_code) {
  const auto options = std::make_shared<Options>();
  CLI::App* restore = app->add_subcommand("restore", "Make a store from a backup");
  restore->add_option("FILE", options->file, "What `modlab backup` has written")
      ->type_name("")
      ->required();
  restore->footer(
      "Jobs that had not finished wait for workers again. Tokens are not part of a backup.\n"
      "Attempts of unfinished jobs go on from 1,000 more, and numbers of new jobs from 10,000,000\n"
      "more: what workers of before the backup still hold or report is thus never taken for what\n"
      "is leased now.\n"
      "Example:\n  modlabd restore /backups/modlab-monday --data-dir /srv/modlab-again");
  restore->callback([=] { *action = [=] { return RestoreStore(*options); }; });

  CLI::App* check =
      app->add_subcommand("check", "Audit a store that no coordinator runs on, as `modlab audit`");
  check->add_flag("--no-checksums", options->no_checksums,
                  "Do not read every artifact; look at presence and size alone");
  check->footer(
      "Exit codes: 0 all is there; 3 only that some jobs are not finished, failed or cancelled;\n"
      "1 something is damaged.\n"
      "Example:\n  modlabd check --data-dir /srv/modlab");
  check->callback([=] { *action = [=] { return CheckStore(*options, exit_code); }; });

  for (CLI::App* command : {restore, check}) {
    command->add_option("--data-dir", options->data_dir, "The coordinator's data directory")
        ->capture_default_str();
  }
}

}  // namespace modlab
