#include "client/report/survey.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "absl/strings/str_cat.h"
#include "lib/config/job_metrics.h"

namespace modlab {
namespace {

// What still fits a heat map.
constexpr int kRulesMax = 32;

std::string ProvenanceText(const v1::Provenance& provenance) {
  std::string text =
      provenance.device().empty() ? std::string("unknown device") : provenance.device();
  if (!provenance.device_name().empty()) {
    absl::StrAppend(&text, " (", provenance.device_name(), ")");
  }
  absl::StrAppend(&text, ", modlab ", provenance.modlab_version(), ", LibTorch ",
                  provenance.torch_version());
  if (!provenance.blas().empty()) absl::StrAppend(&text, ", ", provenance.blas());
  return text;
}

}  // namespace

void Survey::Add(const v1::Job& job) {
  ++states_[job.state()];
  if (job.state() == v1::FAILED) {
    Failures& failures = failures_[job.failure().cause()];
    if (failures.jobs++ == 0) {
      failures.job = job.id();
      failures.message = job.failure().message();
    }
  }
  if (job.state() != v1::SUCCEEDED) return;
  const v1::JobConfig& config = job.config();
  architectures_.insert(config.architecture());
  last_finished_us_ = std::max(last_finished_us_, job.finished_us());
  ++provenances_[ProvenanceText(job.result().provenance())];

  const MetricValues* const metrics = JobMetrics(job, checkpoint_);
  if (metrics == nullptr) ++without_best_;
  const std::optional<double> alignment = FindMetric(metrics, v1::ALIGNMENT);
  if (!alignment || config.rules() > kRulesMax) return;
  Candidates& candidates = candidates_[{config.architecture(), config.target(), config.model()}];
  if (config.rules() < candidates.rules) return;
  if (config.rules() > candidates.rules) candidates = {config.rules(), {}};
  candidates.jobs.emplace_back(*alignment, job.id());
}

int64_t Survey::jobs() const {
  int64_t jobs = 0;
  for (const auto& [state, count] : states_) jobs += count;
  return jobs;
}

int64_t Survey::finished() const {
  const auto at = states_.find(v1::SUCCEEDED);
  return at == states_.end() ? 0 : at->second;
}

std::vector<Survey::Median> Survey::Medians() const {
  std::vector<Median> medians;
  for (const auto& [kind, candidates] : candidates_) {
    auto jobs = candidates.jobs;
    const auto middle = jobs.begin() + static_cast<std::ptrdiff_t>((jobs.size() - 1) / 2);
    std::nth_element(jobs.begin(), middle, jobs.end());
    const auto& [architecture, target, model] = kind;
    medians.push_back({architecture, target, model, candidates.rules, middle->second, middle->first,
                       static_cast<int64_t>(jobs.size())});
  }
  return medians;
}

}  // namespace modlab
