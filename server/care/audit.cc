#include "server/care/audit.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "lib/config/words.h"
#include "server/care/artifact_check.h"
#include "server/care/job_check.h"
#include "server/care/job_life.h"
#include "server/care/sweep_check.h"
#include "server/store/audit_rows.h"
#include "server/store/curve_rows.h"
#include "server/store/event_rows.h"
#include "server/store/job_rows.h"
#include "server/store/schema.h"
#include "server/store/sqlite.h"
#include "server/store/sweep_rows.h"

namespace modlab {
namespace {

class Auditor {
 public:
  Auditor(const std::string& data_dir, const Artifacts& artifacts, const AuditOptions& options,
          const Findings::Tell& tell, Connection* snapshot, Connection* later)
      : options_(options),
        findings_(tell, options.patience),
        snapshot_(snapshot),
        artifacts_(data_dir, &artifacts, later, options.checksums, &findings_) {}

  absl::Status Run() {
    absl::Status status = snapshot_->Execute("BEGIN");
    if (status.ok()) status = CheckSchema();
    if (status.ok()) status = options_.sweep.empty() ? AuditStore() : AuditOneSweep();
    return status.ok() ? findings_.Finish() : status;
  }

 private:
  // The first read of the transaction: from here on it sees one state.
  absl::Status CheckSchema() {
    const absl::StatusOr<int64_t> version = ReadSchemaVersion(snapshot_);
    if (!version.ok()) return version.status();
    if (*version == static_cast<int64_t>(Migrations().size())) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        snapshot_->path(), " has schema version ", *version, ", and this modlab (", MODLAB_VERSION,
        ") audits version ", Migrations().size(), "; start its coordinator once to upgrade it"));
  }

  // What cannot be read because it is damaged is a finding; the audit goes on.
  absl::Status Tolerate(const absl::Status& status, absl::string_view subject) {
    if (!absl::IsInternal(status) && !absl::IsDataLoss(status)) return status;
    findings_.Damage("unreadable", subject, std::string(status.message()));
    return absl::OkStatus();
  }

  absl::Status AuditStore() {
    absl::Status status = AuditFile();
    if (status.ok()) status = AuditSweeps();
    if (status.ok()) status = AuditJobs();
    if (status.ok()) {
      status = Tolerate(ScanArtifactRows(snapshot_,
                                         [this](const ArtifactRow& row) {
                                           artifacts_.CheckRow(row);
                                           return absl::OkStatus();
                                         }),
                        "artifacts");
    }
    if (status.ok()) status = CheckContents();
    if (status.ok()) status = artifacts_.CheckFiles();
    return status;
  }

  // Reading all files may take hours, in which the log could not be emptied.
  absl::Status CheckContents() {
    snapshot_->Rollback();
    return artifacts_.CheckContents();
  }

  absl::Status AuditFile() {
    const std::pair<const char*, decltype(&FindBrokenPages)> checks[] = {
        {"broken_page", &FindBrokenPages}, {"broken_reference", &FindBrokenReferences}};
    for (const auto& [kind, find] : checks) {
      const absl::StatusOr<std::vector<std::string>> broken = find(snapshot_);
      if (!broken.ok()) {
        absl::Status status = Tolerate(broken.status(), "database");
        if (!status.ok()) return status;
        continue;
      }
      for (const std::string& line : *broken) findings_.Damage(kind, "database", line);
    }
    return absl::OkStatus();
  }

  absl::Status AuditSweeps() {
    const absl::StatusOr<std::vector<int64_t>> numbers = ReadSweepNumbers(snapshot_);
    if (!numbers.ok()) return Tolerate(numbers.status(), "sweeps");
    for (const int64_t number : *numbers) {
      absl::Status status = Tolerate(AuditSweep(number), absl::StrCat("sweep of number ", number));
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status AuditSweep(int64_t number) {
    v1::AuditSummary* summary = findings_.summary();
    summary->set_sweeps(summary->sweeps() + 1);
    const absl::StatusOr<v1::Sweep> sweep = ReadSweep(snapshot_, number);
    if (!sweep.ok()) return sweep.status();
    const auto keys = ReadJobKeys(snapshot_, number);
    if (!keys.ok()) return keys.status();
    missing_ += AuditSweepJobs(*sweep, *keys, &findings_);
    return absl::OkStatus();
  }

  absl::Status AuditJobs() {
    absl::Status status = Tolerate(AuditDoubles(), "jobs");
    return status.ok() ? AuditEachJob(std::nullopt) : status;
  }

  absl::Status AuditDoubles() {
    const auto doubled = ReadDoubledJobs(snapshot_);
    if (!doubled.ok()) return doubled.status();
    for (const auto& [key, replicate] : *doubled) {
      findings_.Damage("doubled_job", absl::StrCat("job key ", key),
                       absl::StrCat("several jobs are repetition ", replicate, " of one config"));
    }
    const auto strays = FindStrayCurves(snapshot_);
    if (!strays.ok()) return strays.status();
    for (const int64_t id : *strays) {
      findings_.Damage("broken_reference", absl::StrCat("job ", id),
                       "there is a curve of it, and no such job");
    }
    const auto orphans = ReadOrphanJobs(snapshot_);
    if (!orphans.ok()) return orphans.status();
    for (const int64_t id : *orphans) {
      findings_.Damage("orphan_job", absl::StrCat("job ", id), "no sweep asks for it");
    }
    return absl::OkStatus();
  }

  // Of the sweep of this number, or of all.
  absl::Status AuditEachJob(std::optional<int64_t> sweep) {
    const absl::StatusOr<std::optional<int64_t>> first = ReadFirstJobWithEvents(snapshot_);
    absl::Status status = Tolerate(first.status(), "events");
    if (!status.ok()) return status;
    first_with_events_ =
        first.ok() && first->has_value() ? **first : std::numeric_limits<int64_t>::max();
    const absl::StatusOr<std::vector<std::string>> repeated = ReadRepeatedKeys(snapshot_);
    if (!repeated.ok()) return Tolerate(repeated.status(), "jobs");
    for (const std::string& key : *repeated) repeated_.emplace(key, Repeated());
    const absl::StatusOr<std::vector<int64_t>> ids = ReadJobIds(snapshot_, sweep);
    if (!ids.ok()) return Tolerate(ids.status(), "jobs");
    findings_.SetTotal(static_cast<int64_t>(ids->size()) + (sweep ? 0 : CountArtifacts()));
    for (const int64_t id : *ids) {
      status = Tolerate(AuditJob(id), absl::StrCat("job ", id));
      if (status.ok()) status = findings_.Advance();
      if (!status.ok()) return status;
    }
    v1::AuditSummary* summary = findings_.summary();
    summary->set_jobs(static_cast<int64_t>(ids->size()));
    summary->set_configs(summary->jobs() - summary->repeats() + missing_);
    return absl::OkStatus();
  }

  // For progress alone: an error will show where they are read.
  int64_t CountArtifacts() {
    Statement count = snapshot_->Prepare("SELECT count(*) FROM artifacts");
    const absl::StatusOr<bool> row = count.Step();
    return row.ok() && *row ? count.Int(0) : 0;
  }

  absl::Status AuditJob(int64_t id) {
    const absl::StatusOr<v1::Job> read = ReadJob(snapshot_, id);
    if (absl::IsNotFound(read.status())) return absl::OkStatus();  // a broken_reference
    if (!read.ok()) return read.status();
    const v1::Job& job = *read;
    const bool older = id < first_with_events_;
    NoteIncomplete(job);
    v1::AuditSummary* summary = findings_.summary();
    // Few configs have several jobs; of the others nothing need be kept.
    const auto repeated = repeated_.find(job.job_key());
    Repeated* const others = repeated == repeated_.end() ? nullptr : &repeated->second;
    if (others != nullptr && std::exchange(others->counted, true)) {
      summary->set_repeats(summary->repeats() + 1);
    }

    absl::Status status = AuditJobEvents(job, older);
    if (status.ok()) status = AuditJobReferences(job);
    if (!status.ok()) return status;
    if (!AuditConfig(job, older, &findings_)) return absl::OkStatus();
    if (AuditResult(job, &findings_) &&
        (others == nullptr || !std::exchange(others->has_result, true))) {
      summary->set_results(summary->results() + 1);
    }
    CurveCheck curve(job, &findings_);
    status = ScanCurveRows(snapshot_, id, [&](const CurveRow& row) {
      curve.Add(row);
      summary->set_points(summary->points() + static_cast<int64_t>(row.points.size()));
    });
    if (status.ok()) curve.Finish();
    return status;
  }

  void NoteIncomplete(const v1::Job& job) {
    const std::string subject = absl::StrCat("job ", job.id());
    switch (job.state()) {
      case v1::SUCCEEDED:
        return;
      case v1::QUEUED:
      case v1::RUNNING:
        return findings_.Incomplete("unfinished_job", subject,
                                    absl::StrCat("it is ", StateName(job.state())));
      case v1::FAILED:
        return findings_.Incomplete("failed_job", subject, job.failure().message());
      case v1::CANCELLED:
        return findings_.Incomplete("cancelled_job", subject, "it was cancelled");
      default:
        return findings_.Damage(
            "bad_progress", subject,
            absl::StrCat("it is in state ", static_cast<int>(job.state()), ", which there is not"));
    }
  }

  absl::Status AuditJobEvents(const v1::Job& job, bool older) {
    const absl::StatusOr<JobEvents> events = ReadEvents(snapshot_, job.id());
    if (!events.ok()) return events.status();
    const std::vector<int64_t>& numbers = events->numbers;
    const int64_t first = numbers.empty() ? events->count + 1 : numbers.front();
    std::vector<int64_t> expected(
        static_cast<size_t>(std::max<int64_t>(0, events->count + 1 - first)));
    std::iota(expected.begin(), expected.end(), first);
    if (numbers != expected) {
      findings_.Damage("bad_events", absl::StrCat("job ", job.id()),
                       absl::StrCat("of events ", first, " to ", events->count, " only ",
                                    numbers.size(), " are there, or some twice"));
      return absl::OkStatus();
    }
    // Of very many, the oldest are forgotten.
    const bool cut = first > 1 && numbers.size() >= static_cast<size_t>(kJobEventsMax);
    AuditLife(job, events->events, /*from_the_start=*/!older && !cut, &findings_);
    return absl::OkStatus();
  }

  absl::Status AuditJobReferences(const v1::Job& job) {
    const std::string subject = absl::StrCat("job ", job.id());
    if (job.state() == v1::SUCCEEDED && job.has_checkpoint()) {
      findings_.Damage("bad_checkpoint", subject, "it has succeeded, and keeps a checkpoint");
    }
    if (job.has_checkpoint() && job.checkpoint().iteration() > job.config().iterations()) {
      findings_.Damage("bad_checkpoint", subject,
                       absl::StrCat("its checkpoint is of iteration ", job.checkpoint().iteration(),
                                    " of ", job.config().iterations()));
    }
    if (job.iteration() > job.config().iterations() ||
        (job.state() == v1::SUCCEEDED && job.iteration() != job.config().iterations())) {
      findings_.Damage("bad_progress", subject,
                       absl::StrCat("it is ", StateName(job.state()), " at iteration ",
                                    job.iteration(), " of ", job.config().iterations()));
    }
    const absl::StatusOr<References> found = ReadReferences(snapshot_, job.id());
    if (!found.ok()) return found.status();
    const References expected = ExpectedReferences(job);
    const auto tell = [&](const References& some, const References& others, const char* what) {
      for (const auto& reference : some) {
        if (std::find(others.begin(), others.end(), reference) != others.end()) continue;
        findings_.Damage(
            "bad_reference", subject,
            absl::StrCat(what, " artifact ", reference.second, " as ", RoleName(reference.first)));
      }
    };
    tell(expected, *found, "the store does not note that it needs");
    tell(*found, expected, "the store notes without reason that it needs");
    if (options_.sweep.empty()) return absl::OkStatus();
    for (const auto& reference : *found) of_sweep_.insert(reference.second);
    return absl::OkStatus();
  }

  static const char* RoleName(ArtifactRole role) {
    switch (role) {
      case ArtifactRole::kLast:
        return "its weights";
      case ArtifactRole::kBest:
        return "its best weights";
      case ArtifactRole::kCheckpoint:
        return "its checkpoint";
    }
    return "something unknown";
  }

  absl::Status AuditOneSweep() {
    const absl::StatusOr<int64_t> number = FindSweep(snapshot_, options_.sweep);
    if (!number.ok()) return number.status();
    absl::Status status = Tolerate(AuditSweep(*number), absl::StrCat("sweep ", options_.sweep));
    if (status.ok()) status = AuditEachJob(*number);
    if (!status.ok()) return status;
    findings_.SetTotal(findings_.summary()->jobs() + static_cast<int64_t>(of_sweep_.size()));
    for (const std::string& sha256 : of_sweep_) {
      const absl::StatusOr<std::optional<ArtifactRow>> row = ReadArtifactRow(snapshot_, sha256);
      if (!row.ok()) return row.status();
      if (row->has_value()) {
        artifacts_.CheckRow(**row);
      } else {
        findings_.Damage("bad_reference", absl::StrCat("artifact ", sha256),
                         "jobs refer to it, and the store does not know it");
      }
    }
    return CheckContents();
  }

  // A config of several jobs.
  struct Repeated {
    bool counted = false;
    bool has_result = false;
  };

  const AuditOptions& options_;
  Findings findings_;
  Connection* const snapshot_;
  ArtifactCheck artifacts_;
  int64_t first_with_events_ = 0;                        // the first job that must have them
  int64_t missing_ = 0;                                  // configs without a job
  absl::flat_hash_map<std::string, Repeated> repeated_;  // by job key
  std::set<std::string> of_sweep_;                       // artifacts of the audited sweep
};

}  // namespace

absl::Status Audit(const std::string& data_dir, const Artifacts& artifacts,
                   const AuditOptions& options, const Findings::Tell& tell) {
  const auto open = [&] {
    return Connection::Open(data_dir + "/modlab.db", Connection::Mode::kReadOnly);
  };
  const absl::StatusOr<std::unique_ptr<Connection>> snapshot = open();
  if (!snapshot.ok()) return snapshot.status();
  const absl::StatusOr<std::unique_ptr<Connection>> later = open();
  if (!later.ok()) return later.status();
  for (Connection* connection : {snapshot->get(), later->get()}) {
    absl::Status status =
        connection->Execute("PRAGMA busy_timeout = 10000; PRAGMA cache_size = -16384;");  // KiB
    if (!status.ok()) return status;
  }
  return Auditor(data_dir, artifacts, options, tell, snapshot->get(), later->get()).Run();
}

}  // namespace modlab
