// The queue: which jobs wait, who holds which, and what happens next.
//
// Deterministic and pure: no clock, no threads, no I/O. Every call that depends
// on time takes it as `now_us`, microseconds that never run backwards. What the
// queue decides, its caller writes to the store; the queue itself is rebuilt
// from the store at any time (AddJob for each unfinished job).
//
// Policy
//   Order. Within a shape jobs go by id, oldest first; the shape with the
//   oldest waiting job goes first. Idle workers are served by id, one gang each
//   and round, so that few jobs spread over many workers.
//   Gang size. Up to the worker's gang_size_max, but no more than the shape's
//   waiting jobs divided (rounded up) by the slots that have nothing else to
//   do: all slots of connected workers, less those that the other shapes keep
//   busy. So gangs shrink towards the end of a sweep and no slot is left with
//   many jobs while others idle.
//   Leases. A lease lasts `lease_duration_us` from when it was given, and again
//   from each view of its worker that lists it as held. An expired lease is a
//   failed attempt (WORKER_LOST). A lease that was read back from the store
//   belongs to no gang until its worker claims it by listing it; a view that
//   does not list it shows that it never arrived, and it goes back without a
//   failure. So does what a draining worker does not list, since it will start
//   nothing new.
//   Retries. WORKER_LOST and WORKER_ERROR up to `attempts_max` failed attempts;
//   DIVERGED and OUT_OF_MEMORY never.
//
// Not thread-safe. About 200 bytes a waiting job.

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
#include "modlab/v1/job.pb.h"
#include "modlab/v1/worker.pb.h"
#include "server/queue/unfinished_job.h"

namespace modlab {

class Queue {
 public:
  static constexpr int kWorkersMax = 10'000;
  // Keeps a CoordinatorView well under gRPC's 4 MiB.
  static constexpr int kLeasesPerWorkerMax = 16'384;

  struct Options {
    int64_t lease_duration_us = 10'000'000;
    int32_t attempts_max = 3;
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
    int64_t gang_id = 0;
    std::vector<NewLease> leases;
  };

  // What became of a job whose attempt ended without a result. A requeued job
  // waits again; one that is not has left the queue.
  struct Verdict {
    int64_t job_id = 0;
    bool requeued = false;
    int32_t failures = 0;
    // Of the attempt that ended.
    std::string worker_name;
    int64_t iteration = 0;
  };

  explicit Queue(const Options& options)
      : options_(options), next_gang_id_(options.first_gang_id) {}
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // -- jobs --------------------------------------------------------------------

  // A RUNNING job gets its lease back, to be claimed by its worker. The id must
  // not be in the queue.
  void AddJob(const UnfinishedJob& job, int64_t now_us);
  // Takes out a job that was finished or cancelled; whether it was there.
  bool RemoveJob(int64_t job_id);
  bool Contains(int64_t job_id) const { return jobs_.contains(job_id); }
  // The job must be in the queue.
  v1::JobConfig Config(int64_t job_id) const;
  // Of the job's lease, as last reported; 0 if it has none.
  double IterationsPerSecond(int64_t job_id) const;

  // -- leases ------------------------------------------------------------------

  // Gives gangs to all idle slots of connected workers, as far as jobs go.
  std::vector<NewGang> Assign(int64_t now_us);
  // Whether this attempt, held by this worker, may report.
  bool LeaseIsCurrent(int64_t job_id, int32_t attempt, absl::string_view worker_id) const;
  // Ends the job's lease. The job must have one.
  Verdict Fail(int64_t job_id, v1::FailureCause cause);
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
  // Sets the gangs that the worker should hold; none for an unknown worker.
  // False where that is not known before its next view, since it has leases to
  // claim.
  bool FillGangs(absl::string_view worker_id, v1::CoordinatorView* view) const;
  // Workers whose gangs changed since the last call, by id.
  std::vector<std::string> TakeChangedWorkers();
  // By name, then id. Workers that were not heard of since the queue was built
  // are left out.
  std::vector<v1::Worker> ListWorkers() const;

  // -- rebuilding --------------------------------------------------------------

  // For a queue that was just filled from the store in place of `old`: takes
  // over the workers, and gang and renewal of every lease that both have.
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
  };
  struct Gang {
    bool seen = false;  // listed by its worker; until then it takes an idle slot
    absl::btree_set<int64_t> jobs;
  };
  struct Worker {
    v1::Worker facts;
    bool connected = false;
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
  int64_t LeaseCount(const Worker& worker) const;
  int64_t IdleSlots(const Worker& worker) const;
  Worker* FindOrAddWorker(const std::string& id);
  void Changed(const Worker& worker);
  void Recount(Worker* worker);

  Options options_;
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
