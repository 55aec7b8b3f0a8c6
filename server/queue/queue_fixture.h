// For tests: a queue, the time, sweeps and jobs of few words, and workers that run
// what they are told.

#ifndef MODLAB_SERVER_QUEUE_QUEUE_FIXTURE_H_
#define MODLAB_SERVER_QUEUE_QUEUE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/queue/queue.h"

namespace modlab {

class QueueFixture : public testing::Test {
 protected:
  static constexpr int64_t kLeaseUs = 10'000'000;
  static constexpr int64_t kBackoffUs = 1'000'000;
  static constexpr int64_t kQuarantineUs = 60'000'000;
  static constexpr int64_t kStart = 1'000'000'000;

  // There is a sweep 1 of user "ann".
  QueueFixture() : queue_(NewQueue()) { SetSweep(Sweep(1)); }

  static Queue::Options Options() {
    Queue::Options options;
    options.lease_duration_us = kLeaseUs;
    options.retries.worker_lost = 4;
    options.retries.worker_error = 2;
    options.backoff_first_us = kBackoffUs;
    options.backoff_max_us = 3 * kBackoffUs;
    options.quarantine_first_us = kQuarantineUs;
    options.quarantine_max_us = 3 * kQuarantineUs;
    options.first_gang_id = 100;
    return options;
  }
  static std::unique_ptr<Queue> NewQueue() { return std::make_unique<Queue>(Options()); }

  // -- sweeps and jobs -----------------------------------------------------------

  static QueuedSweep Sweep(int64_t number, int priority = 0, const std::string& user = "ann") {
    QueuedSweep sweep;
    sweep.number = number;
    sweep.id = absl::StrCat("s-", number);
    sweep.user = user;
    sweep.policy.set_priority(priority);
    return sweep;
  }
  void SetSweep(const QueuedSweep& sweep) { queue_->SetSweep(sweep); }
  // The rest of the policy is as by default.
  void Pause(int64_t sweep, bool paused = true) {
    QueuedSweep changed = Sweep(sweep);
    changed.policy.set_paused(paused);
    SetSweep(changed);
  }

  static UnfinishedJob Job(int64_t id, const std::string& shape,
                           std::vector<int64_t> sweeps = {1}) {
    UnfinishedJob job;
    job.id = id;
    job.shape_key = shape;
    v1::JobConfig config;
    config.set_model_seed(id);
    job.config = config.SerializeAsString();
    job.sweeps = std::move(sweeps);
    return job;
  }
  static UnfinishedJob Running(UnfinishedJob job, int32_t attempt, const std::string& worker_id) {
    job.state = v1::RUNNING;
    job.attempt = attempt;
    job.worker_id = worker_id;
    return job;
  }
  static v1::TrainingCheckpoint Checkpoint(int64_t iteration) {
    v1::TrainingCheckpoint checkpoint;
    checkpoint.set_iteration(iteration);
    checkpoint.set_sha256(absl::StrCat("sha-", iteration));
    checkpoint.set_size_bytes(10);
    return checkpoint;
  }
  void Add(const UnfinishedJob& job) { queue_->AddJob(job, now_); }
  void AddJobs(int64_t first, int64_t last, const std::string& shape,
               const std::vector<int64_t>& sweeps = {1}) {
    for (int64_t id = first; id <= last; ++id) Add(Job(id, shape, sweeps));
  }

  // -- workers -------------------------------------------------------------------

  static v1::WorkerView View(const std::string& id, int slots, int gang_size_max) {
    v1::WorkerView view;
    view.set_worker_id(id);
    view.set_name(absl::StrCat("name-", id));
    view.set_device("cpu");
    view.set_slots(slots);
    view.set_slots_idle(slots);
    view.set_gang_size_max(gang_size_max);
    return view;
  }
  static v1::WorkerView At(const std::string& place, v1::WorkerView view) {
    view.set_place(place);
    return view;
  }

  // `view` as it is once the worker runs what the queue wants it to.
  v1::WorkerView Obedient(v1::WorkerView view) const {
    v1::CoordinatorView desired;
    queue_->FillGangs(view.worker_id(), &desired);
    view.clear_held();
    for (const v1::Gang& gang : desired.gangs()) {
      for (const v1::Lease& lease : gang.leases()) {
        v1::HeldLease* held = view.add_held();
        held->set_job_id(lease.job_id());
        held->set_attempt(lease.attempt());
        held->set_gang_id(gang.id());
        held->set_iterations_per_second(10.0);
      }
    }
    view.set_slots_idle(view.slots() - desired.gangs_size());
    return view;
  }

  std::vector<Queue::Verdict> Update(const v1::WorkerView& view) {
    absl::StatusOr<std::vector<Queue::Verdict>> given_back = queue_->UpdateWorker(view, now_);
    EXPECT_EQ(given_back.status(), absl::OkStatus());
    return given_back.ok() ? *given_back : std::vector<Queue::Verdict>();
  }

  // -- what came of it, in lines ---------------------------------------------------

  // "worker: job/attempt job/attempt" for each new gang.
  std::vector<std::string> Assign() {
    std::vector<std::string> lines;
    for (const Queue::NewGang& gang : queue_->Assign(now_)) {
      std::string line = absl::StrCat(gang.worker_id, ":");
      for (const Queue::NewLease& lease : gang.leases) {
        absl::StrAppend(&line, " ", lease.job_id, "/", lease.attempt);
      }
      lines.push_back(line);
    }
    return lines;
  }

  // "gang: job/attempt job/attempt" of what a worker should hold; "!" after what it
  // should release.
  std::vector<std::string> Desired(const std::string& worker_id) const {
    v1::CoordinatorView view;
    queue_->FillGangs(worker_id, &view);
    std::vector<std::string> lines;
    for (const v1::Gang& gang : view.gangs()) {
      std::string line = absl::StrCat(gang.id(), ":");
      for (const v1::Lease& lease : gang.leases()) {
        EXPECT_EQ(lease.config().model_seed(), lease.job_id());
        absl::StrAppend(&line, " ", lease.job_id(), "/", lease.attempt(),
                        lease.release() ? "!" : "");
      }
      lines.push_back(line);
    }
    return lines;
  }

  static std::string Line(const Queue::Verdict& verdict) {
    const char* fate = verdict.requeued      ? " requeued "
                       : verdict.quarantined ? " quarantined "
                                             : " failed ";
    return absl::StrCat(verdict.job_id, fate, verdict.failures);
  }
  static std::vector<std::string> Lines(const std::vector<Queue::Verdict>& verdicts) {
    std::vector<std::string> lines;
    for (const Queue::Verdict& verdict : verdicts) lines.push_back(Line(verdict));
    return lines;
  }
  std::string Fail(int64_t job_id, v1::FailureCause cause) {
    return Line(queue_->Fail(job_id, cause, "it broke", now_));
  }

  // "sweep: waiting/delayed/running, slots".
  std::vector<std::string> Loads(size_t count_max = 100) const {
    std::vector<std::string> lines;
    for (const v1::SweepLoad& load : queue_->ListLoads(count_max)) {
      lines.push_back(absl::StrCat(load.id(), ": ", load.waiting(), "/", load.delayed(), "/",
                                   load.running(), ", ", load.slots()));
    }
    return lines;
  }

  int64_t now_ = kStart;
  std::unique_ptr<Queue> queue_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_QUEUE_QUEUE_FIXTURE_H_
