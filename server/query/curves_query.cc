#include "server/query/curves_query.h"

#include <algorithm>
#include <cstddef>
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
  bool good = true;
  status =
      store->ScanMetric(request.sweep(), {request.filters().begin(), request.filters().end()},
                        *metric, [&](const JobFigures& job, const MetricCurve& curve) {
                          fields->ReadKey(job.config, &key);
                          const auto [at, is_new] = groups.try_emplace(key);
                          Group& group = at->second;
                          if (is_new) {
                            good = group.member.ParseFromArray(
                                job.config_bytes.data(), static_cast<int>(job.config_bytes.size()));
                          }
                          for (size_t i = 0; i < curve.values.size(); ++i) {
                            group.values[curve.iterations[i]].push_back(curve.values[i]);
                          }
                          gathered += static_cast<int64_t>(curve.values.size());
                          return good && gathered <= kGatheredValuesMax;
                        });
  if (status.ok() && !good) status = absl::InternalError("the store is damaged: a config in it");
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
