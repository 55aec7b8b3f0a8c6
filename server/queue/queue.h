// The queue: which jobs wait, who holds which, and what happens next.
//
// Deterministic and pure: no clock, no threads, no I/O. Every call that depends
// on time takes it as `now_us`, microseconds that never run backwards. What the
// queue decides, its caller writes to the store; the queue itself is rebuilt
// from the store at any time (SetSweep for each sweep, then AddJob for each
// unfinished job).
//
// Policy
//   Sweeps. A job follows one of the sweeps that ask for it: of those that are
//   not paused (of all, if all are) the one with the highest priority, of these the
//   oldest. A job whose sweeps are all paused waits; if it runs, it is to be released.
//   Order. The highest priority that the idle worker can serve goes first. Of its
//   sweeps, those of the user with the fewest busy slots; of these the sweep with the
//   fewest, then the oldest. Within a sweep the batch (below) with the oldest
//   waiting job goes first, and in it jobs by id. max_running bounds the leases of
//   a sweep's jobs. A slot counts for the sweep that its gang was given for; if that
//   is cancelled, or the coordinator was started since, for one of its jobs' sweeps.
//   Idle workers are served by id, one gang each and round, so that few jobs spread
//   over many workers.
//   Batches. Jobs that one gang can train: equal shape, iteration of the checkpoint,
//   suspicion and workers to avoid. A gang is filled from the sweep that is served, then
//   with jobs of the same batch of other sweeps that the worker can serve, in the same
//   order: they ride for free.
//   Requirements. A worker is given jobs of the sweeps whose requirements it meets.
//   Elsewhere. A job avoids the workers where its attempts failed since its newest checkpoint
//   (as WORKER_LOST, WORKER_ERROR or OUT_OF_MEMORY), and where it ran before if it was asked
//   to. Workers of other places go before others of the same place, these before the worker
//   itself (by its name). It waits for a better one that meets the requirements if that has
//   an idle slot; after OUT_OF_MEMORY, or if it was asked for, also if that is busy, but takes
//   gangs (connected, neither draining nor in quarantine). Where there is none, any will do.
//   Gang size. Up to the worker's gang_size_max, but no more than what the worker could
//   take of the batch divided (rounded up) by the slots, idle or busy, that meet the
//   sweep's requirements and have nothing else to do: one less for each other gang that
//   the worker could take. So gangs shrink towards the end of a sweep and no slot
//   is left with many jobs while others idle.
//   Leases. A lease lasts `lease_duration_us` from when it was given, and again
//   from each view of its worker that lists it as held. An expired lease is a
//   failed attempt (WORKER_LOST). So is, at once, one whose pulse (HeldLease) has stood still
//   for `stall_us`, between views that list it. A lease that was read back from the store
//   belongs to no gang until its worker claims it by listing it; a view that
//   does not list it shows that it never arrived, and it goes back without a
//   failure. So does what a draining worker does not list, since it will start
//   nothing new.
//   Retries. A job whose failures in a row are at most `retries` of the newest
//   cause waits again, at least backoff_first_us, doubled with each failure up to
//   backoff_max_us; otherwise it leaves the queue, quarantined if its retries were
//   used up (not if there are none). A newer checkpoint forgets its failures.
//   Suspicion. One job can take its worker, and with it its whole gang, down. A job
//   with n failures is leased in gangs of at most gang_size_max / 8^n with others
//   like it (n of 4 and more are alike), so that soon only the culprit fails.
//   Places. A place (WorkerView.place) whose last `place_failures_max` gangs all failed (with
//   WORKER_ERROR; or WORKER_LOST, which counts once for all gangs of a worker), without a job
//   that was part of all of these failures, is quarantined: its workers are given nothing for
//   quarantine_first_us, then one gang of one job at a time; each further failure doubles the
//   time up to quarantine_max_us. A result or a newer checkpoint ends it. While it is given
//   nothing, failures of what was given before do not count.
//   Release. A worker is asked to hand back jobs whose sweeps are all paused, all that
//   it holds if it was asked to drain, and gangs that are preempted: while a sweep
//   with `preempt` has waiting jobs that only a busy worker could take, gangs given
//   for sweeps of a lower priority are, the lowest first, of these the youngest, as
//   many as the waiting jobs need besides slots that are about to be free: whose gang has
//   ended, for up to two lease durations.
//
// Not thread-safe. About 300 bytes a waiting job.

#ifndef MODLAB_SERVER_QUEUE_QUEUE_H_
#define MODLAB_SERVER_QUEUE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/inlined_vector.h"
#include "absl/container/node_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/coordinator.pb.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/worker.pb.h"
#include "server/queue/batch_key.h"
#include "server/queue/places.h"
#include "server/queue/unfinished_job.h"

namespace modlab {

class Queue {
 public:
  static constexpr int kWorkersMax = 10'000;
  // Keeps a CoordinatorView well under gRPC's 4 MiB.
  static constexpr int kLeasesPerWorkerMax = 16'384;

  // Failures in a row up to which a job is tried again, by the newest one's cause.
  struct Retries {
    int32_t worker_lost = 4;
    int32_t worker_error = 2;
    int32_t out_of_memory = 0;
    int32_t diverged = 0;
  };

  struct Options {
    int64_t lease_duration_us = 10'000'000;
    int64_t stall_us = 600'000'000;  // 0: no limit
    Retries retries;
    int64_t backoff_first_us = 1'000'000;
    int64_t backoff_max_us = 60'000'000;
    int32_t place_failures_max = 3;
    int64_t quarantine_first_us = 60'000'000;
    int64_t quarantine_max_us = 3'600'000'000;
    // Above every gang id of the coordinator's earlier lives; the time does.
    int64_t first_gang_id = 1;
  };

  // A lease that has just been given: the job's new attempt.
  struct NewLease {
    int64_t job_id = 0;
    int32_t attempt = 0;
  };
  struct NewGang {
    std::string worker_id;
    std::string worker_name;
    std::string worker_place;
    int64_t gang_id = 0;
    std::vector<NewLease> leases;
  };

  // What became of a job whose attempt ended without a result. A requeued job
  // waits again; one that is not has left the queue.
  struct Verdict {
    int64_t job_id = 0;
    int32_t attempt = 0;
    bool requeued = false;
    bool quarantined = false;  // not requeued, and its retries are used up
    int32_t failures = 0;
    int64_t not_before_us = 0;
    std::string avoided;  // from now on
    // Of the attempt that ended.
    std::string worker_name;
    int64_t iteration = 0;
    bool stalled = false;  // its worker answered, but got nowhere with it
    // Whether its worker ever listed it; not known of a lease that was read back.
    enum class Listed { kNever, kOnce, kNotKnown } listed = Listed::kNever;
  };

  struct Totals {
    int64_t waiting = 0;
    int64_t delayed = 0;  // of those waiting: after a failure
    int64_t running = 0;
    double iterations_per_second = 0.0;
  };

  explicit Queue(const Options& options)
      : options_(options),
        next_gang_id_(options.first_gang_id),
        places_(
            {options.place_failures_max, options.quarantine_first_us, options.quarantine_max_us}) {}
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // -- sweeps ------------------------------------------------------------------

  // Adds a sweep, or changes its policy.
  void SetSweep(const QueuedSweep& sweep);
  bool KnowsSweep(int64_t number) const { return sweeps_.count(number) > 0; }
  // It was cancelled: no job follows it any more. Returns those that no other sweep asks
  // for: they wait for nothing, and are to be taken out by RemoveJob().
  std::vector<int64_t> RemoveSweep(int64_t number);
  // One more sweep asks for a job of the queue. Repeating it changes nothing.
  void LinkJob(int64_t job_id, int64_t sweep);
  // Ids of sweeps whose last job left the queue since the last call.
  std::vector<std::string> TakeEndedSweeps();

  // -- jobs --------------------------------------------------------------------

  // A RUNNING job gets its lease back, to be claimed by its worker. The id must
  // not be in the queue, and its sweeps must be known.
  void AddJob(const UnfinishedJob& job, int64_t now_us);
  // Takes out a job that was cancelled; whether it was there.
  bool RemoveJob(int64_t job_id);
  bool Contains(int64_t job_id) const { return jobs_.contains(job_id); }
  // Whether it is in the queue, and no sweep asks for it.
  bool IsUnwanted(int64_t job_id) const;
  // The job must be in the queue.
  v1::JobConfig Config(int64_t job_id) const;
  // Of the job's lease, as last reported; 0 if it has none.
  double IterationsPerSecond(int64_t job_id) const;
  // The same of all jobs together that a sweep asks for, by its id; of those alone that have
  // leases.
  std::map<std::string, double> SweepSpeeds() const;
  // Of the job's checkpoint; 0 if it has none. The job must be in the queue.
  int64_t CheckpointIteration(int64_t job_id) const { return Iteration(jobs_.at(job_id)); }

  // -- leases ------------------------------------------------------------------

  // Gives gangs to all idle slots of connected workers, as far as jobs go.
  std::vector<NewGang> Assign(int64_t now_us);
  // Chooses the gangs that are to make room. Call it after Assign().
  void Preempt();
  // Whether this attempt, held by this worker, may report.
  bool LeaseIsCurrent(int64_t job_id, int32_t attempt, absl::string_view worker_id) const;
  // The calls that follow are for a job that has a lease, and end it, but for
  // KeepCheckpoint().
  //
  // Its result is there: the job leaves the queue.
  void Finish(int64_t job_id);
  // Whether a checkpoint of the attempt takes the place of the one that the job has: if
  // it is newer, or if the attempt itself is not there yet, as it could not go on from
  // that one.
  bool WantsCheckpoint(int64_t job_id, int64_t iteration) const;
  // A checkpoint was kept that is wanted. A newer one forgets the job's failures.
  void KeepCheckpoint(int64_t job_id, const v1::TrainingCheckpoint& checkpoint);
  // `message` is for people.
  Verdict Fail(int64_t job_id, v1::FailureCause cause, absl::string_view message, int64_t now_us);
  // Its worker handed it back.
  Verdict Release(int64_t job_id);
  // Ends leases whose time is over, by job id, and forgets workers that hold
  // nothing and were not heard of for a lease duration.
  std::vector<Verdict> Expire(int64_t now_us);

  // -- workers -----------------------------------------------------------------

  // Takes in a worker's view (all of it but the reports). Returns the jobs that
  // it gave back; their failures are as before. RESOURCE_EXHAUSTED: a new worker
  // beyond kWorkersMax.
  absl::StatusOr<std::vector<Verdict>> UpdateWorker(const v1::WorkerView& view, int64_t now_us);
  // No new gangs until the worker's next view; its leases run on.
  void Disconnect(absl::string_view worker_id);
  bool KnowsWorker(absl::string_view worker_id) const;
  // Sets what the worker should hold, with what it should release, and whether it
  // should drain; no gangs for an unknown worker. False where that is not known
  // before its next view, since it has leases to claim.
  bool FillGangs(absl::string_view worker_id, v1::CoordinatorView* view) const;
  // Why the worker of a job of the queue is asked to hand it back, for people: "sweep
  // s-1 was paused". Empty if it is not.
  std::string ReleaseReason(int64_t job_id) const;
  // Workers whose gangs changed since the last call, by id.
  std::vector<std::string> TakeChangedWorkers();
  // By name, then id. Workers that were not heard of since the queue was built
  // are left out.
  std::vector<v1::Worker> ListWorkers() const;
  // A worker that was asked to drain, for good; it need not be known yet.
  void AskToDrain(absl::string_view worker_id);
  // The worker is to drain, or its place out of quarantine. Both return the worker.
  // NOT_FOUND names the nearest known one; INVALID_ARGUMENT for a name that several have.
  absl::StatusOr<v1::Worker> DrainWorker(absl::string_view name_or_id);
  absl::StatusOr<v1::Worker> ReleaseWorker(absl::string_view name_or_id);
  // As in Places. Restore before any worker is there.
  void RestoreQuarantine(const Quarantine& quarantine, int64_t now_us) {
    places_.Restore(quarantine, now_us);
  }
  std::vector<Quarantine> ListQuarantines() const { return places_.ListQuarantines(); }
  uint64_t quarantines_revision() const { return places_.revision(); }

  // -- looking -----------------------------------------------------------------

  Totals totals() const;
  // Sweeps that jobs of the queue follow, by priority (highest first), then by age.
  std::vector<v1::SweepLoad> ListLoads(size_t count_max) const;

  // -- rebuilding --------------------------------------------------------------

  // For a queue that was just filled from the store in place of `old`: takes
  // over the workers, their places, and gang and renewal of every lease that both
  // have.
  void AdoptWorkers(const Queue& old);

  // Changes whenever jobs or leases do; equal numbers mean an untouched queue.
  uint64_t revision() const { return revision_; }

 private:
  struct User {
    int64_t sweeps = 0;
    int64_t busy = 0;  // slots
  };
  // What some sweeps require, and what there is of it.
  struct Need {
    v1::Requirements wants;
    int64_t sweeps = 0;
    int64_t slots = 0;    // of workers that meet it
    int64_t jobs = 0;     // that its sweeps offer together
    int64_t batches = 0;  // likewise
  };
  struct Sweep;
  // Waiting jobs of one batch that follow one sweep; never empty.
  struct Share {
    Sweep* sweep = nullptr;
    absl::btree_set<int64_t> jobs;
  };
  struct Batch {
    int64_t jobs = 0;                 // waiting or leased
    std::map<int64_t, Share> shares;  // by sweep
  };
  using Batches = absl::node_hash_map<BatchKey, Batch>;
  struct Sweep {
    QueuedSweep facts;
    User* user = nullptr;
    Need* need = nullptr;
    absl::btree_set<int64_t> jobs;  // that it asks for
    // Of jobs that follow it.
    absl::btree_map<int64_t, Batches::value_type*> by_oldest;  // batches, by their first job
    int64_t ready = 0;                                         // in them
    int64_t delayed = 0;
    int64_t running = 0;
    int64_t busy = 0;  // slots
    // Counted in its need; what could start now.
    int64_t offered_jobs = 0;
    int64_t offered_batches = 0;
  };
  struct Worker;
  struct Lease {
    Worker* worker = nullptr;
    int64_t gang_id = 0;  // 0: unclaimed
    int64_t expires_us = 0;
    int64_t iteration = 0;
    double iterations_per_second = 0.0;
    // As its worker last said, when that was, and how long it has been the same.
    uint64_t pulse = 0;
    int64_t renewed_us = 0;
    int64_t still_us = 0;
    bool stalled = false;  // for too long: it ends
    bool listed = false;   // by its worker
  };
  struct Job {
    int64_t id = 0;
    Batches::value_type* batch = nullptr;
    absl::InlinedVector<Sweep*, 1> sweeps;  // that ask for it
    Sweep* sweep = nullptr;                 // the one that it follows
    std::unique_ptr<Lease> lease;
    std::unique_ptr<v1::TrainingCheckpoint> checkpoint;
    std::string config;         // serialised: a third of the message's size
    int64_t not_before_us = 0;  // 0: not delayed
    int32_t attempt = 0;
    int32_t failures = 0;
  };
  struct Gang {
    Sweep* sweep = nullptr;  // that it was given for
    bool seen = false;       // listed by its worker; until then it takes an idle slot
    bool preempted = false;
    absl::btree_set<int64_t> jobs;
  };
  struct Worker {
    v1::Worker facts;
    // Slots that are neither idle nor have a gang: so many at least since `watched_us`, and
    // so many through all of a lease duration before. These may be for ever.
    int64_t ending_min = 0;
    int64_t stuck = 0;
    int64_t watched_us = 0;
    Places::Place* place = nullptr;  // null before its first view
    bool connected = false;
    bool lost = false;          // a lease expired since its last view
    int64_t counted_slots = 0;  // in the needs that it meets
    int64_t leases = 0;
    std::map<int64_t, Gang> gangs;
    absl::btree_set<int64_t> unclaimed;  // leases without a gang
  };
  struct FreeSlot;

  static int64_t Iteration(const Job& job) {
    return job.checkpoint == nullptr ? 0 : job.checkpoint->iteration();
  }
  static bool Meets(const Worker& worker, const Need& need);

  // Sweeps and what waits (queue_sweeps.cc).
  static Sweep* Leader(const Job& job);
  void Follow(Job* job);
  void SetBatch(BatchKey key, Job* job);
  void DropBatch(Batches::value_type* batch);
  void Wait(Job* job);
  void Unwait(Job* job);
  void WakeDelayed(int64_t now_us);
  void SetNeed(Sweep* sweep);
  void DropNeed(Sweep* sweep);
  void SetOffer(Sweep* sweep, int64_t jobs);
  void Offer(Sweep* sweep);
  static int64_t Room(const Sweep& sweep);
  void CountRunning(int change, Job* job);

  // Leases (queue.cc).
  void GiveLease(Job* job, Worker* worker, int64_t gang_id, Sweep* sweep, int64_t now_us);
  void JoinGang(int64_t job_id, Worker* worker, int64_t gang_id, Sweep* sweep);
  void DropLease(Job* job);
  static void Charge(Gang* gang, Sweep* sweep);
  Verdict GiveBack(Job* job);
  int32_t RetriesAllowed(v1::FailureCause cause) const;
  void CountFailure(const Lease& lease, v1::FailureCause cause, absl::string_view message,
                    int64_t now_us);
  void CountSuccess(const Lease& lease);

  // Giving gangs (queue_assign.cc).
  static bool GoesBefore(const Sweep& a, const Sweep& b);
  bool Avoids(const Worker& worker, const std::string& avoided, const Need& need) const;
  bool CanTakeGang(const Worker& worker) const;
  Batches::value_type* FirstBatch(const Worker& worker, const Sweep& sweep) const;
  std::pair<Sweep*, Batches::value_type*> Choose(const Worker& worker) const;
  NewGang GiveGang(Worker* worker, Sweep* sweep, Batches::value_type* batch, int64_t now_us);
  static int64_t GangLimit(const Worker& worker, const BatchKey& key);
  int64_t GangSize(const Worker& worker, const Need& need, int64_t limit, int64_t jobs,
                   int64_t shares) const;
  std::vector<FreeSlot> ListFreeSlots();
  bool TakeSlots(const Sweep& sweep, std::vector<FreeSlot>* slots) const;

  // Workers (queue_workers.cc).
  void Renew(const v1::HeldLease& held, Worker* worker, int64_t now_us);
  void WatchPulse(uint64_t pulse, Lease* lease, int64_t now_us);
  bool IsAskedToDrain(const Worker& worker) const;
  int64_t IdleSlots(const Worker& worker) const;
  int64_t EndingSlots(const Worker& worker) const;
  void WatchSlots(Worker* worker, int64_t now_us) const;
  Worker* FindOrAddWorker(const std::string& id);
  absl::StatusOr<Worker*> FindWorker(absl::string_view name_or_id);
  v1::Worker Describe(const Worker& worker) const;
  void SetPlace(Worker* worker, const std::string& name);
  void Changed(const Worker& worker);
  void CountSlots(Worker* worker, int64_t slots);
  void Recount(Worker* worker);
  void Recount(const Places::Place* place);

  Options options_;
  int64_t next_gang_id_;
  Places places_;
  uint64_t revision_ = 0;
  absl::node_hash_map<std::string, User> users_;
  std::map<std::string, Need> needs_;  // by what they want, serialised
  std::map<int64_t, Sweep> sweeps_;
  // That offer jobs, by (-priority, number).
  absl::btree_map<std::pair<int32_t, int64_t>, Sweep*> offering_;
  Batches batches_;
  int64_t avoiding_batches_ = 0;  // of them; that avoid something
  absl::node_hash_map<int64_t, Job> jobs_;
  absl::btree_set<std::pair<int64_t, int64_t>> delayed_;  // (not before, job)
  absl::btree_map<int64_t, Job*> leased_;
  std::map<std::string, Worker> workers_;
  absl::flat_hash_set<std::string> asked_to_drain_;  // ids of workers
  absl::btree_map<std::string, Worker*> idle_workers_;
  std::vector<int64_t> ended_sweeps_;
  bool preempting_ = false;  // a gang may be preempted
  absl::btree_set<std::string> changed_workers_;
  int64_t next_expiry_us_ = 0;  // nothing expires before
};

}  // namespace modlab

#endif  // MODLAB_SERVER_QUEUE_QUEUE_H_
