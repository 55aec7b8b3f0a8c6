// What a worker holds, what it has to say, and what it should do: the rules of
// worker.proto without a network and without threads.
//
// Between four parties: the stream brings coordinator views and fetches worker
// views; each slot's thread fetches gangs and brings reports; the checkpoint keeper
// brings reports too; main() ends it.

#ifndef MODLAB_WORKER_SESSION_H_
#define MODLAB_WORKER_SESSION_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "lib/sync/mutex.h"
#include "modlab/v1/worker.pb.h"
#include "worker/gang.h"
#include "worker/report_queue.h"

namespace modlab {

// A report is let go only once it is acknowledged. When this much waits,
// trainers wait too.
struct ReportLimits {
  int64_t reports_max = 100'000;
  int64_t bytes_max = int64_t{64} << 20;
  // Of one view; the rest of its 4 MiB is for what is held.
  int64_t view_bytes_max = int64_t{3} << 20;
};

// Thread-safe: one mutex inside.
class Session {
 public:
  // `identity` has the fields of a WorkerView that never change: worker_id, name,
  // device, device_name, slots, gang_size_max, labels, memory_bytes,
  // slot_memory_bytes, place. `on_news` is called, on any thread and with nothing locked, when
  // has_news() may have become true.
  Session(v1::WorkerView identity, ReportLimits limits, std::function<void()> on_news);

  // -- for the stream ----------------------------------------------------------

  // A new stream: every report that waits will be sent again.
  void StreamOpened();
  // Something changed since the last NextView(), or reports wait to be sent.
  bool has_news() const;
  // What to send now. Each report is sent once a stream.
  v1::WorkerView NextView();
  // Forgets what is acknowledged, drops what is no longer listed, and hands
  // gangs of what is listed and not held to NextGang(). A lease, that is a job
  // and an attempt, is started once however often and in whichever gang it is
  // listed, and not again after its last report is acknowledged. What is to be
  // released is handed back at once while no slot has it; else its gang is told.
  // Drains where it is asked to.
  void Apply(const v1::CoordinatorView& view);

  // -- for the slots -----------------------------------------------------------

  // Waits for a gang; null once draining.
  std::shared_ptr<Gang> NextGang();
  // Does not wait: null where there is none.
  std::shared_ptr<Gang> TryNextGang();
  // A slot is done with a gang that NextGang() returned.
  void GangEnded();
  // Takes in an event of a member; job, attempt, number and why it is released are
  // filled in. Waits while too many reports wait. False, and nothing happened, if the
  // member is no longer wanted: it was dropped, or its last report was made.
  bool Add(const Gang& gang, int member, v1::Report event);
  // Whether the member is still wanted.
  bool Wants(const Gang& gang, int member) const;

  // -- for main() ----------------------------------------------------------------

  // Releases everything and starts nothing more; for good.
  void Drain();
  bool draining() const;
  // Waits until every lease has had its last report, or is no longer listed. False at
  // `deadline`.
  bool WaitUntilReleased(std::chrono::steady_clock::time_point deadline);
  // Drains, and drops what is not released yet; for good. Reports still go out.
  void Abandon();
  // Some reports are not acknowledged yet.
  bool has_unacknowledged() const;

 private:
  using LeaseKey = std::pair<int64_t, int32_t>;  // job id, attempt
  // A lease that the coordinator listed in its last view.
  struct Listed {
    std::shared_ptr<Gang> gang;
    int member = 0;
    int64_t gang_id = 0;
    // Number of its last report: finished, failed or released; or 0. Once
    // acknowledged, the lease is no longer held, but not forgotten while it is still
    // listed: the view was under way.
    uint64_t last_report = 0;
  };
  // What gangs are to be told once nothing is locked.
  struct Member {
    std::shared_ptr<Gang> gang;
    int member;
  };
  struct Orders {
    std::vector<Member> dropped;
    std::vector<Member> released;
  };

  static LeaseKey Key(const Gang& gang, int member);
  std::shared_ptr<Gang> TakeGang() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsHeld(const Listed& listed) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsWanted(const Gang& gang, int member) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Some lease has not had its last report.
  bool HasUnreleased() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StartGang(const v1::Gang& listed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Has the leases of `keys` handed back, or all while draining.
  void Release(const std::set<LeaseKey>& keys, Orders* orders)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropPendingWithoutMembers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddNow(Listed* listed, const LeaseKey& key, v1::Report event)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Tell(const Orders& orders);

  const v1::WorkerView identity_;
  const ReportLimits limits_;
  const std::function<void()> on_news_;

  mutable Mutex mutex_;
  Condition gang_waits_;      // pending_ grew, or draining
  Condition report_allowed_;  // space in reports_, or something dropped
  Condition lease_ended_;     // a last report, or something dropped
  std::map<LeaseKey, Listed> listed_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Gang>> pending_ ABSL_GUARDED_BY(mutex_);
  int slots_busy_ ABSL_GUARDED_BY(mutex_) = 0;
  ReportQueue reports_ ABSL_GUARDED_BY(mutex_);
  bool changed_ ABSL_GUARDED_BY(mutex_) = true;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool abandoned_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace modlab

#endif  // MODLAB_WORKER_SESSION_H_
