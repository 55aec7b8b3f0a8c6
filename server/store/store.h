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
// Artifacts. Every file that Artifacts keeps has a row here, made before the file
// gets its name; what a job needs is a reference to it. Rows without a reference are
// garbage once they are old enough: first the file goes, then the row.
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
#include "lib/config/config_numbers.h"
#include "modlab/v1/coordinator.pb.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/results.pb.h"
#include "modlab/v1/sweep.pb.h"
#include "server/queue/unfinished_job.h"
#include "server/store/curve_chunk.h"

namespace modlab {

inline constexpr int kJobEventsMax = 10'000;

// How long an artifact is kept that nothing refers to. A worker may take long from an
// upload to the report that names it; nobody waits for a checkpoint that was let go.
inline constexpr int64_t kGarbageAgeUs = 600'000'000;
inline constexpr int64_t kCheckpointGarbageAgeUs = 60'000'000;

// A worker's id is its process's: whoever was asked to drain has done so long before.
inline constexpr int64_t kDrainRequestAgeUs = int64_t{30} * 24 * 3600 * 1'000'000;

// A job as far as submission needs to know it.
struct KnownJob {
  int64_t id = 0;
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  int32_t newest_replicate = 0;  // the highest of any job of this config
  std::string worker, place;     // of the worker that had it last
};

// A job to be made. Views must live until it is.
struct NewJob {
  absl::string_view config;  // canonical, serialised
  absl::string_view job_key;
  absl::string_view shape_key;
  absl::string_view avoided;  // avoided.h
  int64_t iterations = 0;
  int32_t replicate = 0;
};

// A figure of a finished job.
struct Figure {
  v1::Metric metric = v1::METRIC_UNSPECIFIED;  // or one that only a newer version knows
  double value = 0;
};

// A job as far as questions about many need it; valid while it is visited.
struct JobFigures {
  int64_t id = 0;
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  ConfigNumbers config;
  absl::string_view config_bytes;  // the same, serialised
  // As JobMetrics() has them; nothing where has_figures is false.
  bool has_figures = false;
  std::vector<Figure> figures;
};

// What a job's reference to an artifact is for.
enum class ArtifactRole { kLast = 1, kBest = 2, kCheckpoint = 3 };

struct StoreOptions {
  // The database grows no larger: writing beyond is RESOURCE_EXHAUSTED, as a full
  // disk is. 0: as large as its disk.
  int64_t bytes_max = 0;
  // Another SQLite VFS than the system's, by name; for simulated disks.
  std::string vfs;
};

// A chosen job of a sweep that is cancelled in part or pruned.
struct SharedJobs {
  std::vector<int64_t> own;  // asked for by no other sweep that is not cancelled
  int64_t shared = 0;
};

// What a prune would take out.
struct PrunePlan {
  std::vector<int64_t> sweeps;  // numbers
  std::vector<int64_t> jobs;  // that no other sweeps ask for; with weights_only, that have weights
  v1::PruneResponse response;
};

class Store {
 public:
  class Writer;

  // Opens or creates `data_dir`/modlab.db, upgrading an older schema.
  // FAILED_PRECONDITION: the file was written by a newer modlab; says which
  // schema it has and which this one knows. The caller holds the data
  // directory's lock.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& data_dir,
                                                     const StoreOptions& options = {});
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
  // What ScanJobs() would visit from its beginning, with no more than questions about many
  // jobs need: a tenth of the time.
  virtual absl::Status ScanFigures(absl::string_view sweep,
                                   const std::vector<v1::FieldFilter>& filters,
                                   v1::Checkpoint checkpoint,
                                   const std::function<bool(const JobFigures&)>& visit) = 0;
  // The same jobs, without figures, with what their curves say of one metric.
  virtual absl::Status ScanMetric(
      absl::string_view sweep, const std::vector<v1::FieldFilter>& filters, v1::Metric metric,
      const std::function<bool(const JobFigures&, const MetricCurve&)>& visit) = 0;
  // The job's points by iteration. NOT_FOUND for the job.
  virtual absl::StatusOr<std::vector<v1::CurvePoint>> ReadCurve(int64_t job_id) = 0;
  // What happened to the job, the newest kJobEventsMax. NOT_FOUND for the job.
  virtual absl::StatusOr<std::vector<v1::JobEvent>> ReadEvents(int64_t job_id) = 0;
  // As ScanJobs, with the points of each job.
  virtual absl::Status ScanCurves(
      absl::string_view sweep, const std::vector<v1::FieldFilter>& filters,
      const std::function<bool(const v1::Job&, const std::vector<v1::CurvePoint>&)>& visit) = 0;
  // What Writer::Prune() would do now, and its errors. Needs no room on the disk.
  virtual absl::StatusOr<PrunePlan> PlanPrune(const v1::PruneRequest& request,
                                              int64_t older_than_us) = 0;
};

// Whatever changes something needs an open transaction; it is FAILED_PRECONDITION else. A
// call that is refused as said (NOT_FOUND, FAILED_PRECONDITION, INVALID_ARGUMENT) has
// changed nothing. After any other failure a part of it may be done, or the transaction
// be lost: RollbackToSavepoint() then, or Rollback().
class Store::Writer {
 public:
  virtual ~Writer() = default;

  virtual absl::Status Begin() = 0;
  virtual absl::Status Commit() = 0;
  virtual void Rollback() = 0;
  // Moves what is in the log into the database, so that the next transactions use the
  // log's room again, where no reader still needs it. No transaction may be open.
  virtual absl::Status Checkpoint() = 0;
  // A nested all-or-nothing step within the transaction; ended by either of the
  // two that follow.
  virtual absl::Status Savepoint() = 0;
  virtual absl::Status ReleaseSavepoint() = 0;
  virtual absl::Status RollbackToSavepoint() = 0;

  // Every sweep that is not cancelled and has an unfinished job, by number.
  virtual absl::Status LoadSweeps(const std::function<void(const QueuedSweep&)>& visit) = 0;
  // Every QUEUED and RUNNING job by id.
  virtual absl::Status LoadUnfinished(const std::function<void(const UnfinishedJob&)>& visit) = 0;

  // The id of the sweep that this request made, if any.
  virtual absl::StatusOr<std::optional<std::string>> FindRequest(absl::string_view request_id) = 0;
  // Returns the new sweep's number and id.
  virtual absl::StatusOr<QueuedSweep> InsertSweep(const v1::SweepSpec& spec,
                                                  const v1::SweepPolicy& policy,
                                                  absl::string_view user,
                                                  absl::string_view request_id, int64_t now_us) = 0;
  // Accepts id or name. NOT_FOUND; FAILED_PRECONDITION for a cancelled one.
  virtual absl::StatusOr<QueuedSweep> FindActiveSweep(absl::string_view id_or_name) = 0;
  // By number. NOT_FOUND.
  virtual absl::StatusOr<QueuedSweep> ReadSweep(int64_t sweep) = 0;
  virtual absl::Status SetPolicy(int64_t sweep, const v1::SweepPolicy& policy) = 0;
  virtual absl::StatusOr<v1::SweepSpec> ReadSpec(int64_t sweep) = 0;
  virtual absl::Status SetSpec(int64_t sweep, const v1::SweepSpec& spec) = 0;
  // The job that stands for a config: its first replicate that has a result, which later
  // ones only check; else its newest that is neither FAILED nor CANCELLED; else the newest.
  virtual absl::StatusOr<std::optional<KnownJob>> FindJob(absl::string_view job_key) = 0;
  // Makes a QUEUED job; returns its id. Records the event.
  virtual absl::StatusOr<int64_t> InsertJob(const NewJob& job, int64_t now_us) = 0;
  // Whether the job was not yet in the sweep.
  virtual absl::StatusOr<bool> LinkJob(int64_t sweep, int64_t job_id) = 0;
  // A QUEUED or RUNNING job, as LoadUnfinished() has it. NOT_FOUND.
  virtual absl::StatusOr<UnfinishedJob> ReadUnfinished(int64_t job_id) = 0;
  // The unfinished jobs among `job_ids`, of `sweep`, by whether it alone asks for them.
  virtual absl::StatusOr<SharedJobs> SplitByOwner(int64_t sweep,
                                                  const std::vector<int64_t>& job_ids) = 0;
  // Those among `job_ids` that are FAILED or CANCELLED.
  virtual absl::StatusOr<std::vector<int64_t>> KeepEnded(const std::vector<int64_t>& job_ids) = 0;
  // Marks the sweep cancelled, and returns its number; its jobs are as before. Accepts id or
  // name. NOT_FOUND. Repeating it changes nothing.
  virtual absl::StatusOr<int64_t> CancelSweep(absl::string_view id_or_name, int64_t now_us) = 0;
  // The id of the job's sweep that was cancelled last; "" if none was.
  virtual absl::StatusOr<std::string> FindCancelledSweep(int64_t job_id) = 0;

  // -- the life of a job: each call records its event ---------------------------------

  // A new lease of a QUEUED job: RUNNING, the given attempt; drops the points that earlier attempts
  // measured after the job's checkpoint, all of them without one.
  virtual absl::Status StartAttempt(int64_t job_id, int32_t attempt, absl::string_view worker_id,
                                    absl::string_view worker_name, absl::string_view worker_place,
                                    int64_t now_us) = 0;
  // Back to QUEUED after a failed attempt, the newest of `failures` in a row. `avoided` (avoided.h)
  // is where it had better not run from now on.
  virtual absl::Status RequeueJob(int64_t job_id, int32_t failures, absl::string_view avoided,
                                  const v1::Failure& why, int64_t not_before_us,
                                  int64_t now_us) = 0;
  // Back to QUEUED as its worker handed it back; failures stay as they are.
  virtual absl::Status ReleaseJob(int64_t job_id, int64_t iteration, absl::string_view reason,
                                  int64_t now_us) = 0;
  // Back to QUEUED from FAILED or CANCELLED, as a user asked; no failures.
  virtual absl::Status RetryJob(int64_t job_id, absl::string_view reason, int64_t now_us) = 0;
  // A job that diverged keeps no checkpoint, all others do: queued again, they go on.
  virtual absl::Status FailJob(int64_t job_id, const v1::Failure& why, int64_t now_us) = 0;
  virtual absl::Status CancelJob(int64_t job_id, absl::string_view reason, int64_t now_us) = 0;
  // References the result's weights and drops the checkpoint's. FAILED_PRECONDITION,
  // and nothing was changed: an artifact of the result has no row.
  virtual absl::Status FinishJob(int64_t job_id, const v1::JobResult& result, int64_t now_us) = 0;
  // Points that are there already are left as they are. Each call costs a row's writing,
  // however many points it brings.
  virtual absl::Status AppendPoints(int64_t job_id,
                                    const std::vector<const v1::CurvePoint*>& points) = 0;
  absl::Status AppendPoint(int64_t job_id, const v1::CurvePoint& point) {
    return AppendPoints(job_id, {&point});
  }
  // The job goes on from here; points beyond stay until it is leased again. No failures,
  // if it is newer than the one before. References the file in place of the earlier
  // checkpoint's. FAILED_PRECONDITION, and nothing was changed: the artifact has no row.
  // Records no event.
  virtual absl::Status KeepCheckpoint(int64_t job_id, const v1::TrainingCheckpoint& checkpoint,
                                      int64_t now_us) = 0;

  // -- workers -------------------------------------------------------------------------

  // The worker was asked to drain. Repeating it changes nothing. Forgets the requests
  // that are older than kDrainRequestAgeUs.
  virtual absl::Status RequestDrain(absl::string_view worker_id, int64_t now_us) = 0;
  // The ids of all workers that were.
  virtual absl::Status LoadDrainRequests(
      const std::function<void(absl::string_view worker_id)>& visit) = 0;

  // A place is in quarantine, or is so longer now. Forgets those that ended before
  // `forget_before_us`.
  virtual absl::Status KeepQuarantine(const Quarantine& quarantine, int64_t forget_before_us) = 0;
  // The place is open again. Repeating it changes nothing.
  virtual absl::Status EndQuarantine(absl::string_view place) = 0;
  virtual absl::Status LoadQuarantines(const std::function<void(const Quarantine&)>& visit) = 0;

  // -- artifacts -----------------------------------------------------------------------

  // A file is about to get its name. Repeating it makes the row young again.
  virtual absl::Status RegisterArtifact(absl::string_view sha256, int64_t size_bytes,
                                        int64_t now_us) = 0;
  // Up to `count_max` artifacts that nothing refers to and that were registered, or
  // let go by a job, last before `before_us`. What Prune() lets go gets no younger. A
  // checkpoint that is let go is as old at once as if it had been kGarbageAgeUs -
  // kCheckpointGarbageAgeUs before.
  virtual absl::StatusOr<std::vector<std::string>> FindGarbage(int64_t before_us,
                                                               int count_max) = 0;
  // Its file is gone. FAILED_PRECONDITION: something refers to it. Repeating it changes
  // nothing.
  virtual absl::Status ForgetArtifact(absl::string_view sha256) = 0;
  // Of all rows.
  virtual absl::StatusOr<int64_t> ArtifactBytes() = 0;

  // -- retention -----------------------------------------------------------------------

  // Does what the request asks, less finding out the time: a sweep is old if nothing of it
  // changed since `older_than_us` (0: any age). NOT_FOUND; FAILED_PRECONDITION for
  // a named sweep that has unfinished jobs; INVALID_ARGUMENT for a request without
  // a choice. With dry_run nothing is changed.
  virtual absl::StatusOr<v1::PruneResponse> Prune(const v1::PruneRequest& request,
                                                  int64_t older_than_us) = 0;
  // The weights alone of those among `jobs` that only `sweeps` ask for, and that have ended.
  virtual absl::Status PruneWeights(const std::vector<int64_t>& sweeps,
                                    const std::vector<int64_t>& jobs) = 0;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_STORE_H_
