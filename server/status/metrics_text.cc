#include "server/status/metrics_text.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/metric_type.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "lib/config/words.h"
#include "modlab/v1/coordinator.pb.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/worker.pb.h"
#include "server/engine/tally.h"

namespace modlab {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr double kMicros = 1e6;

// A value and what its one label says; "" where the family has none.
struct Sample {
  std::string label;
  double value = 0.0;
};

class Families {
 public:
  void Gauge(const std::string& name, const std::string& help, const std::string& label,
             const std::vector<Sample>& samples) {
    Add(MetricType::Gauge, name, help, label, samples);
  }
  void Counter(const std::string& name, const std::string& help, const std::string& label,
               const std::vector<Sample>& samples) {
    Add(MetricType::Counter, name, help, label, samples);
  }
  void Histogram(const std::string& name, const std::string& help, const CommitTimes& times) {
    ClientMetric metric;
    uint64_t count = 0;
    for (size_t i = 0; i < times.counts.size(); ++i) {
      count += static_cast<uint64_t>(times.counts[i]);
      const bool last = i == CommitTimes::kBoundsSeconds.size();
      metric.histogram.bucket.push_back(
          {count, last ? std::numeric_limits<double>::infinity() : CommitTimes::kBoundsSeconds[i]});
    }
    metric.histogram.sample_count = count;
    metric.histogram.sample_sum = times.seconds;
    families_.push_back({name, help, MetricType::Histogram, {std::move(metric)}});
  }

  std::string Text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  void Add(MetricType type, const std::string& name, const std::string& help,
           const std::string& label, const std::vector<Sample>& samples) {
    MetricFamily family{name, help, type, {}};
    for (const Sample& sample : samples) {
      ClientMetric metric;
      if (!label.empty()) metric.label.push_back({label, sample.label});
      (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = sample.value;
      family.metric.push_back(std::move(metric));
    }
    families_.push_back(std::move(family));
  }

  std::vector<MetricFamily> families_;
};

double Number(int64_t value) { return static_cast<double>(value); }

void AddJobs(const v1::CoordinatorStatus& view, Families* families) {
  families->Gauge("modlab_jobs",
                  "Jobs in the queue: waiting for a worker, waiting after a failure (delayed), "
                  "running.",
                  "state",
                  {{"waiting", Number(view.waiting() - view.delayed())},
                   {"delayed", Number(view.delayed())},
                   {"running", Number(view.running())}});
  const auto paused = std::count_if(view.sweeps().begin(), view.sweeps().end(),
                                    [](const auto& sweep) { return sweep.policy().paused(); });
  families->Gauge("modlab_sweeps", "Sweeps that have jobs in the queue, at most 1000 counted.",
                  "state",
                  {{"active", Number(view.sweeps_size() - paused)}, {"paused", Number(paused)}});
  families->Gauge("modlab_iterations_per_second",
                  "Training speed of the running jobs together, as last reported.", "",
                  {{"", view.iterations_per_second()}});
}

void AddWorkers(const v1::CoordinatorStatus& view, Families* families) {
  int64_t active = 0, draining = 0, quarantined = 0, idle = 0, busy = 0;
  for (const v1::Worker& worker : view.workers()) {
    if (worker.draining()) {
      ++draining;
    } else if (worker.quarantined_until_us() > view.now_us()) {
      ++quarantined;
    } else {
      ++active;
    }
    idle += worker.slots_idle();
    busy += std::max(worker.slots() - worker.slots_idle(), 0);
  }
  families->Gauge("modlab_workers", "Workers that are connected.", "state",
                  {{"active", Number(active)},
                   {"draining", Number(draining)},
                   {"quarantined", Number(quarantined)}});
  families->Gauge("modlab_slots", "Slots of these workers, each of which trains one gang.", "state",
                  {{"busy", Number(busy)}, {"idle", Number(idle)}});
}

void AddCounters(const Tally& tally, Families* families) {
  families->Counter("modlab_jobs_finished_total", "Jobs that got a result.", "",
                    {{"", Number(tally.jobs_finished)}});
  std::vector<Sample> failed;
  for (int cause = 0; cause < v1::FailureCause_ARRAYSIZE; ++cause) {
    const int64_t count = tally.failed_by_cause[static_cast<size_t>(cause)];
    // Only a newer worker's cause is none of those known.
    if (!v1::FailureCause_IsValid(cause) || (cause == 0 && count == 0)) continue;
    failed.push_back({CauseName(static_cast<v1::FailureCause>(cause)), Number(count)});
  }
  families->Counter("modlab_attempts_failed_total", "Attempts that ended without a result.",
                    "cause", failed);
  families->Counter("modlab_points_total", "Points of curves that were written.", "",
                    {{"", Number(tally.points)}});
  families->Histogram("modlab_commit_seconds", "How long the store took to commit.", tally.commits);
}

void AddStore(const v1::CoordinatorStatus& view, Families* families) {
  families->Gauge(
      "modlab_store_bytes", "Size of the store: the database with its log, artifacts.", "kind",
      {{"database", Number(view.database_bytes())}, {"artifacts", Number(view.artifacts_bytes())}});
  families->Gauge("modlab_store_free_bytes", "Free on the store's disk.", "",
                  {{"", Number(view.free_bytes())}});
  families->Gauge("modlab_store_trouble", "1 while nothing can be written, else 0.", "",
                  {{"", view.trouble().empty() ? 0.0 : 1.0}});
}

}  // namespace

std::string MetricsText(const EngineStatus& status) {
  const v1::CoordinatorStatus& view = status.view;
  Families families;
  families.Gauge("modlab_build_info", "The version that runs.", "version", {{view.version(), 1.0}});
  families.Gauge("modlab_start_time_seconds", "When it started, since the Unix epoch.", "",
                 {{"", Number(view.started_us()) / kMicros}});
  families.Gauge("modlab_uptime_seconds", "How long it has been running.", "",
                 {{"", Number(view.now_us() - view.started_us()) / kMicros}});
  AddJobs(view, &families);
  AddWorkers(view, &families);
  AddCounters(status.since_start, &families);
  AddStore(view, &families);
  return families.Text();
}

}  // namespace modlab
