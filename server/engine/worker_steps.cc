#include "server/engine/worker_steps.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/engine/report_check.h"
#include "spdlog/spdlog.h"

namespace modlab {

namespace {

constexpr size_t kFailureMessageBytesMax = 4096;

// Writes down what the queue decided. `why` may be null for a requeued job.
absl::Status WriteVerdict(const Queue::Verdict& verdict, const v1::Failure* why, Ledger* ledger,
                          int64_t now_us) {
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  if (verdict.requeued) {
    return (*writer)->RequeueJob(verdict.job_id, verdict.failures, why, now_us);
  }
  return (*writer)->FailJob(verdict.job_id, *why, now_us);
}

// At most `bytes_max`, cut between characters.
void TruncateUtf8(size_t bytes_max, std::string* text) {
  if (text->size() <= bytes_max) return;
  size_t size = bytes_max;
  while (size > 0 && ((*text)[size] & 0xC0) == 0x80) --size;
  text->resize(size);
}

absl::Status TakeFailure(int64_t job_id, v1::Failure failure, Ledger* ledger, int64_t now_us) {
  if (failure.cause() == v1::FAILURE_CAUSE_UNSPECIFIED ||
      !v1::FailureCause_IsValid(failure.cause())) {
    failure.set_cause(v1::WORKER_ERROR);
  }
  TruncateUtf8(kFailureMessageBytesMax, failure.mutable_message());
  const Queue::Verdict verdict = ledger->queue().Fail(job_id, failure.cause());
  spdlog::info("job {} failed on {}: {}{}", job_id, verdict.worker_name, failure.message(),
               verdict.requeued ? "; it is queued again" : "");
  return WriteVerdict(verdict, &failure, ledger, now_us);
}

absl::Status TakeResult(int64_t job_id, const v1::JobResult& result, Ledger* ledger,
                        int64_t now_us) {
  absl::StatusOr<Store::Writer*> writer = ledger->Write();
  if (!writer.ok()) return writer.status();
  absl::Status status = (*writer)->FinishJob(job_id, result, now_us);
  if (status.ok()) ledger->queue().RemoveJob(job_id);
  return status;
}

absl::Status TakeReport(const v1::Report& report, const std::string& worker_id, Ledger* ledger,
                        int64_t now_us) {
  const int64_t job_id = report.job_id();
  if (!ledger->queue().LeaseIsCurrent(job_id, report.attempt(), worker_id)) {
    return absl::OkStatus();
  }
  const v1::JobConfig config = ledger->queue().Config(job_id);
  switch (report.event_case()) {
    case v1::Report::kPoint: {
      const absl::Status sound = CheckPoint(report.point(), config);
      if (!sound.ok()) {
        spdlog::warn("job {}: a point is dropped: {}", job_id, std::string(sound.message()));
        return absl::OkStatus();
      }
      absl::StatusOr<Store::Writer*> writer = ledger->Write();
      return writer.ok() ? (*writer)->AppendPoint(job_id, report.point()) : writer.status();
    }
    case v1::Report::kFinished: {
      const absl::Status sound = CheckResult(report.finished(), config);
      if (sound.ok()) return TakeResult(job_id, report.finished(), ledger, now_us);
      v1::Failure failure;
      failure.set_cause(v1::WORKER_ERROR);
      failure.set_message(
          absl::StrCat("the worker's result was refused: ", std::string(sound.message())));
      failure.set_iteration(config.iterations());
      return TakeFailure(job_id, failure, ledger, now_us);
    }
    case v1::Report::kFailed:
      return TakeFailure(job_id, report.failed(), ledger, now_us);
    case v1::Report::EVENT_NOT_SET:
      spdlog::warn("job {}: a report without an event is dropped", job_id);
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status TakeView(const v1::WorkerView& view, uint64_t* processed, Ledger* ledger,
                      int64_t now_us) {
  uint64_t newest = *processed;
  for (const v1::Report& report : view.reports()) {
    if (report.number() <= newest) continue;
    // A worker sends each report once a stream, and one view got lost.
    if (newest > 0 && report.number() > newest + 1) {
      return absl::UnavailableError(
          absl::StrCat("report ", newest + 1, " is missing before report ", report.number()));
    }
    absl::Status status = TakeReport(report, view.worker_id(), ledger, now_us);
    if (!status.ok()) return status;
    newest = report.number();
  }
  absl::StatusOr<std::vector<Queue::Verdict>> given_back =
      ledger->queue().UpdateWorker(view, now_us);
  if (!given_back.ok()) return given_back.status();
  for (const Queue::Verdict& verdict : *given_back) {
    absl::Status status = WriteVerdict(verdict, nullptr, ledger, now_us);
    if (!status.ok()) return status;
  }
  *processed = newest;
  return absl::OkStatus();
}

absl::Status ExpireLeases(Ledger* ledger, int64_t now_us) {
  for (const Queue::Verdict& verdict : ledger->queue().Expire(now_us)) {
    v1::Failure failure;
    failure.set_cause(v1::WORKER_LOST);
    failure.set_message(absl::StrCat("worker ", verdict.worker_name, " stopped answering"));
    failure.set_iteration(verdict.iteration);
    spdlog::warn("job {}: {}{}", verdict.job_id, failure.message(),
                 verdict.requeued ? "; it is queued again" : "");
    absl::Status status = WriteVerdict(verdict, &failure, ledger, now_us);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status GiveGangs(Ledger* ledger, int64_t now_us) {
  for (const Queue::NewGang& gang : ledger->queue().Assign(now_us)) {
    absl::StatusOr<Store::Writer*> writer = ledger->Write();
    if (!writer.ok()) return writer.status();
    for (const Queue::NewLease& lease : gang.leases) {
      absl::Status status = (*writer)->StartAttempt(lease.job_id, lease.attempt, gang.worker_id,
                                                    gang.worker_name, now_us);
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace modlab
