#include "tests/sim/witness.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace modlab {
namespace sim {

namespace {

constexpr int64_t kClaimsWithinUs = 120'000'000;

}  // namespace

void Witness::Accuse(const std::string& what) {
  Say("WRONG: " + what);
  if (verdict_.empty()) verdict_ = what;
}

const Undisturbed& Witness::UndisturbedRun(const v1::Job& job) {
  const auto [it, is_new] = undisturbed_.try_emplace(job.job_key());
  if (is_new) it->second = Train(job.config());
  return it->second;
}

// -- looking -----------------------------------------------------------------------------

bool Witness::MayBeGone(int64_t job_id) const {
  for (const auto& [sweep, jobs] : sweep_jobs_) {
    if (jobs.count(job_id) != 0 && prunable_.count(sweep) == 0) return false;
  }
  return true;
}

bool Witness::IsWanted(int64_t job_id) const {
  for (const auto& [sweep, jobs] : sweep_jobs_) {
    if (jobs.count(job_id) != 0 && sweeps_.at(sweep).cancelled_us() == 0) return true;
  }
  return false;
}

bool Witness::LookAtJob(int64_t job_id) {
  Store* const store = coordinator_->store();
  absl::StatusOr<v1::Job> job = store->GetJob(job_id);
  if (absl::IsNotFound(job.status())) {
    if (jobs_.count(job_id) != 0 && !MayBeGone(job_id)) {
      Accuse(absl::StrCat("job ", job_id, " is gone"));
    }
    jobs_.erase(job_id);
    return false;
  }
  const absl::StatusOr<std::vector<v1::CurvePoint>> points = store->ReadCurve(job_id);
  const absl::StatusOr<std::vector<v1::JobEvent>> events = store->ReadEvents(job_id);
  if (!job.ok() || !points.ok() || !events.ok()) return false;
  JobFacts now;
  now.job = *std::move(job);
  now.points = *points;
  now.events = *events;
  std::string wrong = CheckJob(now, UndisturbedRun(now.job));
  const auto before = jobs_.find(job_id);
  if (wrong.empty() && before != jobs_.end()) wrong = CheckHistory(before->second, now);
  if (!wrong.empty()) Accuse(wrong);
  jobs_[job_id] = std::move(now);
  return true;
}

void Witness::LookAtSweep(const std::string& sweep_id) {
  Store* const store = coordinator_->store();
  if (store == nullptr) return;
  absl::StatusOr<v1::Sweep> sweep = store->GetSweep(sweep_id);
  if (absl::IsNotFound(sweep.status())) {
    if (prunable_.count(sweep_id) == 0) Accuse(absl::StrCat("sweep ", sweep_id, " is gone"));
    sweeps_.erase(sweep_id);
    sweep_jobs_.erase(sweep_id);
    return;
  }
  if (!sweep.ok()) return;
  std::set<int64_t> jobs;
  std::set<std::string> keys;
  const absl::Status scanned = store->ScanJobs(sweep_id, {}, 0, [&](const v1::Job& job) {
    jobs.insert(job.id());
    if (!keys.insert(job.job_key()).second) {
      Accuse(absl::StrCat("sweep ", sweep_id, " has two jobs of the config of job ", job.id()));
    }
    return true;
  });
  if (!scanned.ok()) return;
  const auto before = sweeps_.find(sweep_id);
  if (before != sweeps_.end()) {
    std::string wrong = CheckSweepHistory(before->second, *sweep);
    const std::set<int64_t>& old = sweep_jobs_[sweep_id];
    if (!std::includes(jobs.begin(), jobs.end(), old.begin(), old.end())) {
      wrong = absl::StrCat("sweep ", sweep_id, " lost a job");
    }
    if (policies_seen_[sweep_id] == policy_changes_[sweep_id] &&
        before->second.policy().SerializeAsString() != sweep->policy().SerializeAsString()) {
      wrong = absl::StrCat("sweep ", sweep_id, " has another policy, and nobody changed it");
    }
    if (!wrong.empty()) Accuse(wrong);
  }
  policies_seen_[sweep_id] = policy_changes_[sweep_id];
  sweeps_[sweep_id] = *std::move(sweep);
  sweep_jobs_[sweep_id] = std::move(jobs);
}

void Witness::LookAtAll() {
  Store* const store = coordinator_->store();
  if (store == nullptr) return;
  std::set<std::string> sweeps;
  for (const auto& [sweep_id, sweep] : sweeps_) sweeps.insert(sweep_id);
  const absl::StatusOr<v1::ListSweepsResponse> page = store->ListSweeps(1000, "");
  if (page.ok()) {
    for (const v1::Sweep& sweep : page->sweeps()) sweeps.insert(sweep.id());
  }
  for (const std::string& sweep_id : sweeps) LookAtSweep(sweep_id);
  std::set<int64_t> jobs;
  for (const auto& [job_id, facts] : jobs_) jobs.insert(job_id);
  const absl::Status scanned = store->ScanJobs("", {}, 0, [&](const v1::Job& job) {
    jobs.insert(job.id());
    return true;
  });
  if (!scanned.ok()) return;
  for (const int64_t job_id : jobs) LookAtJob(job_id);
}

// -- the coordinator ------------------------------------------------------------------------

void Witness::OnStart() {
  policy_.Forget();
  started_us_ = coordinator_->clock_us();
  LookAtAll();
  for (const auto& [request_id, sweep_id] : requests_) {
    if (sweeps_.count(sweep_id) == 0 && prunable_.count(sweep_id) == 0) {
      Accuse(absl::StrCat("sweep ", sweep_id, " was acknowledged, and is gone"));
    }
  }
  CompareQueueWithStore();
}

void Witness::OnCreated(const std::string& request_id, const std::string& sweep_id) {
  const auto [it, is_new] = requests_.try_emplace(request_id, sweep_id);
  if (!is_new && it->second != sweep_id && prunable_.count(it->second) == 0) {
    Accuse(absl::StrCat("request ", request_id, " made ", it->second, " and ", sweep_id));
  }
  LookAtSweep(sweep_id);
  if (sweeps_.count(sweep_id) == 0) return;
  for (const int64_t job_id : sweep_jobs_[sweep_id]) LookAtJob(job_id);
}

void Witness::OnView(const v1::WorkerView& view) {
  Heard& heard = heard_[view.worker_id()];
  for (const v1::Report& report : view.reports()) {
    if (report.number() <= heard.acknowledged) continue;
    heard.reports[report.number()] = report;
  }
}

void Witness::OnSend(const std::string& worker_id, const v1::CoordinatorView& view) {
  for (const v1::Gang& gang : view.gangs()) {
    for (const v1::Lease& lease : gang.leases()) CheckLease(worker_id, lease);
  }
  if (to_drain_.count(worker_id) != 0 && !view.drain()) {
    Accuse(absl::StrCat("worker ", worker_id, " was to drain, and is not told so"));
  }
  Heard& heard = heard_[worker_id];
  std::set<int64_t> touched;
  for (const auto& [number, report] : heard.reports) {
    if (number <= view.reports_acknowledged()) touched.insert(report.job_id());
  }
  std::set<int64_t> seen;
  for (const int64_t job_id : touched) {
    if (LookAtJob(job_id)) seen.insert(job_id);
  }
  while (!heard.reports.empty() && heard.reports.begin()->first <= view.reports_acknowledged()) {
    const v1::Report report = std::move(heard.reports.begin()->second);
    heard.reports.erase(heard.reports.begin());
    heard.acknowledged = report.number();
    if (seen.count(report.job_id()) != 0) Judge(report);
  }
}

// An acknowledged report of the lease that is still the job's is on disk.
void Witness::Judge(const v1::Report& report) {
  const JobFacts& facts = jobs_.at(report.job_id());
  const v1::Job& job = facts.job;
  if (job.attempt() != report.attempt()) return;
  const bool holds = job.state() == v1::RUNNING;
  std::string missing;
  switch (report.event_case()) {
    case v1::Report::kPoint:
      if (holds || job.state() == v1::SUCCEEDED) {
        const bool found =
            std::any_of(facts.points.begin(), facts.points.end(), [&](const v1::CurvePoint& point) {
              return point.iteration() == report.point().iteration();
            });
        if (!found) missing = "a point";
      }
      break;
    case v1::Report::kCheckpoint:
      if (holds && job.checkpoint().iteration() < report.checkpoint().iteration() &&
          coordinator_->artifacts().Contains(report.checkpoint().sha256())) {
        missing = "a checkpoint";
      }
      break;
    case v1::Report::kFinished:
      if (holds) missing = "a result";
      break;
    case v1::Report::kFailed:
      if (holds) missing = "a failure";
      break;
    case v1::Report::kReleased:
      if (holds) missing = "a release";
      break;
    case v1::Report::EVENT_NOT_SET:
      break;
  }
  if (missing.empty()) return;
  Accuse(absl::StrCat("acknowledged, and not on disk: ", missing, ": ", report.ShortDebugString()));
}

void Witness::CheckLease(const std::string& worker_id, const v1::Lease& lease) {
  const auto [it, is_new] =
      lease_holders_.try_emplace({lease.job_id(), lease.attempt()}, worker_id);
  if (!is_new) {
    if (it->second != worker_id) {
      Accuse(absl::StrCat("attempt ", lease.attempt(), " of job ", lease.job_id(),
                          " was given to two workers"));
    }
    return;
  }
  if (tracing()) {
    Say(absl::StrCat("job ", lease.job_id(), " attempt ", lease.attempt(), " goes to ", worker_id,
                     " from iteration ", lease.checkpoint().iteration()));
  }
  if (!LookAtJob(lease.job_id())) return;
  const v1::Job& job = jobs_.at(lease.job_id()).job;
  if (job.state() != v1::RUNNING || job.attempt() != lease.attempt()) {
    Accuse(absl::StrCat("attempt ", lease.attempt(), " of job ", job.id(),
                        " was given away, and on disk it is ", v1::JobState_Name(job.state()),
                        " at attempt ", job.attempt()));
  }
  if (job.config().SerializeAsString() != lease.config().SerializeAsString()) {
    Accuse(absl::StrCat("job ", job.id(), " was given away with another config"));
  }
  if (job.checkpoint().iteration() < lease.checkpoint().iteration()) {
    Accuse(absl::StrCat("job ", job.id(), " was given away with a checkpoint that it has not"));
  }
}

void Witness::OnTurn(bool by_users) {
  std::vector<v1::SweepLoad> loads;
  if (coordinator_->Inspect([&](Queue* queue) { loads = queue->ListLoads(1000); })) {
    // Soon after a start workers claim what they hold, which looks like a gift.
    const bool is_new = coordinator_->clock_us() < started_us_ + kClaimsWithinUs;
    const std::string wrong = policy_.Turn(loads, by_users || is_new);
    if (!wrong.empty() && GaveLeases() && !JobsAvoidPlaces()) Accuse(wrong);
  }
  if (random_.Chance(0.02)) CompareQueueWithStore();
  if (random_.Chance(0.005)) LookAtAll();
}

bool Witness::GaveLeases() const {
  bool gave = false;
  v1::FieldFilter running;
  running.set_field("state");
  running.add_values("running");
  const absl::Status scanned =
      coordinator_->store()->ScanJobs("", {running}, 0, [&](const v1::Job& job) {
        gave = gave || job.started_us() == coordinator_->clock_us();
        return !gave;
      });
  return scanned.ok() && gave;
}

bool Witness::JobsAvoidPlaces() const {
  bool avoid = places_are_avoided_;
  v1::FieldFilter unfinished;
  unfinished.set_field("state");
  unfinished.add_values("queued");
  unfinished.add_values("running");
  const absl::Status scanned =
      coordinator_->store()->ScanJobs("", {unfinished}, 0, [&](const v1::Job& job) {
        const int64_t now_us = coordinator_->clock_us();
        const bool could_start = job.state() == v1::QUEUED && job.not_before_us() <= now_us;
        avoid = avoid || (job.failures() > 0 && (could_start || job.started_us() == now_us));
        return !avoid;
      });
  return !scanned.ok() || avoid;
}

// Every unfinished job of the store is in the queue, as it is in the store, and no other.
void Witness::CompareQueueWithStore() {
  Store* const store = coordinator_->store();
  std::map<int64_t, v1::Job> unfinished;
  v1::FieldFilter states;
  states.set_field("state");
  states.add_values("queued");
  states.add_values("running");
  const absl::Status scanned = store->ScanJobs("", {states}, 0, [&](const v1::Job& job) {
    unfinished[job.id()] = job;
    return true;
  });
  if (!scanned.ok()) return;
  std::string wrong;
  coordinator_->Inspect([&](Queue* queue) {
    const Queue::Totals totals = queue->totals();
    int64_t running = 0;
    for (const auto& [job_id, job] : unfinished) {
      if (!queue->Contains(job_id)) {
        wrong = absl::StrCat("job ", job_id, " is not in the queue");
        return;
      }
      if (queue->Config(job_id).SerializeAsString() != job.config().SerializeAsString() ||
          queue->CheckpointIteration(job_id) != job.checkpoint().iteration()) {
        wrong = absl::StrCat("job ", job_id, " is another one in the queue");
        return;
      }
      if (job.state() != v1::RUNNING) continue;
      ++running;
      const auto holder = lease_holders_.find({job_id, job.attempt()});
      if (holder != lease_holders_.end() &&
          !queue->LeaseIsCurrent(job_id, job.attempt(), holder->second)) {
        wrong = absl::StrCat("job ", job_id, " runs, and its lease is not current");
      }
    }
    const auto count = static_cast<int64_t>(unfinished.size());
    if (totals.running != running || totals.waiting != count - running) {
      wrong = absl::StrCat("the store has ", count - running, " jobs that wait and ", running,
                           " that run, the queue ", totals.waiting, " and ", totals.running);
    }
  });
  if (!wrong.empty()) Accuse(wrong);
}

}  // namespace sim
}  // namespace modlab
