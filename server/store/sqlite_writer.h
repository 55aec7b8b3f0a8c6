// The Store's one writer on SQLite. sqlite_writer.cc has transactions, loading,
// artifacts and retention, sqlite_writer_sweeps.cc and sqlite_writer_jobs.cc the rest.

#ifndef MODLAB_SERVER_STORE_SQLITE_WRITER_H_
#define MODLAB_SERVER_STORE_SQLITE_WRITER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/store/sqlite.h"
#include "server/store/store.h"

namespace modlab {

// Changes without an open transaction are FAILED_PRECONDITION: SQLite gives up a
// transaction after some failures, and what follows must not be taken for a
// transaction of its own.
class SqliteWriter : public Store::Writer {
 public:
  explicit SqliteWriter(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {
    connection_->KeepToTransactions();
  }

  const std::string& path() const { return connection_->path(); }

  absl::Status Begin() override;
  absl::Status Commit() override;
  void Rollback() override;
  absl::Status Checkpoint() override;
  absl::Status Savepoint() override;
  absl::Status ReleaseSavepoint() override;
  absl::Status RollbackToSavepoint() override;

  absl::Status LoadSweeps(const std::function<void(const QueuedSweep&)>& visit) override;
  absl::Status LoadUnfinished(const std::function<void(const UnfinishedJob&)>& visit) override;

  absl::StatusOr<std::optional<std::string>> FindRequest(absl::string_view request_id) override;
  absl::StatusOr<QueuedSweep> InsertSweep(const v1::SweepSpec& spec, const v1::SweepPolicy& policy,
                                          absl::string_view user, absl::string_view request_id,
                                          int64_t now_us) override;
  absl::StatusOr<QueuedSweep> FindActiveSweep(absl::string_view id_or_name) override;
  absl::StatusOr<QueuedSweep> ReadSweep(int64_t sweep) override;
  absl::Status SetPolicy(int64_t sweep, const v1::SweepPolicy& policy) override;
  absl::StatusOr<v1::SweepSpec> ReadSpec(int64_t sweep) override;
  absl::Status SetSpec(int64_t sweep, const v1::SweepSpec& spec) override;
  absl::StatusOr<bool> LinkJob(int64_t sweep, int64_t job_id) override;
  absl::StatusOr<UnfinishedJob> ReadUnfinished(int64_t job_id) override;
  absl::StatusOr<SharedJobs> SplitByOwner(int64_t sweep,
                                          const std::vector<int64_t>& job_ids) override;
  absl::StatusOr<std::vector<int64_t>> KeepEnded(const std::vector<int64_t>& job_ids) override;
  absl::StatusOr<int64_t> CancelSweep(absl::string_view id_or_name, int64_t now_us) override;
  absl::StatusOr<std::string> FindCancelledSweep(int64_t job_id) override;

  absl::StatusOr<std::optional<KnownJob>> FindJob(absl::string_view job_key) override;
  absl::StatusOr<int64_t> InsertJob(const NewJob& job, int64_t now_us) override;
  absl::Status StartAttempt(int64_t job_id, int32_t attempt, absl::string_view worker_id,
                            absl::string_view worker_name, absl::string_view worker_place,
                            int64_t now_us) override;
  absl::Status RequeueJob(int64_t job_id, int32_t failures, absl::string_view avoided,
                          const v1::Failure& why, int64_t not_before_us, int64_t now_us) override;
  absl::Status ReleaseJob(int64_t job_id, int64_t iteration, absl::string_view reason,
                          int64_t now_us) override;
  absl::Status RetryJob(int64_t job_id, absl::string_view reason, int64_t now_us) override;
  absl::Status FailJob(int64_t job_id, const v1::Failure& why, int64_t now_us) override;
  absl::Status CancelJob(int64_t job_id, absl::string_view reason, int64_t now_us) override;
  absl::Status FinishJob(int64_t job_id, const v1::JobResult& result, int64_t now_us) override;
  absl::Status AppendPoints(int64_t job_id,
                            const std::vector<const v1::CurvePoint*>& points) override;
  absl::Status KeepCheckpoint(int64_t job_id, const v1::TrainingCheckpoint& checkpoint,
                              int64_t now_us) override;

  absl::Status RequestDrain(absl::string_view worker_id, int64_t now_us) override;
  absl::Status LoadDrainRequests(
      const std::function<void(absl::string_view worker_id)>& visit) override;

  absl::Status KeepQuarantine(const Quarantine& quarantine, int64_t forget_before_us) override;
  absl::Status EndQuarantine(absl::string_view place) override;
  absl::Status LoadQuarantines(const std::function<void(const Quarantine&)>& visit) override;

  absl::Status RegisterArtifact(absl::string_view sha256, int64_t size_bytes,
                                int64_t now_us) override;
  absl::StatusOr<std::vector<std::string>> FindGarbage(int64_t before_us, int count_max) override;
  absl::Status ForgetArtifact(absl::string_view sha256) override;
  absl::StatusOr<int64_t> ArtifactBytes() override;

  absl::StatusOr<v1::PruneResponse> Prune(const v1::PruneRequest& request,
                                          int64_t older_than_us) override;
  absl::Status PruneWeights(const std::vector<int64_t>& sweeps,
                            const std::vector<int64_t>& jobs) override;

 private:
  // A savepoint would open a transaction of its own.
  absl::Status NeedTransaction() const;
  // Runs a change of the one row of `what` that has the number `id`. NOT_FOUND where
  // there is none.
  absl::Status ChangeRow(absl::string_view what, int64_t id, Statement* statement);
  // The numbers of a job's sweeps that are not cancelled.
  absl::StatusOr<UnfinishedJob> ReadUnfinishedRow(const Statement& row);
  absl::StatusOr<std::vector<int64_t>> ReadActiveSweeps(int64_t job_id);

  const std::unique_ptr<Connection> connection_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_SQLITE_WRITER_H_
