// For tests: a store's writer whose disk fails on demand.

#ifndef MODLAB_SERVER_ENGINE_FAULTY_WRITER_H_
#define MODLAB_SERVER_ENGINE_FAULTY_WRITER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/store.h"

namespace modlab {

// The switches are thread-safe; the rest is as the writer behind it.
class FaultyWriter final : public Store::Writer {
 public:
  explicit FaultyWriter(Store::Writer* inner) : inner_(inner) {}
  void set_inner(Store::Writer* inner) { inner_ = inner; }

  void FailCommits(bool fail) { fail_commits_ = fail; }
  void FailLoads(bool fail) { fail_loads_ = fail; }
  void FailStartAttempt(bool fail) { fail_start_ = fail; }
  // The one after the next `count` fails, once.
  void FailInsertJobAfter(int count) { inserts_left_ = count; }
  // As SQLite may when the disk is full, or bad.
  void LoseTransactionOnNextInsert(absl::StatusCode code = absl::StatusCode::kResourceExhausted) {
    lose_transaction_ = code;
  }
  // A commit is done by the Begin() that follows.
  void DelayCommits() { delay_commits_ = true; }
  int commits() const { return commits_; }

  absl::Status Begin() override {
    if (commit_is_due_.exchange(false)) {
      absl::Status status = inner_->Commit();
      if (!status.ok()) return status;
    }
    return inner_->Begin();
  }
  absl::Status Commit() override {
    if (fail_commits_) return absl::ResourceExhaustedError("the disk is full");
    ++commits_;
    if (delay_commits_) {
      commit_is_due_ = true;
      return absl::OkStatus();
    }
    return inner_->Commit();
  }
  void Rollback() override { inner_->Rollback(); }
  absl::Status Checkpoint() override { return inner_->Checkpoint(); }
  absl::Status Savepoint() override { return inner_->Savepoint(); }
  absl::Status ReleaseSavepoint() override { return inner_->ReleaseSavepoint(); }
  absl::Status RollbackToSavepoint() override { return inner_->RollbackToSavepoint(); }
  absl::Status LoadSweeps(const std::function<void(const QueuedSweep&)>& visit) override {
    return inner_->LoadSweeps(visit);
  }
  absl::Status LoadUnfinished(const std::function<void(const UnfinishedJob&)>& visit) override {
    if (fail_loads_) return absl::InternalError("the disk cannot be read");
    return inner_->LoadUnfinished(visit);
  }
  absl::StatusOr<std::optional<std::string>> FindRequest(absl::string_view request_id) override {
    return inner_->FindRequest(request_id);
  }
  absl::StatusOr<QueuedSweep> InsertSweep(const v1::SweepSpec& spec, const v1::SweepPolicy& policy,
                                          absl::string_view user, absl::string_view request_id,
                                          int64_t now_us) override {
    return inner_->InsertSweep(spec, policy, user, request_id, now_us);
  }
  absl::StatusOr<QueuedSweep> FindActiveSweep(absl::string_view id_or_name) override {
    return inner_->FindActiveSweep(id_or_name);
  }
  absl::StatusOr<QueuedSweep> ReadSweep(int64_t sweep) override { return inner_->ReadSweep(sweep); }
  absl::Status SetPolicy(int64_t sweep, const v1::SweepPolicy& policy) override {
    return inner_->SetPolicy(sweep, policy);
  }
  absl::StatusOr<v1::SweepSpec> ReadSpec(int64_t sweep) override { return inner_->ReadSpec(sweep); }
  absl::Status SetSpec(int64_t sweep, const v1::SweepSpec& spec) override {
    return inner_->SetSpec(sweep, spec);
  }
  absl::StatusOr<std::optional<KnownJob>> FindJob(absl::string_view job_key) override {
    return inner_->FindJob(job_key);
  }
  absl::StatusOr<int64_t> InsertJob(const NewJob& job, int64_t now_us) override {
    if (inserts_left_ >= 0 && inserts_left_-- == 0) return absl::InternalError("the disk is odd");
    const absl::StatusCode lost = lose_transaction_.exchange(absl::StatusCode::kOk);
    if (lost != absl::StatusCode::kOk) {
      inner_->Rollback();
      return absl::Status(lost, "the disk is full, or bad");
    }
    return inner_->InsertJob(job, now_us);
  }
  absl::StatusOr<bool> LinkJob(int64_t sweep, int64_t job_id) override {
    return inner_->LinkJob(sweep, job_id);
  }
  absl::StatusOr<UnfinishedJob> ReadUnfinished(int64_t job_id) override {
    return inner_->ReadUnfinished(job_id);
  }
  absl::StatusOr<SharedJobs> SplitByOwner(int64_t sweep,
                                          const std::vector<int64_t>& job_ids) override {
    return inner_->SplitByOwner(sweep, job_ids);
  }
  absl::StatusOr<std::vector<int64_t>> KeepEnded(const std::vector<int64_t>& job_ids) override {
    return inner_->KeepEnded(job_ids);
  }
  absl::StatusOr<int64_t> CancelSweep(absl::string_view id_or_name, int64_t now_us) override {
    return inner_->CancelSweep(id_or_name, now_us);
  }
  absl::StatusOr<std::string> FindCancelledSweep(int64_t job_id) override {
    return inner_->FindCancelledSweep(job_id);
  }
  absl::Status StartAttempt(int64_t job_id, int32_t attempt, absl::string_view worker_id,
                            absl::string_view worker_name, absl::string_view worker_place,
                            int64_t now_us) override {
    if (fail_start_) return absl::InternalError("the disk is odd");
    return inner_->StartAttempt(job_id, attempt, worker_id, worker_name, worker_place, now_us);
  }
  absl::Status RequeueJob(int64_t job_id, int32_t failures, absl::string_view avoided,
                          const v1::Failure& why, int64_t not_before_us, int64_t now_us) override {
    return inner_->RequeueJob(job_id, failures, avoided, why, not_before_us, now_us);
  }
  absl::Status ReleaseJob(int64_t job_id, int64_t iteration, absl::string_view reason,
                          int64_t now_us) override {
    return inner_->ReleaseJob(job_id, iteration, reason, now_us);
  }
  absl::Status RetryJob(int64_t job_id, absl::string_view reason, int64_t now_us) override {
    return inner_->RetryJob(job_id, reason, now_us);
  }
  absl::Status FailJob(int64_t job_id, const v1::Failure& why, int64_t now_us) override {
    return inner_->FailJob(job_id, why, now_us);
  }
  absl::Status CancelJob(int64_t job_id, absl::string_view reason, int64_t now_us) override {
    return inner_->CancelJob(job_id, reason, now_us);
  }
  absl::Status FinishJob(int64_t job_id, const v1::JobResult& result, int64_t now_us) override {
    return inner_->FinishJob(job_id, result, now_us);
  }
  absl::Status AppendPoints(int64_t job_id,
                            const std::vector<const v1::CurvePoint*>& points) override {
    return inner_->AppendPoints(job_id, points);
  }
  absl::Status KeepCheckpoint(int64_t job_id, const v1::TrainingCheckpoint& checkpoint,
                              int64_t now_us) override {
    return inner_->KeepCheckpoint(job_id, checkpoint, now_us);
  }
  absl::Status RequestDrain(absl::string_view worker_id, int64_t now_us) override {
    return inner_->RequestDrain(worker_id, now_us);
  }
  absl::Status LoadDrainRequests(
      const std::function<void(absl::string_view worker_id)>& visit) override {
    return inner_->LoadDrainRequests(visit);
  }
  absl::Status KeepQuarantine(const Quarantine& quarantine, int64_t forget_before_us) override {
    return inner_->KeepQuarantine(quarantine, forget_before_us);
  }
  absl::Status EndQuarantine(absl::string_view place) override {
    return inner_->EndQuarantine(place);
  }
  absl::Status LoadQuarantines(const std::function<void(const Quarantine&)>& visit) override {
    return inner_->LoadQuarantines(visit);
  }
  absl::Status RegisterArtifact(absl::string_view sha256, int64_t size_bytes,
                                int64_t now_us) override {
    return inner_->RegisterArtifact(sha256, size_bytes, now_us);
  }
  absl::StatusOr<std::vector<std::string>> FindGarbage(int64_t before_us, int count_max) override {
    return inner_->FindGarbage(before_us, count_max);
  }
  absl::Status ForgetArtifact(absl::string_view sha256) override {
    return inner_->ForgetArtifact(sha256);
  }
  absl::StatusOr<int64_t> ArtifactBytes() override { return inner_->ArtifactBytes(); }
  absl::StatusOr<v1::PruneResponse> Prune(const v1::PruneRequest& request,
                                          int64_t older_than_us) override {
    return inner_->Prune(request, older_than_us);
  }
  absl::Status PruneWeights(const std::vector<int64_t>& sweeps,
                            const std::vector<int64_t>& jobs) override {
    return inner_->PruneWeights(sweeps, jobs);
  }

 private:
  Store::Writer* inner_;
  std::atomic<bool> fail_commits_{false};
  std::atomic<bool> delay_commits_{false};
  std::atomic<bool> commit_is_due_{false};
  std::atomic<bool> fail_loads_{false};
  std::atomic<bool> fail_start_{false};
  std::atomic<absl::StatusCode> lose_transaction_{absl::StatusCode::kOk};
  std::atomic<int> inserts_left_{-1};
  std::atomic<int> commits_{0};
};

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_FAULTY_WRITER_H_
