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
//   not paused the one with the highest priority, of these the oldest. A job
//   whose sweeps are all paused waits; if it runs, it is to be released.
//   Order. The highest priority that the idle worker can serve goes first. Of its
//   sweeps, those of the user with the fewest busy slots; of these the sweep with the
//   fewest, then the oldest. Within a sweep the batch (below) with the oldest
//   waiting job goes first, and in it jobs by id. max_running bounds the leases of
//   a sweep's jobs. A slot counts for the sweep that its gang was given for. Idle
//   workers are served by id, one gang each and round, so that few jobs spread over
//   many workers.
//   Batches. Jobs that one gang can train: equal shape, iteration of the checkpoint,
//   suspicion and place to avoid. A gang is filled from the sweep that is served, then
//   with jobs of the same batch of other sweeps that the worker can serve, in the same
//   order: they ride for free.
//   Requirements. A worker is given jobs of the sweeps whose requirements it meets,
//   and of a place to avoid only if no other connected worker could take them.
//   Gang size. Up to the worker's gang_size_max, but no more than the batch's
//   waiting jobs divided (rounded up) by the slots that have nothing else to
//   do. So gangs shrink towards the end of a sweep and no slot is left with
//   many jobs while others idle.
//   Leases. A lease lasts `lease_duration_us` from when it was given, and again
//   from each view of its worker that lists it as held. An expired lease is a
//   failed attempt (WORKER_LOST). A lease that was read back from the store
//   belongs to no gang until its worker claims it by listing it; a view that
//   does not list it shows that it never arrived, and it goes back without a
//   failure. So does what a draining worker does not list, since it will start
//   nothing new.
//   Retries. A job whose failures in a row are at most `retries` of the newest
//   cause waits again, at least backoff_first_us, doubled with each failure up to
//   backoff_max_us; otherwise it leaves the queue, quarantined if its retries were
//   used up. A newer checkpoint forgets its failures.
//   Suspicion. One job can take its worker, and with it its whole gang, down. A job
//   with n failures is leased in gangs of at most gang_size_max / 8^n with others
//   like it, so that soon only the culprit fails.
//   Places. A place (WorkerView.place) whose last `place_failures_max` gangs all failed
//   (WORKER_LOST or WORKER_ERROR) is quarantined: its workers are given nothing for
//   quarantine_first_us, then one gang of one job; each further failure doubles the
//   time up to quarantine_max_us. A result or a newer checkpoint ends it.
//   Release. A worker is asked to hand back jobs whose sweeps are all paused, all that
//   it holds if it was asked to drain, and gangs that are preempted: while a sweep
//   with `preempt` has waiting jobs that only a busy worker could take, gangs given
//   for sweeps of a lower priority are, the lowest first, of these the youngest, as
//   many as the waiting jobs need.
//
// Not thread-safe. About 300 bytes a waiting job.

#ifndef MODLAB_SERVER_QUEUE_QUEUE_H_
#define MODLAB_SERVER_QUEUE_QUEUE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/node_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/coordinator.pb.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/worker.pb.h"
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
    // Of the attempt that ended.
    std::string worker_name;
    int64_t iteration = 0;
  };

  struct Totals {
    int64_t waiting = 0;
    int64_t delayed = 0;  // of those waiting: after a failure
    int64_t running = 0;
    double iterations_per_second = 0.0;
  };

  explicit Queue(const Options& options)
      : options_(options), next_gang_id_(options.first_gang_id) {}
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // -- sweeps ------------------------------------------------------------------

  // Adds a sweep, or changes its policy.
  void SetSweep(const QueuedSweep& sweep);
  // It was cancelled: no job follows it any more. Those that no other sweep asks for
  // are to be taken out by RemoveJob().
  void RemoveSweep(int64_t number);
  // One more sweep asks for a job of the queue. Repeating it changes nothing.
  void LinkJob(int64_t job_id, int64_t sweep);

  // -- jobs --------------------------------------------------------------------

  // A RUNNING job gets its lease back, to be claimed by its worker. The id must
  // not be in the queue, and its sweeps must be known.
  void AddJob(const UnfinishedJob& job, int64_t now_us);
  // Takes out a job that was cancelled; whether it was there.
  bool RemoveJob(int64_t job_id);
  bool Contains(int64_t job_id) const { return jobs_.contains(job_id); }
  // The job must be in the queue.
  v1::JobConfig Config(int64_t job_id) const;
  // Of the job's lease, as last reported; 0 if it has none.
  double IterationsPerSecond(int64_t job_id) const;

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
  // A checkpoint was kept. False, and nothing happened, if it is no newer than the
  // one that the job has.
  bool KeepCheckpoint(int64_t job_id, const v1::TrainingCheckpoint& checkpoint);
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
  // should drain; nothing for an unknown worker. False where that is not known
  // before its next view, since it has leases to claim.
  bool FillGangs(absl::string_view worker_id, v1::CoordinatorView* view) const;
  // Workers whose gangs changed since the last call, by id.
  std::vector<std::string> TakeChangedWorkers();
  // By name, then id. Workers that were not heard of since the queue was built
  // are left out.
  std::vector<v1::Worker> ListWorkers() const;
  // Asks a worker to drain, for good. Ends the quarantine of a worker's place. Both
  // return the worker. NOT_FOUND names the nearest known one; INVALID_ARGUMENT for
  // a name that several have.
  absl::StatusOr<v1::Worker> DrainWorker(absl::string_view name_or_id);
  absl::StatusOr<v1::Worker> ReleaseWorker(absl::string_view name_or_id, int64_t now_us);

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
  struct Shape {
    int64_t jobs = 0;  // waiting or leased
    absl::btree_set<int64_t> waiting;
  };
  using Shapes = absl::node_hash_map<std::string, Shape>;
  struct Job {
    Shapes::value_type* shape = nullptr;
    std::string config;  // serialised: a third of the message's size
    int32_t attempt = 0;
    int32_t failures = 0;
    v1::TrainingCheckpoint checkpoint;
  };
  struct Gang {
    bool seen = false;  // listed by its worker; until then it takes an idle slot
    absl::btree_set<int64_t> jobs;
  };
  struct Worker {
    v1::Worker facts;
    bool connected = false;
    bool drain = false;         // asked to
    int64_t counted_slots = 0;  // in slots_total_
    absl::btree_map<int64_t, Gang> gangs;
    absl::btree_set<int64_t> unclaimed;  // leases without a gang
  };
  struct Lease {
    Worker* worker = nullptr;
    int64_t gang_id = 0;  // 0: unclaimed
    int64_t expires_us = 0;
    int64_t iteration = 0;
    double iterations_per_second = 0.0;
  };

  void Wait(int64_t job_id, Job* job);
  void Unwait(int64_t job_id, Job* job);
  void GiveLease(int64_t job_id, Worker* worker, int64_t gang_id, int64_t now_us);
  void DropLease(int64_t job_id);
  Verdict GiveBack(int64_t job_id);
  void Renew(const v1::HeldLease& held, Worker* worker, int64_t now_us);
  NewGang GiveGang(Worker* worker, int64_t now_us);
  int64_t GangSize(const Shape& shape, const Worker& worker) const;
  absl::StatusOr<Worker*> FindWorker(absl::string_view name_or_id);
  int64_t LeaseCount(const Worker& worker) const;
  int64_t IdleSlots(const Worker& worker) const;
  Worker* FindOrAddWorker(const std::string& id);
  void Changed(const Worker& worker);
  void Recount(Worker* worker);

  Options options_;
  std::map<int64_t, QueuedSweep> sweeps_;
  int64_t next_gang_id_;
  uint64_t revision_ = 0;
  Shapes shapes_;
  absl::btree_map<int64_t, Job> jobs_;
  absl::btree_map<int64_t, Lease> leases_;             // by job
  absl::btree_map<int64_t, Shape*> shapes_by_oldest_;  // shapes with waiting jobs
  int64_t waiting_jobs_ = 0;
  std::map<std::string, Worker> workers_;
  absl::btree_map<std::string, Worker*> idle_workers_;
  int64_t slots_total_ = 0;  // of connected workers that take gangs
  absl::btree_set<std::string> changed_workers_;
  int64_t next_expiry_us_ = 0;  // nothing expires before
};

}  // namespace modlab

#endif  // MODLAB_SERVER_QUEUE_QUEUE_H_
