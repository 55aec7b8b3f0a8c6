// The coordinator's one decision maker: a thread that owns the queue and the
// store's writer.
//
// Calls are posted to it; it takes all that wait, runs each as an all-or-nothing
// step of one transaction, commits, and only then answers: what was answered is
// on disk, and a crowd of callers shares one fsync. Where the commit fails,
// every caller that wanted to write gets the error and the queue is read back
// from the store; the engine goes on.
//
// Workers are told at once when what they should hold changes. What is decided is
// in EngineCore; here are the thread, the inbox and the clock.
//
// Thread-safe. Calls that return a status block until they are answered, but for
// Synchronise(): RESOURCE_EXHAUSTED when too many wait or the disk is full,
// UNAVAILABLE while stopping, INTERNAL for a damaged store.

#ifndef MODLAB_SERVER_ENGINE_ENGINE_H_
#define MODLAB_SERVER_ENGINE_ENGINE_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/coordinator.pb.h"
#include "modlab/v1/sweep.pb.h"
#include "modlab/v1/worker.pb.h"
#include "server/engine/engine_core.h"
#include "server/engine/inbox.h"
#include "server/engine/sweep_plan.h"
#include "server/engine/sweep_steps.h"
#include "server/engine/worker_channel.h"
#include "server/store/artifact_files.h"
#include "server/store/store.h"

namespace modlab {

class Engine {
 public:
  // Microseconds since the Unix epoch; never runs backwards. Thread-safe.
  using Clock = std::function<int64_t()>;

  struct Options : EngineCore::Options {
    size_t commands_max = 65'536;  // that wait
  };

  // Fills the queue from the store and starts the thread. `store`, `writer` (the
  // store's) and `files` must outlive the engine, which alone uses the writer.
  static absl::StatusOr<std::unique_ptr<Engine>> Start(Store* store, Store::Writer* writer,
                                                       ArtifactFiles* files, Clock clock,
                                                       const Options& options);
  // Stops.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Answers what waits, refuses what comes, ends the workers' streams with
  // UNAVAILABLE, and returns when the thread has ended. May be called again.
  void Stop();

  // -- users -------------------------------------------------------------------

  // Errors: see sweep_steps.h and SweepService.
  absl::StatusOr<CreatedSweep> CreateSweep(const SweepPlan& plan);
  absl::StatusOr<PlacedJobs> ExtendSweep(const ExtensionPlan& plan);
  absl::Status UpdateSweep(const v1::UpdateSweepRequest& request);
  absl::StatusOr<int64_t> CancelSweep(const std::string& sweep);
  absl::StatusOr<v1::CancelJobsResponse> CancelJobs(const v1::CancelJobsRequest& request);
  absl::StatusOr<int64_t> RetryJobs(const v1::RetryJobsRequest& request);
  // Of the jobs that run, together, as last reported: by the id of each sweep that asks for
  // some of them.
  absl::StatusOr<std::map<std::string, double>> IterationsPerSecond();

  // Errors: see WorkerService.
  absl::StatusOr<std::vector<v1::Worker>> ListWorkers();
  absl::StatusOr<v1::Worker> DrainWorker(const std::string& name_or_id);
  absl::StatusOr<v1::Worker> ReleaseWorker(const std::string& name_or_id);

  // -- care --------------------------------------------------------------------

  absl::StatusOr<EngineStatus> GetStatus();
  // Errors: see CoordinatorService.
  absl::StatusOr<v1::PruneResponse> Prune(const v1::PruneRequest& request);
  // A file of this content is about to get its name; once it is OK it may.
  absl::Status RegisterArtifact(absl::string_view sha256, int64_t size_bytes);

  // -- workers -----------------------------------------------------------------

  // Takes in a view that CheckView() passed. Does not block; the channel hears
  // of what follows. On an error nothing does: end the stream, so that the
  // worker sends its reports again on the next.
  absl::Status Synchronise(v1::WorkerView view, std::shared_ptr<WorkerChannel> channel);
  // The stream has ended. Does not block.
  void Disconnect(const std::string& worker_id, std::shared_ptr<WorkerChannel> channel);
  // Ends the workers' streams with UNAVAILABLE and refuses new views.
  void CloseStreams();

 private:
  Engine(Store* store, Store::Writer* writer, ArtifactFiles* files, Clock clock,
         const Options& options);

  absl::Status Do(Ledger::Step step);
  absl::Status Do(Command command);
  template <typename T>
  absl::StatusOr<T> Call(const std::function<absl::StatusOr<T>(Ledger*, int64_t)>& step);
  absl::Status Post(Command command);
  // Calls `step` with parts of `chosen`; once if it is empty.
  absl::Status InSteps(const ChosenJobs& chosen,
                       const std::function<absl::Status(const ChosenJobs&)>& step);
  absl::StatusOr<v1::CancelJobsResponse> CancelInSteps(const ChosenJobs& chosen);
  absl::StatusOr<v1::PruneResponse> PruneAtOnce(const v1::PruneRequest& request, bool at_full_disk);
  // The weights first, in steps of little room each; then the rest, which takes more.
  absl::StatusOr<v1::PruneResponse> PruneAtFullDisk(const v1::PruneRequest& request);

  void Loop();
  void NoticeStandstill(int64_t now_us);
  std::optional<int64_t> HeardUntil(int64_t now_us, std::optional<int64_t> next_posted_us) const;

  const Clock clock_;
  const int64_t lease_duration_us_;
  const size_t jobs_a_step_;
  Inbox inbox_;
  std::atomic<bool> streams_closed_{false};

  // Only for the thread.
  EngineCore core_;
  int64_t expire_from_us_ = 0;
  std::chrono::steady_clock::time_point last_batch_;

  std::thread thread_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_ENGINE_H_
