#include "tests/bench/fake_worker.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/config/job_config.h"

namespace modlab::bench {
namespace {

// As different from one another as what is measured: no two alike, and no bit predictable.
double Noise(uint64_t seed) {
  seed += 0x9e3779b97f4a7c15;
  seed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9;
  seed = (seed ^ (seed >> 27)) * 0x94d049bb133111eb;
  return static_cast<double>((seed ^ (seed >> 31)) >> 11) / static_cast<double>(uint64_t{1} << 53);
}

void AddMetric(v1::Metric metric, double value,
               google::protobuf::RepeatedPtrField<v1::MetricValue>* values) {
  v1::MetricValue* added = values->Add();
  added->set_metric(metric);
  added->set_value(value);
}

void FillActivation(const v1::JobConfig& config, uint64_t seed, v1::ActivationMatrix* activation) {
  activation->set_rules(config.rules());
  activation->set_modules(config.modules());
  const int cells = config.rules() * config.modules();
  double sum = 0;
  std::vector<double> shares;
  for (int i = 0; i < cells; ++i) {
    shares.push_back(0.5 + Noise(seed * 131 + static_cast<uint64_t>(i)));
    sum += shares.back();
  }
  for (const double share : shares) activation->add_values(static_cast<float>(share / sum));
}

void FillPoint(const v1::JobConfig& config, int64_t iteration, v1::CurvePoint* point) {
  point->set_iteration(iteration);
  const uint64_t seed = static_cast<uint64_t>(config.model_seed() * 1'000'003 + iteration);
  const double loss = (0.9 + 0.2 * Noise(seed)) / (1.0 + static_cast<double>(iteration) / 1000);
  AddMetric(v1::EVAL_LOSS, loss, point->mutable_values());
  uint64_t n = 0;
  for (const v1::Metric metric :
       {v1::COLLAPSE_AVG, v1::COLLAPSE_WORST, v1::ALIGNMENT, v1::ADAPTATION, v1::INVERSE_MI}) {
    AddMetric(metric, 0.4 + 0.2 * Noise(seed * 7 + ++n), point->mutable_values());
  }
  if (iteration > 0) {
    AddMetric(v1::TRAIN_LOSS, loss * (1 + 0.1 * Noise(seed * 3)), point->mutable_values());
    AddMetric(v1::ITERATIONS_PER_SECOND, 1000 + 10 * Noise(seed * 5), point->mutable_values());
  }
  FillActivation(config, seed, point->mutable_activation());
}

void FillResult(const v1::JobConfig& config, v1::JobResult* result) {
  const auto seed = static_cast<uint64_t>(config.model_seed() + 1);
  uint64_t n = 0;
  for (const v1::Metric metric :
       {v1::ID, v1::OOD, v1::ID_LOSS, v1::OOD_LOSS, v1::COLLAPSE_AVG, v1::COLLAPSE_WORST,
        v1::ALIGNMENT, v1::ADAPTATION, v1::INVERSE_MI, v1::PARAMETERS}) {
    AddMetric(metric, Noise(seed * 17 + ++n), result->mutable_metrics());
  }
  FillActivation(config, seed, result->mutable_activation());
  result->mutable_provenance()->set_device("cpu");
  result->mutable_provenance()->set_device_name("none");
  result->set_wall_seconds(1);
}

}  // namespace

void Times::Add(Clock::time_point since) {
  const std::chrono::duration<float, std::milli> ms = Clock::now() - since;
  const std::lock_guard<std::mutex> lock(mutex_);
  ms_.push_back(ms.count());
}

double Times::At(double share) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (ms_.empty()) return 0;
  std::sort(ms_.begin(), ms_.end());
  return static_cast<double>(ms_[static_cast<size_t>(share * static_cast<double>(ms_.size() - 1))]);
}

size_t Times::count() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return ms_.size();
}

void Times::Clear() {
  const std::lock_guard<std::mutex> lock(mutex_);
  ms_.clear();
}

FakeWorker::FakeWorker(int number, const std::string& address, const Options& options, Load* load)
    : options_(options), load_(load) {
  identity_.set_worker_id(absl::StrFormat("%032x", number + 1));
  identity_.set_name(absl::StrCat("fake-", number));
  identity_.set_place(absl::StrCat("fake-", number, "/cpu"));
  identity_.set_device("cpu");
  identity_.set_slots(1);
  identity_.set_gang_size_max(options.gang);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  stub_ = v1::WorkerService::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
  stub_->async()->Synchronise(&context_, this);
  AddHold();
  StartRead(&incoming_);
  const std::lock_guard<std::mutex> lock(mutex_);
  SendView();
  StartCall();
}

FakeWorker::~FakeWorker() {
  std::unique_lock<std::mutex> lock(mutex_);
  stopping_ = true;
  lock.unlock();
  context_.TryCancel();
  RemoveHold();
  lock.lock();
  ended_.wait(lock, [this] { return done_; });
}

void FakeWorker::OnReadDone(bool ok) {
  if (!ok) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    Take(incoming_);
    if (news_ && !writing_ && !stopping_) SendView();
  }
  StartRead(&incoming_);
}

void FakeWorker::OnWriteDone(bool ok) {
  const std::lock_guard<std::mutex> lock(mutex_);
  writing_ = false;
  if (ok && news_ && !stopping_) SendView();
}

void FakeWorker::OnDone(const grpc::Status& status) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!stopping_) {
    std::fprintf(stderr, "%s: the stream ended: %s\n", identity_.name().c_str(),
                 status.error_message().c_str());
  }
  done_ = true;
  ended_.notify_all();
}

void FakeWorker::Take(const v1::CoordinatorView& view) {
  const uint64_t acknowledged = view.reports_acknowledged();
  for (; !sent_.empty() && sent_.front().number <= acknowledged; sent_.pop_front()) {
    load_->acknowledgement_ms.Add(sent_.front().at);
    load_->points += sent_.front().points;
    load_->values += sent_.front().values;
    news_ = true;  // there may be more points to send
  }
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    if (job->second.last_report == 0 || job->second.last_report > acknowledged) {
      ++job;
      continue;
    }
    load_->job_ms.Add(job->second.leased);
    ++load_->jobs;
    gang_of_.erase(job->first);
    job = jobs_.erase(job);
  }
  for (const v1::Gang& gang : view.gangs()) {
    for (const v1::Lease& lease : gang.leases()) {
      const LeaseKey key(lease.job_id(), lease.attempt());
      // One that ended may be in a view that was made before its result was taken.
      if (jobs_.count(key) > 0) continue;
      Job& job = jobs_[key];
      job.config = lease.config();
      if (options_.curves) job.iterations = EvaluationIterations(job.config);
      job.leased = Clock::now();
      gang_of_[key] = gang.id();
      news_ = true;
    }
  }
}

// What there is to report now.
void FakeWorker::Train(v1::WorkerView* view) {
  Sent sent;
  if (!sent_.empty()) return;  // the next when these are acknowledged
  for (auto& [key, job] : jobs_) {
    if (job.last_report > 0) continue;
    const auto add = [&, lease = key] {
      v1::Report* report = view->add_reports();
      report->set_number(++reports_);
      report->set_job_id(lease.first);
      report->set_attempt(lease.second);
      return report;
    };
    for (int i = 0; i < options_.points_a_view && job.sent < job.iterations.size(); ++i) {
      v1::CurvePoint* point = add()->mutable_point();
      FillPoint(job.config, job.iterations[job.sent++], point);
      ++sent.points;
      sent.values += point->values_size();
    }
    if (job.sent < job.iterations.size()) continue;
    v1::Report* report = add();
    FillResult(job.config, report->mutable_finished());
    job.last_report = report->number();
  }
  if (view->reports().empty()) return;
  sent.number = reports_;
  sent.at = Clock::now();
  sent_.push_back(sent);
}

void FakeWorker::SendView() {
  outgoing_ = identity_;
  Train(&outgoing_);
  bool busy = false;
  for (const auto& [key, job] : jobs_) {
    v1::HeldLease* held = outgoing_.add_held();
    held->set_job_id(key.first);
    held->set_attempt(key.second);
    held->set_gang_id(gang_of_[key]);
    busy = busy || job.last_report == 0;
  }
  outgoing_.set_slots_idle(busy ? 0 : 1);
  news_ = false;
  writing_ = true;
  StartWrite(&outgoing_);
}

}  // namespace modlab::bench
