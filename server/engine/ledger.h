// The queue and the store's transaction, changed together.
//
// A step is one all-or-nothing change. Run() gives it the writer (a transaction
// begins with the first step that asks for it, so steps that only look cost no
// commit) and the queue. Where a step or the commit fails, the queue in memory
// is ahead of the disk and is filled again from the store; workers, and gangs
// whose leases the store still has, are kept. Until that was done no step is run, and
// nobody may be told what the queue says.
//
// Not thread-safe. Owns the queue; the writer must outlive it.

#ifndef MODLAB_SERVER_ENGINE_LEDGER_H_
#define MODLAB_SERVER_ENGINE_LEDGER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/tally.h"
#include "server/queue/queue.h"
#include "server/store/store.h"

namespace modlab {

// Whether the store is to blame for an error, and not who asked.
inline bool IsTrouble(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsInternal(status);
}

class Ledger {
 public:
  using Step = std::function<absl::Status(Ledger*, int64_t now_us)>;

  Ledger(Store::Writer* writer, const Queue::Options& options);

  // Fills the queue from the store. Call first.
  absl::Status Load(int64_t now_us);

  // Runs a step; its error is returned after its changes were undone.
  absl::Status Run(const Step& step, int64_t now_us);
  // Whether the last step asked for the writer.
  bool step_wrote() const { return step_wrote_; }

  // Whether a transaction waits to be committed.
  bool open() const { return open_; }
  // Puts on disk what the steps since the last Commit() wrote. On an error none
  // of it happened. OK if none wrote.
  absl::Status Commit();
  // Fills the queue again where it is ahead of the disk. Unless it is OK, it still is.
  absl::Status Refresh(int64_t now_us);
  // What was counted and committed since the last call.
  Tally TakeTally() { return std::exchange(committed_, Tally()); }

  // -- for steps -----------------------------------------------------------------

  absl::StatusOr<Store::Writer*> Write();
  Queue& queue() { return *queue_; }
  // Quarantines as the store has them, by place, once they were those of the queue at
  // `revision`. KeepQuarantines() keeps it true.
  struct Quarantines {
    std::optional<uint64_t> revision;
    std::map<std::string, Quarantine> places;
  };
  Quarantines& quarantines() { return quarantines_; }
  // Jobs that no sweep asks for, since theirs were cancelled. Of many a step takes some:
  // StopUnwanted(). Others may have ended since, or be asked for again.
  std::deque<int64_t>& unwanted() { return unwanted_; }
  // For counting what the step does; undone with it.
  Tally& tally() { return tally_; }

 private:
  void UndoStep(const absl::Status& why);

  Store::Writer* const writer_;
  Queue::Options options_;
  std::unique_ptr<Queue> queue_;
  bool loaded_ = false;      // once
  bool open_ = false;        // a transaction is
  bool step_wrote_ = false;  // the step has a savepoint
  bool stale_ = false;       // the queue must be filled again before use
  absl::Status lost_;        // why the open transaction cannot be committed
  Quarantines quarantines_;
  std::deque<int64_t> unwanted_;
  Tally tally_;  // of the open transaction
  Tally committed_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_LEDGER_H_
