// All that the coordinator decides: everything of the engine but its thread, its
// inbox and its clock.
//
// Deterministic: what happens depends on the calls, their times and the store
// alone. A driver (Engine; a simulation) does, over and over,
//
//     core.Run(commands that came, now_us);
//     core.Settle(now_us, heard_until_us);
//
// the second also where no command came, several times a lease duration. A crash
// is to drop core and store in between; what was not settled may be lost.
//
// Commands are made of the steps in sweep_steps.h, worker_steps.h and
// store_steps.h, and, for the workers' streams, by the functions below.
//
// Not thread-safe, but for the functions that make commands: any thread may. Times
// are microseconds since the Unix epoch and never run backwards.

#ifndef MODLAB_SERVER_ENGINE_ENGINE_CORE_H_
#define MODLAB_SERVER_ENGINE_ENGINE_CORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "modlab/v1/coordinator.pb.h"
#include "modlab/v1/worker.pb.h"
#include "server/engine/command.h"
#include "server/engine/ledger.h"
#include "server/engine/sessions.h"
#include "server/engine/sweep_steps.h"
#include "server/engine/tally.h"
#include "server/engine/worker_channel.h"
#include "server/queue/queue.h"
#include "server/store/artifact_files.h"
#include "server/store/store.h"

namespace modlab {

// How the engine does.
struct EngineStatus {
  // All but version, database_bytes and free_bytes.
  v1::CoordinatorStatus view;
  // When something could last not be written, while view.trouble says why; else 0.
  int64_t trouble_us = 0;
  Tally since_start;
};

class EngineCore {
 public:
  struct Options {
    Queue::Options queue;  // first_gang_id is taken from the time of the start
    // How often unused artifacts are looked for, and how long they must have been
    // unused: longer than a worker may take from an upload to the report that
    // names it. Times at which no report could be taken do not count.
    int64_t garbage_interval_us = 60'000'000;
    int64_t garbage_age_us = kGarbageAgeUs;
    size_t jobs_a_step = kJobsAStep;  // of a sweep that is cancelled
  };

  // `store`, `writer` (the store's) and `files` must outlive the core, which alone
  // uses the writer.
  EngineCore(Store* store, Store::Writer* writer, ArtifactFiles* files, const Options& options,
             int64_t now_us);
  EngineCore(const EngineCore&) = delete;
  EngineCore& operator=(const EngineCore&) = delete;

  // Fills the queue from the store. Call first.
  absl::Status Load(int64_t now_us);

  // Runs the commands in their order. Each is answered by the next Settle(), or
  // before a later one that reads the store.
  void Run(std::vector<Command> commands, int64_t now_us);

  // Ends leases that were over at `heard_until_us`, up to which all that workers
  // said was run (none where it is empty); stops some of the jobs that nobody asks for; gives
  // gangs to idle slots; removes garbage, and keeps the disk's reserve. Then commits all since the
  // last time, answers, and sends the workers what they should hold. Where the commit fails, every
  // command that wrote is answered with the error, the streams that brought reports are closed and
  // the queue is read back; until that is done no view is sent and no command run.
  void Settle(int64_t now_us, std::optional<int64_t> heard_until_us);

  // -- the workers' streams ------------------------------------------------------

  // Takes in a view that CheckView() passed, and calls the channel's Taken(). On an
  // error, nothing of it was; the channel is closed, so that the worker sends its
  // reports again on the next one.
  Command TakeViewCommand(v1::WorkerView view, std::shared_ptr<WorkerChannel> channel);
  // The stream has ended.
  Command EndStreamCommand(std::string worker_id, std::shared_ptr<WorkerChannel> channel);
  // Closes all streams with UNAVAILABLE.
  Command CloseStreamsCommand();

  // -- looking -------------------------------------------------------------------

  EngineStatus GetStatus(int64_t now_us);
  // For steps that read the store.
  Store* store() const { return store_; }

 private:
  struct Answer {
    Command command;
    absl::Status status;
    bool wrote = false;
  };

  absl::Status TakeWorkerView(const v1::WorkerView& view,
                              const std::shared_ptr<WorkerChannel>& channel, Ledger* ledger,
                              int64_t now_us);
  void MakeRoom();
  void RunOwnStep(const Ledger::Step& step, int64_t now_us);
  absl::Status RemoveGarbage(Ledger* ledger, int64_t now_us);
  void NoticeTroubleTime(int64_t began_us, int64_t ended_us);
  void Flush(int64_t now_us);

  Store* const store_;
  Store::Writer* const writer_;
  ArtifactFiles* const files_;
  const Options options_;
  const int64_t started_us_;
  Ledger ledger_;
  Sessions sessions_;
  std::vector<Answer> answers_;  // due after the next commit
  int64_t own_steps_from_us_ = 0;

  absl::Status trouble_;      // why nothing can be written
  int64_t trouble_us_ = 0;    // when that was found
  absl::Status new_trouble_;  // since the last commit
  // The last time, or times close together, at which reports could not be taken.
  int64_t trouble_began_us_ = 0;
  int64_t trouble_ended_us_;
  int64_t settled_us_;
  int64_t garbage_from_us_ = 0;
  int64_t reserve_from_us_ = 0;

  Tally since_start_;
  RecentTally recent_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_ENGINE_CORE_H_
