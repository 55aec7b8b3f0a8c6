// Checkpoints of training on their way to the coordinator, and leases that are
// handed back behind them.

#ifndef MODLAB_WORKER_CHECKPOINT_KEEPER_H_
#define MODLAB_WORKER_CHECKPOINT_KEEPER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/sync/mutex.h"
#include "worker/checkpoint_line.h"
#include "worker/gang.h"
#include "worker/session.h"

namespace modlab {

// Whether to try again after an error that may pass.
using TryAgain = std::function<bool(const absl::Status& error)>;

// Keeps a file and returns its SHA-256, in hex. Blocks, and tries again for as long as
// trying again can help and `try_again` says so; else returns the last error.
using ArtifactSink = std::function<absl::StatusOr<std::string>(absl::string_view content,
                                                               const TryAgain& try_again)>;

// Stores and reports checkpoints on a thread of its own, one at a time, the lease
// that has waited longest first; of each lease only the newest.
//
// One that cannot be stored is logged, and costs nobody anything but the time since the
// one before. While the coordinator is away all wait for it. One that it refuses (its
// disk is full) is tried twice; if its lease is to be released, until the coordinator
// has refused everything for a while: then the lease goes back behind the checkpoint
// that was stored before. Thread-safe.
class CheckpointKeeper {
 public:
  struct Limits {
    // Of what waits in all; a file that is larger waits alone.
    int64_t waiting_bytes_max = int64_t{1} << 30;
    // Of one file: what the coordinator takes. Jobs with larger ones have none.
    int64_t file_bytes_max = int64_t{4} << 30;
    std::chrono::milliseconds release_patience{30'000};
  };

  // `session` must outlive the keeper.
  CheckpointKeeper(Session* session, ArtifactSink keep_artifact)
      : CheckpointKeeper(session, std::move(keep_artifact), Limits()) {}
  CheckpointKeeper(Session* session, ArtifactSink keep_artifact, Limits limits);
  // Ends after the file in hand.
  ~CheckpointKeeper();
  CheckpointKeeper(const CheckpointKeeper&) = delete;
  CheckpointKeeper& operator=(const CheckpointKeeper&) = delete;

  // Has `file`, a checkpoint of the member, stored and reported, and then the gang
  // know of it. Returns at once, without it where there is no room; but for a member
  // that is to be released, whose training is over, waits for room.
  void Keep(const std::shared_ptr<Gang>& gang, int member, int64_t iteration, std::string file);

  // Reports the member as released once what is kept of it is reported.
  void Release(const std::shared_ptr<Gang>& gang, int member);

  // Takes no more into its hands, and forgets what waits. False if the file in hand
  // is still on its way after `grace`.
  bool Stop(std::chrono::milliseconds grace);

 private:
  void Run();
  void Do(const CheckpointLine::Work& work);
  absl::StatusOr<std::string> Store(const CheckpointLine::Work& work);
  // Whether a file of so many bytes may take the place of the lease's that waits.
  bool HasRoom(const Gang& gang, int member, int64_t bytes) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the file in hand is.
  bool IsWanted(const CheckpointLine::Work& work) const;

  Session* const session_;
  const ArtifactSink keep_artifact_;
  const Limits limits_;
  // Nothing was stored since, while something waited. For Run() and what it calls.
  std::optional<std::chrono::steady_clock::time_point> refused_since_;

  mutable Mutex mutex_;
  Condition changed_;
  CheckpointLine line_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool has_told_of_large_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace modlab

#endif  // MODLAB_WORKER_CHECKPOINT_KEEPER_H_
