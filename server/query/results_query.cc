#include "server/query/results_query.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/config/varying_fields.h"
#include "lib/config/words.h"
#include "server/query/answer_limit.h"
#include "server/query/job_groups.h"
#include "server/query/question.h"
#include "server/query/random_metrics.h"
#include "server/query/statistics.h"

namespace modlab {
namespace {

struct Group {
  v1::JobConfig member;                     // any job of it
  VaryingFields fields;                     // of its jobs
  std::set<int> rules;                      // that occur in it
  std::vector<std::vector<double>> values;  // by the place of the metric in the list asked for
};

absl::StatusOr<std::vector<v1::Metric>> ParseMetrics(
    const google::protobuf::RepeatedPtrField<std::string>& names) {
  std::vector<v1::Metric> metrics;
  if (names.empty()) {
    metrics = {v1::ID, v1::OOD};
    metrics.insert(metrics.end(), std::begin(kSpecialisationMetrics),
                   std::end(kSpecialisationMetrics));
    return metrics;
  }
  for (const std::string& name : names) {
    const absl::StatusOr<v1::Metric> metric = ParseFinalMetric(name);
    if (!metric.ok()) return metric.status();
    if (std::find(metrics.begin(), metrics.end(), *metric) != metrics.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("metrics: \"", name, "\" stands there twice; each metric may once"));
    }
    metrics.push_back(*metric);
  }
  return metrics;
}

// Gathers jobs' numbers group by group.
class ResultGroups {
 public:
  ResultGroups(GroupFields fields, std::vector<v1::Metric> metrics)
      : fields_(std::move(fields)), metrics_(std::move(metrics)) {
    place_.fill(-1);
    for (size_t i = 0; i < metrics_.size(); ++i) {
      place_[static_cast<size_t>(metrics_[i])] = static_cast<int>(i);
    }
  }

  // False: the job's config is none.
  bool Add(const JobFigures& job) {
    fields_.ReadKey(job.config, &key_);
    const auto [at, is_new] = groups_.try_emplace(key_);
    Group& group = at->second;
    if (is_new) {
      group.values.resize(metrics_.size());
      if (!group.member.ParseFromArray(job.config_bytes.data(),
                                       static_cast<int>(job.config_bytes.size()))) {
        return false;
      }
    }
    group.fields.Add(job.config);
    group.rules.insert(static_cast<int>(job.config[v1::JobConfig::kRulesFieldNumber]));
    for (const Figure& figure : job.figures) {
      // A newer modlab's metrics have numbers that this one does not know.
      const auto number = static_cast<size_t>(figure.metric);
      if (number >= place_.size() || place_[number] < 0) continue;
      group.values[static_cast<size_t>(place_[number])].push_back(figure.value);
      ++gathered_;
    }
    return true;
  }

  // To be called once, after all jobs.
  void AddRandom() {
    if (fields_.model_index() < 0) return;
    std::map<GroupKey, std::pair<v1::JobConfig, std::set<int>>> random;
    for (const auto& [key, group] : groups_) {
      if (group.member.model() == v1::MONOLITHIC) continue;
      GroupKey random_key = key;
      random_key[static_cast<size_t>(fields_.model_index())] = kRandomModel;
      auto& [member, rules] = random[std::move(random_key)];
      member = group.member;
      rules.insert(group.rules.begin(), group.rules.end());
    }
    for (const auto& [key, entry] : random) {
      Group& group = groups_[key];
      group.values.resize(metrics_.size());
      group.member = entry.first;
      for (const v1::Metric metric : kSpecialisationMetrics) {
        const int place = place_[static_cast<size_t>(metric)];
        if (place < 0) continue;
        for (const int rules : entry.second) {
          group.values[static_cast<size_t>(place)].push_back(RandomMetric(metric, rules));
        }
      }
    }
  }

  void Write(v1::QueryResultsResponse* response) {
    std::set<std::string> pooled;
    for (auto& [key, group] : groups_) {
      const std::vector<std::string> varying = group.fields.Names();
      pooled.insert(varying.begin(), varying.end());
      const std::vector<std::string> words = fields_.Words(key, group.member);
      for (size_t i = 0; i < metrics_.size(); ++i) {
        if (group.values[i].empty()) continue;
        v1::ResultRow* row = response->add_rows();
        row->mutable_group()->Assign(words.begin(), words.end());
        row->set_metric(metrics_[i]);
        *row->mutable_summary() = Summarise(std::move(group.values[i]));
      }
    }
    for (const std::string& name : JobFieldNames()) {
      if (pooled.count(name) > 0) response->add_pooled_over(name);
    }
  }

  int64_t gathered() const { return gathered_; }

 private:
  const GroupFields fields_;
  const std::vector<v1::Metric> metrics_;
  std::array<int, v1::Metric_ARRAYSIZE> place_;  // of a metric in metrics_, or -1
  std::map<GroupKey, Group> groups_;
  GroupKey key_;
  int64_t gathered_ = 0;
};

}  // namespace

absl::StatusOr<v1::QueryResultsResponse> QueryResults(Store* store,
                                                      const v1::QueryResultsRequest& request) {
  absl::StatusOr<GroupFields> fields = GroupFields::Parse(request.group_by());
  if (!fields.ok()) return fields.status();
  absl::StatusOr<std::vector<v1::Metric>> metrics = ParseMetrics(request.metrics());
  if (!metrics.ok()) return metrics.status();
  absl::Status status = CheckCheckpoint(request.checkpoint());
  if (!status.ok()) return status;

  ResultGroups groups(*std::move(fields), *std::move(metrics));
  std::array<int64_t, v1::JobState_ARRAYSIZE> jobs = {};
  int64_t without_best = 0;
  bool good = true;
  status = store->ScanFigures(request.sweep(), {request.filters().begin(), request.filters().end()},
                              request.checkpoint(), [&](const JobFigures& job) {
                                ++jobs[static_cast<size_t>(job.state)];
                                if (job.state != v1::SUCCEEDED) return true;
                                if (!job.has_figures) {
                                  ++without_best;
                                } else {
                                  good = groups.Add(job);
                                }
                                return good && groups.gathered() <= kGatheredValuesMax;
                              });
  if (status.ok() && !good) status = absl::InternalError("the store is damaged: a config in it");
  if (status.ok()) status = CheckGathered(groups.gathered());
  if (!status.ok()) return status;

  v1::QueryResultsResponse response;
  response.set_jobs_finished(jobs[v1::SUCCEEDED] - without_best);
  response.set_jobs_without_best(without_best);
  response.set_jobs_unfinished(jobs[v1::QUEUED] + jobs[v1::RUNNING]);
  response.set_jobs_failed(jobs[v1::FAILED]);
  response.set_jobs_cancelled(jobs[v1::CANCELLED]);
  groups.AddRandom();
  groups.Write(&response);
  status = CheckAnswerSize(response);
  if (!status.ok()) return status;
  return response;
}

}  // namespace modlab
