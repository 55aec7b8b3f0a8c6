#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/format.h"
#include "client/live_line.h"
#include "client/text.h"
#include "modlab/v1/coordinator.grpc.pb.h"

namespace modlab {
namespace {

// Jobs that are just not finished; a table for people is not the place for thousands.
constexpr size_t kIncompleteShownMax = 20;

struct Options {
  Connection::Choice choice;
  std::string sweep;
  bool no_checksums = false;
  Format format = Format::kTable;
};

struct Report {
  std::vector<v1::Finding> findings;
  v1::AuditSummary summary;
};

absl::StatusOr<Report> Ask(const Connection& connection, const Options& options) {
  v1::AuditRequest request;
  request.set_sweep(options.sweep);
  request.set_skip_checksums(options.no_checksums);
  Report report;
  LiveLine line;
  v1::CoordinatorService::Stub stub(connection.channel());
  const absl::Status status = connection.Attempt([&](grpc::ClientContext* context) {
    // As long as it takes: it tells how far it is.
    context->set_deadline(std::chrono::system_clock::time_point::max());
    report = Report();
    auto reader = stub.Audit(context, request);
    v1::AuditResponse response;
    while (reader->Read(&response)) {
      line.Show(absl::StrCat(CountText(response.done()), " of ", CountText(response.total()),
                             " jobs and artifacts"));
      for (v1::Finding& finding : *response.mutable_findings()) {
        report.findings.push_back(std::move(finding));
      }
      if (response.has_summary()) report.summary = response.summary();
    }
    return reader->Finish();
  });
  if (!status.ok()) return status;
  return report;
}

std::string SummaryText(const v1::AuditSummary& summary) {
  std::string text = absl::StrCat(
      CountText(summary.sweeps(), "sweep"), ", ", CountText(summary.jobs(), "job"), ": ",
      CountText(summary.configs(), "config"), " gave ", CountText(summary.results(), "result"),
      summary.repeats() > 0 ? absl::StrCat(" (", CountText(summary.repeats(), "job"),
                                           " more repeat some of them: verify, --force)")
                            : "",
      ", ", CountText(summary.points(), "point"), ", ", CountText(summary.artifacts(), "artifact"),
      " (", BytesText(summary.artifact_bytes()), ").");
  if (summary.incomplete() > 0) {
    absl::StrAppend(&text, "\n", CountText(summary.incomplete(), "job"),
                    " not finished, failed or cancelled.");
  }
  absl::StrAppend(&text,
                  summary.damaged() == 0
                      ? "\nNothing is damaged."
                      : absl::StrCat("\nDAMAGED: ", CountText(summary.damaged(), "finding"), "."));
  return text;
}

void Print(Report report, Format format) {
  const bool table = format == Format::kTable;
  auto& findings = report.findings;
  std::stable_partition(findings.begin(), findings.end(),
                        [](const v1::Finding& finding) { return !finding.incomplete(); });
  RowWriter writer(format, {"finding", "subject", "damage", "message"}, &std::cout);
  size_t incomplete = 0;
  for (const v1::Finding& finding : findings) {
    if (finding.incomplete() && ++incomplete > kIncompleteShownMax && table) continue;
    writer.Add({finding.kind(), finding.subject(), finding.incomplete() ? "no" : "yes",
                finding.message()});
  }
  if (!table || !findings.empty()) writer.Finish();
  if (table && incomplete > kIncompleteShownMax) {
    std::cout << "... and "
              << CountText(report.summary.incomplete() - static_cast<int64_t>(kIncompleteShownMax))
              << " more that are not finished; `modlab ls SWEEP` lists them.\n";
  }
  if (table && !findings.empty()) std::cout << "\n";
  std::cout.flush();
  (table ? std::cout : std::cerr) << SummaryText(report.summary) << "\n";
}

absl::StatusOr<int> Audit(const Options& options) {
  auto connection = Connection::Open(options.choice, Connection::Store::kMustExist);
  if (!connection.ok()) return connection.status();
  absl::StatusOr<Report> report = Ask(**connection, options);
  if (!report.ok()) return report.status();
  const v1::AuditSummary summary = report->summary;
  Print(*std::move(report), options.format);
  if (summary.damaged() > 0) return kExitError;
  return summary.incomplete() > 0 ? kExitFailed : kExitOk;
}

}  // namespace

void AddAudit(CLI::App* app, Action* action) {
  auto options = std::make_shared<Options>();
  auto* command =
      app->add_subcommand("audit", "Prove from the store that all is there, once, and unharmed");
  command
      ->add_option("SWEEP", options->sweep,
                   "Sweep: its id or name; default the whole store and its file")
      ->type_name("");
  command->add_flag("--no-checksums", options->no_checksums,
                    "Do not read every artifact; look at presence and size alone");
  AddConnectionOptions(command, &options->choice);
  AddFormatOption(command, &options->format);
  command->footer(
      "It reads one state of the store while everything goes on, and changes nothing.\n"
      "Exit codes: 0 all is there; 3 only that some jobs are not finished, failed or\n"
      "cancelled; 1 something is damaged (or the audit itself failed).\n"
      "\nExample:\n  modlab audit quickstart");
  command->callback([=] { *action = [=] { return Audit(*options); }; });
}

}  // namespace modlab
