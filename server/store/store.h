// The results store: the only truth. One SQLite file in WAL mode with
// synchronous=FULL under the data directory.
//
// Writing: one Writer, used by one thread (the engine's). Its calls are grouped
// into transactions by that thread; what a committed transaction did survives
// any crash, what an uncommitted one did never happened.
// Reading: Store's own methods, from any thread, each on a connection of its
// own from a small pool, each a consistent snapshot. Readers never block the
// writer nor the writer readers. A `visit` must not read from the store again:
// with every connection in use it would wait for itself.
//
// Errors everywhere: NOT_FOUND as said; RESOURCE_EXHAUSTED when the disk is
// full; INTERNAL for a damaged file. Times are microseconds since the Unix
// epoch and are given by the caller.

#ifndef MODLAB_SERVER_STORE_STORE_H_
#define MODLAB_SERVER_STORE_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/results.pb.h"
#include "modlab/v1/sweep.pb.h"
#include "server/queue/unfinished_job.h"

namespace modlab {

// A job as far as submission needs to know it.
struct KnownJob {
  int64_t id = 0;
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  int32_t attempt = 0;           // times leased so far
  int32_t newest_replicate = 0;  // the highest of any job of this config
};

class Store {
 public:
  class Writer;

  // Opens or creates `data_dir`/modlab.db, upgrading an older schema.
  // FAILED_PRECONDITION: the file was written by a newer modlab; says which
  // schema it has and which this one knows. The caller holds the data
  // directory's lock.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& data_dir);
  virtual ~Store() = default;

  // The one writer; owned by the store, not thread-safe.
  virtual Writer* writer() = 0;

  // -- reading ---------------------------------------------------------------

  // Sweep by id ("quickstart-2") or name (the newest of that name), counts and
  // iterations_done/total filled in; iterations_per_second is left 0.
  // NOT_FOUND names the nearest known sweep, or says that there are none.
  virtual absl::StatusOr<v1::Sweep> GetSweep(absl::string_view id_or_name) = 0;
  // Newest first.
  virtual absl::StatusOr<v1::ListSweepsResponse> ListSweeps(int page_size,
                                                            absl::string_view page_token) = 0;
  // NOT_FOUND.
  virtual absl::StatusOr<v1::Job> GetJob(int64_t id) = 0;
  // Jobs of a sweep ("" for all) with an id above `after_id`, ascending, that
  // pass all filters, whole (result included); stops when `visit` returns
  // false. NOT_FOUND for the sweep, INVALID_ARGUMENT for a filter.
  virtual absl::Status ScanJobs(absl::string_view sweep,
                                const std::vector<v1::FieldFilter>& filters, int64_t after_id,
                                const std::function<bool(const v1::Job&)>& visit) = 0;
  // The job's points by iteration. NOT_FOUND for the job.
  virtual absl::StatusOr<std::vector<v1::CurvePoint>> ReadCurve(int64_t job_id) = 0;
  // As ScanJobs, with the points of each job.
  virtual absl::Status ScanCurves(
      absl::string_view sweep, const std::vector<v1::FieldFilter>& filters,
      const std::function<bool(const v1::Job&, const std::vector<v1::CurvePoint>&)>& visit) = 0;
};

// Every call but Begin() needs an open transaction. A call that fails has
// changed nothing, but the transaction may be lost: Rollback() then.
class Store::Writer {
 public:
  virtual ~Writer() = default;

  virtual absl::Status Begin() = 0;
  virtual absl::Status Commit() = 0;
  virtual void Rollback() = 0;
  // A nested all-or-nothing step within the transaction; ended by either of the
  // two that follow.
  virtual absl::Status Savepoint() = 0;
  virtual absl::Status ReleaseSavepoint() = 0;
  virtual absl::Status RollbackToSavepoint() = 0;

  // Every QUEUED and RUNNING job by id. Needs no transaction.
  virtual absl::Status LoadUnfinished(const std::function<void(const UnfinishedJob&)>& visit) = 0;

  // The id of the sweep that this request made, if any.
  virtual absl::StatusOr<std::optional<std::string>> FindRequest(absl::string_view request_id) = 0;
  // Returns the new sweep's id.
  virtual absl::StatusOr<std::string> InsertSweep(const v1::SweepSpec& spec,
                                                  absl::string_view request_id, int64_t now_us) = 0;
  // The job that stands for a config: its newest replicate that is neither
  // FAILED nor CANCELLED, else the newest.
  virtual absl::StatusOr<std::optional<KnownJob>> FindJob(absl::string_view job_key) = 0;
  // Makes a QUEUED job; returns its id.
  virtual absl::StatusOr<int64_t> InsertJob(const v1::JobConfig& canonical,
                                            absl::string_view job_key, absl::string_view shape_key,
                                            int32_t replicate, int64_t now_us) = 0;
  virtual absl::Status LinkJob(absl::string_view sweep_id, int64_t job_id) = 0;
  // Marks the sweep cancelled. Returns the ids of its QUEUED and RUNNING jobs
  // that belong to no other sweep that is not cancelled. Accepts id or name.
  // NOT_FOUND.
  virtual absl::StatusOr<std::vector<int64_t>> CancelSweep(absl::string_view id_or_name,
                                                           int64_t now_us) = 0;

  // A new lease: RUNNING, the given attempt; drops the points of earlier attempts.
  virtual absl::Status StartAttempt(int64_t job_id, int32_t attempt, absl::string_view worker_id,
                                    absl::string_view worker_name, int64_t now_us) = 0;
  // Back to QUEUED; `failures` is the new count, `why` may be null.
  virtual absl::Status RequeueJob(int64_t job_id, int32_t failures, const v1::Failure* why,
                                  int64_t now_us) = 0;
  virtual absl::Status FailJob(int64_t job_id, const v1::Failure& why, int64_t now_us) = 0;
  virtual absl::Status CancelJob(int64_t job_id, int64_t now_us) = 0;
  virtual absl::Status FinishJob(int64_t job_id, const v1::JobResult& result, int64_t now_us) = 0;
  // A point that is there already is left as it is.
  virtual absl::Status AppendPoint(int64_t job_id, const v1::CurvePoint& point) = 0;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_STORE_H_
