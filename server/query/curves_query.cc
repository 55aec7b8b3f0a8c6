#include "server/query/curves_query.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/config/words.h"
#include "server/query/answer_limit.h"
#include "server/query/job_groups.h"
#include "server/query/question.h"
#include "server/query/random_metrics.h"
#include "server/query/statistics.h"

namespace modlab {
namespace {

struct Group {
  v1::JobConfig member;                           // any job of it
  std::map<int64_t, std::vector<double>> values;  // by iteration
};

absl::StatusOr<v1::Metric> ParseCurveMetric(const std::string& name) {
  if (name.empty()) {
    return absl::InvalidArgumentError("metric: required, \"eval_loss\" say");
  }
  const absl::StatusOr<v1::Metric> metric = ParseMetric(name);
  if (!metric.ok()) return metric.status();
  const bool has_curve = *metric < v1::ID || std::find(std::begin(kSpecialisationMetrics),
                                                       std::end(kSpecialisationMetrics),
                                                       *metric) != std::end(kSpecialisationMetrics);
  if (!has_curve) {
    return absl::InvalidArgumentError(
        absl::StrCat("metric ", QuotedWord(name),
                     ": measured once a job, at its end, so it has no curve; ask for results, "
                     "or for a curve of \"eval_loss\""));
  }
  return *metric;
}

// Adds what `points` say of `metric` to the values by iteration; returns how many.
int64_t AddPoints(const std::vector<v1::CurvePoint>& points, v1::Metric metric,
                  std::map<int64_t, std::vector<double>>* values) {
  int64_t added = 0;
  for (const v1::CurvePoint& point : points) {
    for (const v1::MetricValue& value : point.values()) {
      if (value.metric() != metric) continue;
      (*values)[point.iteration()].push_back(value.value());
      ++added;
      break;
    }
  }
  return added;
}

}  // namespace

absl::StatusOr<v1::QueryCurvesResponse> QueryCurves(Store* store,
                                                    const v1::QueryCurvesRequest& request) {
  absl::Status status = CheckSweepGiven(request.sweep());
  if (!status.ok()) return status;
  const absl::StatusOr<GroupFields> fields = GroupFields::Parse(request.group_by());
  if (!fields.ok()) return fields.status();
  const absl::StatusOr<v1::Metric> metric = ParseCurveMetric(request.metric());
  if (!metric.ok()) return metric.status();

  std::map<GroupKey, Group> groups;
  GroupKey key;
  int64_t gathered = 0;
  status = store->ScanCurves(request.sweep(), {request.filters().begin(), request.filters().end()},
                             [&](const v1::Job& job, const std::vector<v1::CurvePoint>& points) {
                               fields->ReadKey(job.config(), &key);
                               const auto [at, is_new] = groups.try_emplace(key);
                               if (is_new) at->second.member = job.config();
                               gathered += AddPoints(points, *metric, &at->second.values);
                               return gathered <= kGatheredValuesMax;
                             });
  if (status.ok()) status = CheckGathered(gathered);
  if (!status.ok()) return status;

  v1::QueryCurvesResponse response;
  for (auto& [group_key, group] : groups) {
    const std::vector<std::string> words = fields->Words(group_key, group.member);
    for (auto& [iteration, values] : group.values) {
      v1::CurveRow* row = response.add_rows();
      row->mutable_group()->Assign(words.begin(), words.end());
      row->set_iteration(iteration);
      *row->mutable_summary() = Summarise(std::move(values));
    }
  }
  status = CheckAnswerSize(response);
  if (!status.ok()) return status;
  return response;
}

}  // namespace modlab
