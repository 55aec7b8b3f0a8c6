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
  void FailStartAttempt(bool fail) { fail_start_ = fail; }
  // The one after the next `count` fails, once.
  void FailInsertJobAfter(int count) { inserts_left_ = count; }
  // As SQLite may when the disk is full.
  void LoseTransactionOnNextInsert() { lose_transaction_ = true; }
  int commits() const { return commits_; }

  absl::Status Begin() override { return inner_->Begin(); }
  absl::Status Commit() override {
    if (fail_commits_) return absl::ResourceExhaustedError("the disk is full");
    ++commits_;
    return inner_->Commit();
  }
  void Rollback() override { inner_->Rollback(); }
  absl::Status Savepoint() override { return inner_->Savepoint(); }
  absl::Status ReleaseSavepoint() override { return inner_->ReleaseSavepoint(); }
  absl::Status RollbackToSavepoint() override { return inner_->RollbackToSavepoint(); }
  absl::Status LoadUnfinished(const std::function<void(const UnfinishedJob&)>& visit) override {
    return inner_->LoadUnfinished(visit);
  }
  absl::StatusOr<std::optional<std::string>> FindRequest(absl::string_view request_id) override {
    return inner_->FindRequest(request_id);
  }
  absl::StatusOr<std::string> InsertSweep(const v1::SweepSpec& spec, absl::string_view request_id,
                                          int64_t now_us) override {
    return inner_->InsertSweep(spec, request_id, now_us);
  }
  absl::StatusOr<std::optional<KnownJob>> FindJob(absl::string_view job_key) override {
    return inner_->FindJob(job_key);
  }
  absl::StatusOr<int64_t> InsertJob(const v1::JobConfig& canonical, absl::string_view job_key,
                                    absl::string_view shape_key, int32_t replicate,
                                    int64_t now_us) override {
    if (inserts_left_ >= 0 && inserts_left_-- == 0) return absl::InternalError("the disk is odd");
    if (lose_transaction_.exchange(false)) {
      inner_->Rollback();
      return absl::ResourceExhaustedError("the disk is full");
    }
    return inner_->InsertJob(canonical, job_key, shape_key, replicate, now_us);
  }
  absl::Status LinkJob(absl::string_view sweep_id, int64_t job_id) override {
    return inner_->LinkJob(sweep_id, job_id);
  }
  absl::StatusOr<std::vector<int64_t>> CancelSweep(absl::string_view id_or_name,
                                                   int64_t now_us) override {
    return inner_->CancelSweep(id_or_name, now_us);
  }
  absl::Status StartAttempt(int64_t job_id, int32_t attempt, absl::string_view worker_id,
                            absl::string_view worker_name, int64_t now_us) override {
    if (fail_start_) return absl::InternalError("the disk is odd");
    return inner_->StartAttempt(job_id, attempt, worker_id, worker_name, now_us);
  }
  absl::Status RequeueJob(int64_t job_id, int32_t failures, const v1::Failure* why,
                          int64_t now_us) override {
    return inner_->RequeueJob(job_id, failures, why, now_us);
  }
  absl::Status FailJob(int64_t job_id, const v1::Failure& why, int64_t now_us) override {
    return inner_->FailJob(job_id, why, now_us);
  }
  absl::Status CancelJob(int64_t job_id, int64_t now_us) override {
    return inner_->CancelJob(job_id, now_us);
  }
  absl::Status FinishJob(int64_t job_id, const v1::JobResult& result, int64_t now_us) override {
    return inner_->FinishJob(job_id, result, now_us);
  }
  absl::Status AppendPoint(int64_t job_id, const v1::CurvePoint& point) override {
    return inner_->AppendPoint(job_id, point);
  }

 private:
  Store::Writer* inner_;
  std::atomic<bool> fail_commits_{false};
  std::atomic<bool> fail_start_{false};
  std::atomic<bool> lose_transaction_{false};
  std::atomic<int> inserts_left_{-1};
  std::atomic<int> commits_{0};
};

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_FAULTY_WRITER_H_
