// What all commands share: how they are registered, and their common options.
//
// Each command has its own file, whose Add...() registers one subcommand. A
// subcommand that was chosen sets `*action`; main() then runs it. The action
// returns the exit code, or an error to print.

#ifndef MODLAB_CLIENT_COMMANDS_COMMAND_H_
#define MODLAB_CLIENT_COMMANDS_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/connection.h"
#include "client/format.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {

// Exit codes of `modlab`. After a signal: 128 + its number.
inline constexpr int kExitOk = 0;
inline constexpr int kExitError = 1;   // the command failed
inline constexpr int kExitUsage = 2;   // it was written wrongly: INVALID_ARGUMENT of any action
inline constexpr int kExitFailed = 3;  // jobs failed, were cancelled or are not finished

using Action = std::function<absl::StatusOr<int>()>;

void AddRun(CLI::App* app, Action* action);
void AddSubmit(CLI::App* app, Action* action);
void AddWatch(CLI::App* app, Action* action);
void AddList(CLI::App* app, Action* action);
void AddShow(CLI::App* app, Action* action);
void AddCancel(CLI::App* app, Action* action);
void AddPause(CLI::App* app, Action* action);
void AddResume(CLI::App* app, Action* action);
void AddSet(CLI::App* app, Action* action);
void AddExtend(CLI::App* app, Action* action);
void AddRetry(CLI::App* app, Action* action);
void AddResults(CLI::App* app, Action* action);
void AddCurves(CLI::App* app, Action* action);
void AddRank(CLI::App* app, Action* action);
void AddCompare(CLI::App* app, Action* action);
void AddReport(CLI::App* app, Action* action);
void AddExport(CLI::App* app, Action* action);
void AddTop(CLI::App* app, Action* action);
void AddWorkers(CLI::App* app, Action* action);
void AddArtifacts(CLI::App* app, Action* action);
void AddAudit(CLI::App* app, Action* action);
void AddVerify(CLI::App* app, Action* action);
void AddBackup(CLI::App* app, Action* action);
void AddPrune(CLI::App* app, Action* action);

// --server, --data-dir, and what TLS and tokens need.
void AddConnectionOptions(CLI::App* command, Connection::Choice* choice);
// --format; the value that `format` has is the default.
void AddFormatOption(CLI::App* command, Format* format);
// --where FIELD=VALUE[,VALUE...], as often as wanted.
void AddWhereOption(CLI::App* command, std::vector<std::string>* where);
// `name` FIELD=VALUE[,VALUE...], as often as wanted.
CLI::Option* AddFilterOption(CLI::App* command, const std::string& name, const std::string& text,
                             std::vector<std::string>* filters);
// --checkpoint last|best.
void AddCheckpointOption(CLI::App* command, v1::Checkpoint* checkpoint);
// SWEEP, required.
void AddSweepArgument(CLI::App* command, std::string* sweep);

// INVALID_ARGUMENT for text that is not FIELD=VALUE[,VALUE...]. The coordinator
// checks fields and values.
absl::StatusOr<std::vector<v1::FieldFilter>> ParseWhere(const std::vector<std::string>& where,
                                                        absl::string_view option = "--where");

// All pages of ListJobs, job by job, until `visit` returns false.
absl::Status VisitJobs(const Connection& connection, const std::string& sweep,
                       const std::vector<v1::FieldFilter>& filters,
                       const std::function<bool(const v1::Job&)>& visit);

}  // namespace modlab

#endif  // MODLAB_CLIENT_COMMANDS_COMMAND_H_
