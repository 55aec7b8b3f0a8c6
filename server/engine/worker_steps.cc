#include "server/engine/worker_steps.h"

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/config/utf8.h"
#include "server/engine/job_log.h"
#include "server/engine/report_check.h"
#include "spdlog/spdlog.h"

namespace modlab {

namespace {

constexpr size_t kFailureMessageBytesMax = 4096;
constexpr size_t kReasonBytesMax = 256;
// Nobody has come to such a place for long.
constexpr int64_t kQuarantineAgeUs = int64_t{30} * 24 * 3600 * 1'000'000;

const char* Outcome(const Queue::Verdict& verdict) {
  if (verdict.requeued) return "it is queued again";
  return verdict.quarantined ? "it is quarantined" : "it is not tried again";
}

// Writes down what became of a job whose attempt failed.
absl::Status WriteFailure(const Queue::Verdict& verdict, v1::Failure failure, Ledger* ledger,
                          int64_t now_us) {
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  // A newer cause than this build knows counts as none.
  const bool known = v1::FailureCause_IsValid(failure.cause());
  ++ledger->tally().failed_by_cause[known ? static_cast<size_t>(failure.cause()) : 0];
  spdlog::warn("{}: the attempt failed, {}: {}",
               JobFields(verdict.job_id, verdict.attempt, verdict.worker_name), Outcome(verdict),
               absl::Utf8SafeCEscape(failure.message()));
  if (verdict.requeued) {
    return (*writer)->RequeueJob(verdict.job_id, verdict.failures, verdict.avoided, failure,
                                 verdict.not_before_us, now_us);
  }
  failure.set_quarantined(verdict.quarantined);
  return (*writer)->FailJob(verdict.job_id, failure, now_us);
}

// Writes down that a job went back without a failure.
absl::Status WriteRelease(const Queue::Verdict& verdict, absl::string_view reason, Ledger* ledger,
                          int64_t now_us) {
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  spdlog::info("{}: handed back: {}",
               JobFields(verdict.job_id, verdict.attempt, verdict.worker_name),
               absl::Utf8SafeCEscape(reason));
  return (*writer)->ReleaseJob(verdict.job_id, verdict.iteration, reason, now_us);
}

// Of a job that its worker does not list and that it gave no report of.
std::string WhyGivenBack(const v1::WorkerView& view, const Queue::Verdict& verdict,
                         const Queue& queue) {
  const std::string who =
      absl::StrCat("worker ", view.name(), view.draining() ? " drains and" : "");
  switch (verdict.listed) {
    case Queue::Verdict::Listed::kNever:
      return absl::StrCat(who, " does not begin it");
    case Queue::Verdict::Listed::kOnce:
      return absl::StrCat(who, " could not hand it back in time: it goes on from iteration ",
                          queue.CheckpointIteration(verdict.job_id));
    default:
      return absl::StrCat(who, " does not have it");
  }
}

// The reports of one worker, one by one. Points of a job are written together: before its
// next report of another kind, and at the end.
class Reports {
 public:
  Reports(const v1::WorkerView& view, const ArtifactFiles& files, Ledger* ledger, int64_t now_us)
      : view_(view), files_(files), ledger_(ledger), now_us_(now_us) {}

  absl::Status Take(const v1::Report& report) {
    const int64_t job_id = report.job_id();
    if (!ledger_->queue().LeaseIsCurrent(job_id, report.attempt(), view_.worker_id())) {
      return absl::OkStatus();
    }
    const auto [entry, is_new] = jobs_.try_emplace(job_id);
    Job& job = entry->second;
    if (is_new) job.config = ledger_->queue().Config(job_id);
    if (report.has_point()) return TakePoint(report, &job);
    absl::Status status = WritePoints(job_id, &job);
    if (!status.ok()) return status;
    switch (report.event_case()) {
      case v1::Report::kFinished:
        return TakeResult(report, job.config);
      case v1::Report::kFailed:
        return TakeFailure(job_id, report.failed());
      case v1::Report::kCheckpoint:
        return TakeCheckpoint(report, job.config);
      case v1::Report::kReleased:
        return TakeRelease(report);
      default:
        return Drop(report, "it has no event");
    }
  }

  absl::Status WritePoints() {
    for (auto& [job_id, job] : jobs_) {
      absl::Status status = WritePoints(job_id, &job);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  struct Job {
    v1::JobConfig config;
    std::vector<const v1::CurvePoint*> points;  // of the view, not written yet
  };

  absl::Status TakePoint(const v1::Report& report, Job* job) {
    const absl::Status sound = CheckPoint(report.point(), job->config);
    if (!sound.ok()) return Drop(report, sound.message());
    job->points.push_back(&report.point());
    return absl::OkStatus();
  }

  absl::Status WritePoints(int64_t job_id, Job* job) {
    if (job->points.empty()) return absl::OkStatus();
    absl::StatusOr<Store::Writer*> writer = ledger_->Write();
    if (!writer.ok()) return writer.status();
    ledger_->tally().points += static_cast<int64_t>(job->points.size());
    absl::Status status = (*writer)->AppendPoints(job_id, job->points);
    job->points.clear();
    return status;
  }

  absl::Status TakeResult(const v1::Report& report, const v1::JobConfig& config) {
    const v1::JobResult& result = report.finished();
    absl::Status sound = CheckResult(result, config);
    if (sound.ok()) sound = CheckFile(result.checkpoint_sha256());
    if (sound.ok()) sound = CheckFile(result.best().checkpoint_sha256());
    if (!sound.ok()) return RefuseResult(report, sound);
    absl::StatusOr<Store::Writer*> writer = ledger_->Write();
    if (!writer.ok()) return writer.status();
    absl::Status status = (*writer)->FinishJob(report.job_id(), result, now_us_);
    if (absl::IsFailedPrecondition(status)) return RefuseResult(report, status);
    if (!status.ok()) return status;
    ledger_->queue().Finish(report.job_id());
    if (spdlog::should_log(spdlog::level::debug)) {
      spdlog::debug("{}: finished", JobFields(report.job_id(), report.attempt(), view_.name()));
    }
    ++ledger_->tally().jobs_finished;
    return absl::OkStatus();
  }

  absl::Status RefuseResult(const v1::Report& report, const absl::Status& why) {
    v1::Failure failure;
    failure.set_cause(v1::WORKER_ERROR);
    failure.set_message(
        absl::StrCat("the worker's result was refused: ", std::string(why.message())));
    failure.set_iteration(ledger_->queue().Config(report.job_id()).iterations());
    return TakeFailure(report.job_id(), std::move(failure));
  }

  absl::Status TakeFailure(int64_t job_id, v1::Failure failure) {
    if (failure.cause() == v1::FAILURE_CAUSE_UNSPECIFIED ||
        !v1::FailureCause_IsValid(failure.cause())) {
      failure.set_cause(v1::WORKER_ERROR);
    }
    failure.set_message(std::string(CutUtf8(failure.message(), kFailureMessageBytesMax)));
    const Queue::Verdict verdict =
        ledger_->queue().Fail(job_id, failure.cause(), failure.message(), now_us_);
    return WriteFailure(verdict, std::move(failure), ledger_, now_us_);
  }

  // The worker does not know why it was asked.
  absl::Status TakeRelease(const v1::Report& report) {
    std::string reason = ledger_->queue().ReleaseReason(report.job_id());
    if (reason.empty()) reason = std::string(CutUtf8(report.released().reason(), kReasonBytesMax));
    return WriteRelease(ledger_->queue().Release(report.job_id()), reason, ledger_, now_us_);
  }

  absl::Status TakeCheckpoint(const v1::Report& report, const v1::JobConfig& config) {
    const v1::TrainingCheckpoint& checkpoint = report.checkpoint();
    absl::Status sound = CheckCheckpoint(checkpoint, config);
    if (!sound.ok()) return Drop(report, sound.message());
    if (!ledger_->queue().WantsCheckpoint(report.job_id(), checkpoint.iteration())) {
      return absl::OkStatus();
    }
    sound = CheckFile(checkpoint.sha256());
    if (!sound.ok()) return Drop(report, sound.message());
    absl::StatusOr<Store::Writer*> writer = ledger_->Write();
    if (!writer.ok()) return writer.status();
    absl::Status status = (*writer)->KeepCheckpoint(report.job_id(), checkpoint, now_us_);
    if (absl::IsFailedPrecondition(status)) return Drop(report, status.message());
    if (status.ok()) ledger_->queue().KeepCheckpoint(report.job_id(), checkpoint);
    return status;
  }

  // A row may outlive its file for a while: garbage goes file first.
  absl::Status CheckFile(const std::string& sha256) const {
    if (sha256.empty() || files_.Contains(sha256)) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("artifact ", sha256, " is not there; upload it first"));
  }

  absl::Status Drop(const v1::Report& report, absl::string_view why) const {
    spdlog::warn("{}: a report is dropped: {}",
                 JobFields(report.job_id(), report.attempt(), view_.name()), std::string(why));
    return absl::OkStatus();
  }

  const v1::WorkerView& view_;
  const ArtifactFiles& files_;
  Ledger* const ledger_;
  const int64_t now_us_;
  std::map<int64_t, Job> jobs_;
};

}  // namespace

absl::Status TakeView(const v1::WorkerView& view, const ArtifactFiles& files,
                      ReportProgress* processed, Ledger* ledger, int64_t now_us) {
  Reports reports(view, files, ledger, now_us);
  ReportProgress after = *processed;
  for (const v1::Report& report : view.reports()) {
    const bool may_begin = after.stream_is_new && after.newest == 0;
    after.stream_is_new = false;
    if (report.number() <= after.newest) continue;
    // A worker sends each report once a stream, and one view got lost.
    if (report.number() > after.newest + 1 && !may_begin) {
      return absl::UnavailableError(
          absl::StrCat("report ", after.newest + 1, " is missing before report ", report.number()));
    }
    absl::Status status = reports.Take(report);
    if (!status.ok()) return status;
    after.newest = report.number();
  }
  absl::Status written = reports.WritePoints();
  if (!written.ok()) return written;
  absl::StatusOr<std::vector<Queue::Verdict>> given_back =
      ledger->queue().UpdateWorker(view, now_us);
  if (!given_back.ok()) return given_back.status();
  for (const Queue::Verdict& verdict : *given_back) {
    absl::Status status =
        WriteRelease(verdict, WhyGivenBack(view, verdict, ledger->queue()), ledger, now_us);
    if (!status.ok()) return status;
  }
  *processed = after;
  return absl::OkStatus();
}

absl::StatusOr<v1::Worker> DrainWorker(absl::string_view name_or_id, Ledger* ledger,
                                       int64_t now_us) {
  absl::StatusOr<v1::Worker> worker = ledger->queue().DrainWorker(name_or_id);
  if (!worker.ok()) return worker;
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  absl::Status status = (*writer)->RequestDrain(worker->id(), now_us);
  if (!status.ok()) return status;
  spdlog::info("{}: asked to drain", LogField("worker", worker->name()));
  return worker;
}

absl::Status ExpireLeases(Ledger* ledger, int64_t now_us) {
  for (const Queue::Verdict& verdict : ledger->queue().Expire(now_us)) {
    v1::Failure failure;
    failure.set_cause(v1::WORKER_LOST);
    failure.set_message(absl::StrCat("worker ", verdict.worker_name,
                                     verdict.stalled
                                         ? " answers, but got nowhere with it for longer than "
                                           "modlabd --stall-seconds"
                                         : " stopped answering"));
    failure.set_iteration(verdict.iteration);
    absl::Status status = WriteFailure(verdict, std::move(failure), ledger, now_us);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status KeepQuarantines(Ledger* ledger, int64_t now_us) {
  Ledger::Quarantines& known = ledger->quarantines();
  const Queue& queue = ledger->queue();
  if (known.revision == queue.quarantines_revision()) return absl::OkStatus();
  Ledger::Quarantines current{queue.quarantines_revision(), {}};
  for (Quarantine& quarantine : queue.ListQuarantines()) {
    const auto before = known.places.find(quarantine.place);
    if (before == known.places.end() || before->second.until_us != quarantine.until_us) {
      absl::StatusOr<Store::Writer*> writer = ledger->Write();
      if (!writer.ok()) return writer.status();
      absl::Status status = (*writer)->KeepQuarantine(quarantine, now_us - kQuarantineAgeUs);
      if (!status.ok()) return status;
      spdlog::warn(
          "{}: {} gangs in a row failed there, so its workers are given nothing for {} s, then "
          "one job at a time; the last: {}",
          LogField("place", quarantine.place), quarantine.failures,
          (quarantine.until_us - now_us + 999'999) / 1'000'000,
          absl::Utf8SafeCEscape(quarantine.reason));
    }
    current.places[quarantine.place] = std::move(quarantine);
  }
  for (const auto& [place, quarantine] : known.places) {
    if (current.places.count(place) > 0) continue;
    absl::StatusOr<Store::Writer*> writer = ledger->Write();
    if (!writer.ok()) return writer.status();
    absl::Status status = (*writer)->EndQuarantine(place);
    if (!status.ok()) return status;
    spdlog::warn("{}: its quarantine is over", LogField("place", place));
  }
  known = std::move(current);
  return absl::OkStatus();
}

absl::Status GiveGangs(Ledger* ledger, int64_t now_us) {
  for (const Queue::NewGang& gang : ledger->queue().Assign(now_us)) {
    absl::StatusOr<Store::Writer*> writer = ledger->Write();
    if (!writer.ok()) return writer.status();
    for (const Queue::NewLease& lease : gang.leases) {
      absl::Status status = (*writer)->StartAttempt(lease.job_id, lease.attempt, gang.worker_id,
                                                    gang.worker_name, gang.worker_place, now_us);
      if (!status.ok()) return status;
      if (spdlog::should_log(spdlog::level::debug)) {
        spdlog::debug("{}: leased in gang {} of {}",
                      JobFields(lease.job_id, lease.attempt, gang.worker_name), gang.gang_id,
                      gang.leases.size());
      }
    }
  }
  ledger->queue().Preempt();
  return absl::OkStatus();
}

}  // namespace modlab
