// The Store's one writer on SQLite.

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

// Calls without an open transaction are FAILED_PRECONDITION: SQLite gives up a
// transaction after some failures, and what follows must not be taken for a
// transaction of its own.
class SqliteWriter : public Store::Writer {
 public:
  explicit SqliteWriter(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  const std::string& path() const { return connection_->path(); }

  absl::Status Begin() override;
  absl::Status Commit() override;
  void Rollback() override;
  absl::Status Savepoint() override;
  absl::Status ReleaseSavepoint() override;
  absl::Status RollbackToSavepoint() override;

  absl::Status LoadUnfinished(const std::function<void(const UnfinishedJob&)>& visit) override;
  absl::StatusOr<std::optional<std::string>> FindRequest(absl::string_view request_id) override;
  absl::StatusOr<std::string> InsertSweep(const v1::SweepSpec& spec, absl::string_view request_id,
                                          int64_t now_us) override;
  absl::StatusOr<std::optional<KnownJob>> FindJob(absl::string_view job_key) override;
  absl::StatusOr<int64_t> InsertJob(const v1::JobConfig& canonical, absl::string_view job_key,
                                    absl::string_view shape_key, int32_t replicate,
                                    int64_t now_us) override;
  absl::Status LinkJob(absl::string_view sweep_id, int64_t job_id) override;
  absl::StatusOr<std::vector<int64_t>> CancelSweep(absl::string_view id_or_name,
                                                   int64_t now_us) override;

  absl::Status StartAttempt(int64_t job_id, int32_t attempt, absl::string_view worker_id,
                            absl::string_view worker_name, int64_t now_us) override;
  absl::Status RequeueJob(int64_t job_id, int32_t failures, const v1::Failure* why,
                          int64_t now_us) override;
  absl::Status FailJob(int64_t job_id, const v1::Failure& why, int64_t now_us) override;
  absl::Status CancelJob(int64_t job_id, int64_t now_us) override;
  absl::Status FinishJob(int64_t job_id, const v1::JobResult& result, int64_t now_us) override;
  absl::Status AppendPoint(int64_t job_id, const v1::CurvePoint& point) override;

 private:
  absl::Status NeedTransaction() const;
  // Runs a change of the one row of `job_id`. NOT_FOUND where there is none.
  absl::Status ChangeJob(int64_t job_id, Statement* statement);

  const std::unique_ptr<Connection> connection_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_SQLITE_WRITER_H_
