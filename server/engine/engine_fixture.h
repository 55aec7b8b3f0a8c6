// For tests: an engine over a real store with a disk that fails on demand, a
// clock that the test moves, and workers that the test plays.

#ifndef MODLAB_SERVER_ENGINE_ENGINE_FIXTURE_H_
#define MODLAB_SERVER_ENGINE_ENGINE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/sync/mutex.h"
#include "server/engine/engine.h"
#include "server/engine/faulty_writer.h"
#include "server/store/store_fixture.h"

namespace modlab {

// Keeps what the engine sends to a worker.
class FakeChannel : public WorkerChannel {
 public:
  void Send(const v1::CoordinatorView& view) override {
    const MutexLock lock(&mutex_);
    view_ = view;
    ++sent_;
  }
  void Taken() override {
    const MutexLock lock(&mutex_);
    ++taken_;
    changed_.NotifyAll();
  }
  void Close(const absl::Status& why) override {
    const MutexLock lock(&mutex_);
    if (!closed_) why_ = why;
    closed_ = true;
    changed_.NotifyAll();
  }
  bool closed() const override {
    const MutexLock lock(&mutex_);
    return closed_;
  }

  v1::CoordinatorView view() const {
    const MutexLock lock(&mutex_);
    return view_;
  }
  int sent() const {
    const MutexLock lock(&mutex_);
    return sent_;
  }
  absl::Status why() const {
    const MutexLock lock(&mutex_);
    return why_;
  }
  // Waits until `count` views were dealt with, or the stream is closed.
  void AwaitTaken(int count) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    const MutexLock lock(&mutex_);
    while (taken_ < count && !closed_) {
      ASSERT_TRUE(changed_.WaitUntil(&mutex_, deadline));
    }
  }

 private:
  mutable Mutex mutex_;
  Condition changed_;
  v1::CoordinatorView view_ ABSL_GUARDED_BY(mutex_);
  int sent_ ABSL_GUARDED_BY(mutex_) = 0;
  int taken_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
};

// Files that are only names.
class FakeFiles final : public ArtifactFiles {
 public:
  bool Contains(absl::string_view sha256) const override {
    const MutexLock lock(&mutex_);
    return names_.count(std::string(sha256)) > 0;
  }
  absl::Status Remove(absl::string_view sha256) override {
    const MutexLock lock(&mutex_);
    names_.erase(std::string(sha256));
    return absl::OkStatus();
  }
  absl::Status SyncRemovals() override { return absl::OkStatus(); }
  void UseReserve() override {
    const MutexLock lock(&mutex_);
    if (use_reserve_ != nullptr) use_reserve_();
  }
  void OnUseReserve(std::function<void()> use_reserve) {
    const MutexLock lock(&mutex_);
    use_reserve_ = std::move(use_reserve);
  }
  void Add(const std::string& sha256) {
    const MutexLock lock(&mutex_);
    names_.insert(sha256);
  }

 private:
  mutable Mutex mutex_;
  std::set<std::string> names_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> use_reserve_ ABSL_GUARDED_BY(mutex_);
};

class EngineFixture : public StoreFixture {
 protected:
  static constexpr int64_t kLeaseUs = 10'000'000;
  static constexpr int64_t kBackoffUs = 1'000'000;

  EngineFixture() : faulty_(writer()) { StartEngine(); }

  void StartEngine(size_t jobs_a_step = kJobsAStep) {
    Engine::Options options;
    options.jobs_a_step = jobs_a_step;
    options.queue.lease_duration_us = kLeaseUs;
    options.queue.retries = {/*worker_lost=*/2, /*worker_error=*/1, 0, 0};
    options.queue.backoff_first_us = kBackoffUs;
    absl::StatusOr<std::unique_ptr<Engine>> engine = Engine::Start(
        store_.get(), &faulty_, &files_, [this] { return now_us_.load(); }, options);
    ASSERT_EQ(engine.status(), absl::OkStatus());
    engine_ = *std::move(engine);
  }

  // As after kill -9 and a new start: only the disk remembers.
  void Restart() {
    engine_.reset();
    Reopen();
    faulty_.set_inner(writer());
    StartEngine();
  }

  // `values` are model seeds.
  static v1::CreateSweepRequest Request(const std::string& id, std::vector<std::string> seeds) {
    v1::CreateSweepRequest request;
    request.set_request_id(id);
    request.mutable_spec()->set_name("s");
    *request.mutable_spec()->mutable_defaults() = Config({});
    request.mutable_spec()->mutable_defaults()->clear_model_seed();
    v1::Axis* axis = request.mutable_spec()->add_grids()->add_axes();
    axis->set_field("model_seed");
    axis->mutable_values()->Assign(seeds.begin(), seeds.end());
    return request;
  }

  absl::StatusOr<CreatedSweep> TryCreate(const v1::CreateSweepRequest& request) {
    absl::StatusOr<SweepPlan> plan = PlanSweep(request);
    if (!plan.ok()) return plan.status();
    return engine_->CreateSweep(*plan);
  }

  CreatedSweep Create(const v1::CreateSweepRequest& request) {
    absl::StatusOr<CreatedSweep> created = TryCreate(request);
    EXPECT_EQ(created.status(), absl::OkStatus());
    return created.ok() ? *created : CreatedSweep();
  }

  // One worker's process.
  struct FakeWorker {
    v1::WorkerView view;
    std::shared_ptr<FakeChannel> channel = std::make_shared<FakeChannel>();
    int views = 0;
    uint64_t reports = 0;
  };

  static FakeWorker Worker(char digit, int slots = 1, int gang_size_max = 4) {
    FakeWorker worker;
    worker.view.set_worker_id(std::string(32, digit));
    worker.view.set_name(absl::StrCat("worker-", std::string(1, digit)));
    worker.view.set_device("cpu");
    worker.view.set_slots(slots);
    worker.view.set_slots_idle(slots);
    worker.view.set_gang_size_max(gang_size_max);
    return worker;
  }

  // Sends the worker's view as it is and waits for the answer.
  v1::CoordinatorView Synchronise(FakeWorker* worker) {
    EXPECT_EQ(engine_->Synchronise(worker->view, worker->channel), absl::OkStatus());
    worker->channel->AwaitTaken(++worker->views);
    return worker->channel->view();
  }

  // Makes the worker hold what it was last told to.
  static void Obey(FakeWorker* worker) {
    const v1::CoordinatorView desired = worker->channel->view();
    worker->view.clear_held();
    for (const v1::Gang& gang : desired.gangs()) {
      for (const v1::Lease& lease : gang.leases()) {
        v1::HeldLease* held = worker->view.add_held();
        held->set_job_id(lease.job_id());
        held->set_attempt(lease.attempt());
        held->set_gang_id(gang.id());
        held->set_iterations_per_second(5.0);
      }
    }
    worker->view.set_slots_idle(worker->view.slots() - desired.gangs_size());
  }

  static v1::Report* AddReport(FakeWorker* worker, int64_t job, int32_t attempt) {
    v1::Report* report = worker->view.add_reports();
    report->set_number(++worker->reports);
    report->set_job_id(job);
    report->set_attempt(attempt);
    return report;
  }

  static void AddPoint(FakeWorker* worker, int64_t job, int32_t attempt, int64_t iteration) {
    v1::CurvePoint* point = AddReport(worker, job, attempt)->mutable_point();
    point->set_iteration(iteration);
    v1::MetricValue* value = point->add_values();
    value->set_metric(v1::EVAL_LOSS);
    value->set_value(0.5);
  }

  static void AddFinish(FakeWorker* worker, int64_t job, int32_t attempt, double id = 0.25) {
    v1::MetricValue* value = AddReport(worker, job, attempt)->mutable_finished()->add_metrics();
    value->set_metric(v1::ID);
    value->set_value(id);
  }

  static void AddCheckpoint(FakeWorker* worker, int64_t job, int32_t attempt, int64_t iteration,
                            const std::string& sha256) {
    v1::TrainingCheckpoint* checkpoint = AddReport(worker, job, attempt)->mutable_checkpoint();
    checkpoint->set_iteration(iteration);
    checkpoint->set_sha256(sha256);
    checkpoint->set_size_bytes(10);
  }

  // The name of some artifact.
  static std::string Sha(char digit) { return std::string(64, digit); }

  // As an upload does.
  std::string Upload(char digit) {
    EXPECT_EQ(engine_->RegisterArtifact(Sha(digit), 10), absl::OkStatus());
    files_.Add(Sha(digit));
    return Sha(digit);
  }

  // What the worker was told of a job; empty if nothing.
  static v1::Lease LeaseOf(int64_t job, const v1::CoordinatorView& view) {
    for (const v1::Gang& gang : view.gangs()) {
      for (const v1::Lease& lease : gang.leases()) {
        if (lease.job_id() == job) return lease;
      }
    }
    return v1::Lease();
  }

  // "submitted", "leased 1 worker-a", ...: what happened to a job.
  std::vector<std::string> Events(int64_t job) {
    const absl::StatusOr<std::vector<v1::JobEvent>> events = store_->ReadEvents(job);
    EXPECT_EQ(events.status(), absl::OkStatus());
    std::vector<std::string> lines;
    for (const v1::JobEvent& event : *events) {
      std::string line = absl::AsciiStrToLower(v1::JobEventKind_Name(event.kind()));
      if (event.attempt() > 0) absl::StrAppend(&line, " ", event.attempt(), " ", event.worker());
      lines.push_back(std::move(line));
    }
    return lines;
  }

  static std::vector<std::string> Leases(const v1::CoordinatorView& view) {
    std::vector<std::string> lines;
    for (const v1::Gang& gang : view.gangs()) {
      for (const v1::Lease& lease : gang.leases()) {
        lines.push_back(absl::StrCat(lease.job_id(), "/", lease.attempt()));
      }
    }
    return lines;
  }

  // Lets the engine notice that time has passed.
  void Tick() { EXPECT_EQ(engine_->ListWorkers().status(), absl::OkStatus()); }

  size_t Points(int64_t job) { return store_->ReadCurve(job)->size(); }

  std::atomic<int64_t> now_us_{1'700'000'000'000'000};
  FaultyWriter faulty_;
  FakeFiles files_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_ENGINE_FIXTURE_H_
