#include "client/job_row.h"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "client/format.h"
#include "client/text.h"
#include "lib/config/job_metrics.h"
#include "lib/config/words.h"
#include "modlab/v1/job.pb.h"

namespace modlab {
namespace {

// Columns and cells are made by one function, so that they cannot fall apart.
using Row = std::vector<std::pair<std::string, Cell>>;

// Counts are whole numbers.
Cell MetricCell(v1::Metric metric, const std::optional<double>& value) {
  if (!value) return Cell();
  if (metric == v1::PARAMETERS) return static_cast<int64_t>(*value);
  return *value;
}

Row MakeRow(const v1::Job& job, const std::set<v1::Metric>& by_length, v1::Checkpoint checkpoint) {
  const v1::Provenance& provenance = job.result().provenance();
  Row row = {{"job", job.id()}, {"state", TextCell(StateName(job.state()))}};
  for (const std::string& field : JobFieldNames()) {
    row.emplace_back(field, WordCell(field, JobFieldWord(job.config(), field)));
  }
  row.emplace_back("replicate", int64_t{job.replicate()});
  row.emplace_back("attempt", int64_t{job.attempt()});
  row.emplace_back("iteration", job.iteration());
  row.emplace_back("worker", TextCell(job.worker()));
  row.emplace_back("created", TextCell(TimeText(job.created_us())));
  row.emplace_back("started", TextCell(TimeText(job.started_us())));
  row.emplace_back("finished", TextCell(TimeText(job.finished_us())));
  row.emplace_back("wall_seconds", job.has_result() ? Cell(job.result().wall_seconds()) : Cell());
  const auto* metrics = v1::Metric_descriptor();
  for (int i = 0; i < metrics->value_count(); ++i) {
    const auto metric = static_cast<v1::Metric>(metrics->value(i)->number());
    if (metric == v1::METRIC_UNSPECIFIED) continue;
    if (IsByLength(metric) && by_length.count(metric) == 0) continue;
    row.emplace_back(MetricName(metric),
                     MetricCell(metric, FindMetric(JobMetrics(job, checkpoint), metric)));
  }
  row.emplace_back("failure_cause",
                   job.has_failure() ? TextCell(CauseName(job.failure().cause())) : Cell());
  row.emplace_back("failure", TextCell(job.failure().message()));
  row.emplace_back("device", TextCell(provenance.device()));
  row.emplace_back("device_name", TextCell(provenance.device_name()));
  row.emplace_back("modlab_version", TextCell(provenance.modlab_version()));
  row.emplace_back("torch_version", TextCell(provenance.torch_version()));
  row.emplace_back("blas", TextCell(provenance.blas()));
  row.emplace_back("job_key", TextCell(job.job_key()));
  row.emplace_back("shape_key", TextCell(job.shape_key()));
  row.emplace_back("checkpoint_sha256", TextCell(JobWeights(job, checkpoint)));
  return row;
}

}  // namespace

bool IsByLength(v1::Metric metric) { return metric >= v1::ID_L3; }

std::set<v1::Metric> MetricsByLength(const v1::Job& job) {
  std::set<v1::Metric> metrics;
  for (const v1::MetricValue& value : job.result().metrics()) {
    if (IsByLength(value.metric())) metrics.insert(value.metric());
  }
  return metrics;
}

std::vector<std::string> JobColumns(const std::set<v1::Metric>& by_length) {
  std::vector<std::string> columns;
  for (auto& [name, cell] : MakeRow(v1::Job(), by_length, v1::LAST)) columns.push_back(name);
  return columns;
}

std::vector<Cell> JobCells(const v1::Job& job, const std::set<v1::Metric>& by_length,
                           v1::Checkpoint checkpoint) {
  std::vector<Cell> cells;
  for (auto& [name, cell] : MakeRow(job, by_length, checkpoint)) cells.push_back(std::move(cell));
  return cells;
}

}  // namespace modlab
