// The coordinator's one decision maker: a thread that owns the queue and the
// store's writer.
//
// Calls are posted to it; it takes all that wait, runs each as an all-or-nothing
// step of one transaction, commits, and only then answers: what was answered is
// on disk, and a crowd of callers shares one fsync. Where the commit fails,
// every caller that wanted to write gets the error and the queue is read back
// from the store; the engine goes on.
//
// Workers are told at once when what they should hold changes.
//
// Thread-safe. Calls that return a StatusOr block until they are answered:
// RESOURCE_EXHAUSTED when too many wait or the disk is full, UNAVAILABLE while
// stopping, INTERNAL for a damaged store.

#ifndef MODLAB_SERVER_ENGINE_ENGINE_H_
#define MODLAB_SERVER_ENGINE_ENGINE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "modlab/v1/sweep.pb.h"
#include "modlab/v1/worker.pb.h"
#include "server/engine/inbox.h"
#include "server/engine/ledger.h"
#include "server/engine/sessions.h"
#include "server/engine/sweep_steps.h"
#include "server/engine/worker_channel.h"
#include "server/store/store.h"

namespace modlab {

class Engine {
 public:
  // Microseconds since the Unix epoch; never runs backwards. Thread-safe.
  using Clock = std::function<int64_t()>;

  struct Options {
    int64_t lease_duration_us = 10'000'000;
    int32_t attempts_max = 3;
    size_t commands_max = 65'536;  // that wait
  };

  // Fills the queue from the store and starts the thread. `store` and `writer`
  // (the store's) must outlive the engine, which alone uses the writer.
  static absl::StatusOr<std::unique_ptr<Engine>> Start(Store* store, Store::Writer* writer,
                                                       Clock clock, const Options& options);
  // Stops.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Answers what waits, refuses what comes, ends the workers' streams with
  // UNAVAILABLE, and returns when the thread has ended. May be called again.
  void Stop();

  // -- users -------------------------------------------------------------------

  // Errors of the three: see SweepService.
  absl::StatusOr<CreatedSweep> CreateSweep(const SweepPlan& plan);
  absl::StatusOr<int64_t> CancelSweep(const std::string& sweep);
  absl::StatusOr<int64_t> RetryJobs(const v1::RetryJobsRequest& request);
  absl::StatusOr<std::vector<v1::Worker>> ListWorkers();
  // Of those of `jobs` that run, together, as last reported.
  absl::StatusOr<double> IterationsPerSecond(const std::vector<int64_t>& jobs);

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
  struct Answer {
    Command command;
    absl::Status status;
    bool wrote = false;
  };

  Engine(Store* store, Store::Writer* writer, Clock clock, const Options& options);

  template <typename T>
  absl::StatusOr<T> Call(const std::function<absl::StatusOr<T>(Ledger*, int64_t)>& step,
                         bool reads_store = false);
  absl::Status Post(Command command);
  absl::Status TakeWorkerView(const v1::WorkerView& view,
                              const std::shared_ptr<WorkerChannel>& channel, Ledger* ledger,
                              int64_t now_us);

  void Loop();
  void NoticeStandstill(int64_t now_us);
  void RunBatch(Inbox::Batch batch);
  void RunOwnSteps(int64_t heard_until_us);
  void Flush(int64_t now_us);

  Store* const store_;
  const Clock clock_;
  const Options options_;
  Inbox inbox_;
  std::atomic<bool> streams_closed_{false};

  // Only for the thread.
  Ledger ledger_;
  Sessions sessions_;
  std::vector<Answer> answers_;  // due after the next commit
  int64_t own_steps_from_us_ = 0;
  int64_t expire_from_us_ = 0;
  std::chrono::steady_clock::time_point last_batch_;

  std::thread thread_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_ENGINE_H_
