#include "server/store/figure_rows.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/store/curve_rows.h"
#include "server/store/job_scan.h"

namespace modlab {
namespace {

using google::protobuf::internal::WireFormatLite;

// A serialised message, field by field.
class Fields {
 public:
  explicit Fields(absl::string_view message)
      : in_(reinterpret_cast<const uint8_t*>(message.data()), static_cast<int>(message.size())) {}

  // The number of the next field; 0 at the end, or where it is no message.
  int Next() {
    tag_ = in_.ReadTag();
    return static_cast<int>(tag_ >> 3);
  }
  bool ok() { return ok_ && in_.ConsumedEntireMessage(); }

  // The field that Next() has found; one of these.
  uint64_t Varint() {
    uint64_t value = 0;
    Check(WireFormatLite::WIRETYPE_VARINT, [&] { return in_.ReadVarint64(&value); });
    return value;
  }
  double Double() {
    uint64_t bits = 0;
    Check(WireFormatLite::WIRETYPE_FIXED64, [&] { return in_.ReadLittleEndian64(&bits); });
    double value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }
  absl::string_view Message() {
    absl::string_view message;
    Check(WireFormatLite::WIRETYPE_LENGTH_DELIMITED, [&] {
      uint32_t size = 0;
      const void* rest = nullptr;
      int rest_size = 0;
      if (!in_.ReadVarint32(&size)) return false;
      if (size == 0) return true;
      if (!in_.GetDirectBufferPointer(&rest, &rest_size)) return false;
      message = absl::string_view(static_cast<const char*>(rest), size);
      return in_.Skip(static_cast<int>(size));
    });
    return message;
  }
  void Skip() { ok_ = WireFormatLite::SkipField(&in_, tag_) && ok_; }

 private:
  template <typename Read>
  void Check(WireFormatLite::WireType type, const Read& read) {
    if (WireFormatLite::GetTagWireType(tag_) != type) return Skip();
    ok_ = read() && ok_;
  }

  google::protobuf::io::CodedInputStream in_;
  uint32_t tag_ = 0;
  bool ok_ = true;
};

using Figures = std::vector<Figure>;

// A MetricValue's. False: it is none.
bool AddFigure(absl::string_view message, Figures* figures) {
  Figure figure;
  // As nearly all are: a number of one byte, and a value.
  if (message.size() == 11 && message[0] == 0x08 && message[1] > 0 && message[2] == 0x11) {
    figure.metric = static_cast<v1::Metric>(message[1]);
    std::memcpy(&figure.value, message.data() + 3, sizeof(figure.value));
    figures->push_back(figure);
    return true;
  }
  Fields fields(message);
  while (const int field = fields.Next()) {
    switch (field) {
      case v1::MetricValue::kMetricFieldNumber:
        figure.metric = static_cast<v1::Metric>(fields.Varint());
        break;
      case v1::MetricValue::kValueFieldNumber:
        figure.value = fields.Double();
        break;
      default:
        fields.Skip();
    }
  }
  figures->push_back(figure);
  return fields.ok();
}

// False: it is no BestCheckpoint.
bool ReadBest(absl::string_view message, int64_t* iteration, Figures* figures) {
  Fields fields(message);
  bool good = true;
  while (const int field = fields.Next()) {
    switch (field) {
      case v1::BestCheckpoint::kIterationFieldNumber:
        *iteration = static_cast<int64_t>(fields.Varint());
        break;
      case v1::BestCheckpoint::kMetricsFieldNumber:
        good = AddFigure(fields.Message(), figures) && good;
        break;
      default:
        fields.Skip();
    }
  }
  return fields.ok() && good;
}

// Of a JobResult, as JobMetrics() chooses. False: it is none.
bool ReadFigures(absl::string_view result, v1::Checkpoint checkpoint, JobFigures* job) {
  const bool of_best = checkpoint == v1::BEST;
  Figures* const figures = &job->figures;
  absl::string_view best;
  bool has_best = false;
  bool good = true;
  Fields fields(result);
  while (const int field = fields.Next()) {
    if (field == v1::JobResult::kMetricsFieldNumber) {
      good = AddFigure(fields.Message(), figures) && good;
    } else if (field == v1::JobResult::kBestFieldNumber && of_best) {
      best = fields.Message();
      has_best = true;
    } else {
      fields.Skip();
    }
  }
  job->has_figures = !of_best || has_best;
  if (!fields.ok() || !good || !has_best) return fields.ok() && good;
  int64_t iteration = 0;
  Figures of_best_weights;
  good = ReadBest(best, &iteration, &of_best_weights);
  const double iterations = job->config[v1::JobConfig::kIterationsFieldNumber];
  if (static_cast<double>(iteration) != iterations) *figures = std::move(of_best_weights);
  return good;
}

// `visit` returns whether to go on.
absl::Status Scan(Connection* connection, absl::string_view columns, std::optional<int64_t> sweep,
                  const JobFilter& filter, JobFigures* job,
                  const std::function<absl::StatusOr<bool>(const Statement&)>& visit) {
  absl::StatusOr<Statement> found = ScanJobs(connection, columns, sweep, filter, /*after_id=*/0);
  if (!found.ok()) return found.status();
  Statement& row = *found;
  for (;;) {
    const absl::StatusOr<bool> more = row.Step();
    if (!more.ok()) return more.status();
    if (!*more) return absl::OkStatus();
    job->id = row.Int(0);
    if (!filter.MatchesId(job->id)) continue;
    job->state = static_cast<v1::JobState>(row.Int(1));
    job->config_bytes = row.Blob(2);
    const std::optional<ConfigNumbers> config = ConfigNumbers::Read(job->config_bytes);
    if (!config.has_value()) {
      return absl::InternalError(absl::StrCat(connection->path(), " is damaged: the config of job ",
                                              job->id, " in it cannot be read"));
    }
    job->config = *config;
    if (!filter.MatchesConfig(job->config)) continue;
    const absl::StatusOr<bool> go_on = visit(row);
    if (!go_on.ok()) return go_on.status();
    if (!*go_on) return absl::OkStatus();
  }
}

}  // namespace

absl::Status ScanFigureRows(Connection* connection, std::optional<int64_t> sweep,
                            const JobFilter& filter, v1::Checkpoint checkpoint,
                            const std::function<bool(const JobFigures&)>& visit) {
  JobFigures job;
  return Scan(connection, "jobs.id, state, config, result", sweep, filter, &job,
              [&](const Statement& row) -> absl::StatusOr<bool> {
                job.figures.clear();
                job.has_figures = false;
                if (!row.IsNull(3) && !ReadFigures(row.Blob(3), checkpoint, &job)) {
                  return absl::InternalError(absl::StrCat(connection->path(),
                                                          " is damaged: the result of job ", job.id,
                                                          " in it cannot be read"));
                }
                return visit(job);
              });
}

absl::Status ScanMetricRows(
    Connection* connection, std::optional<int64_t> sweep, const JobFilter& filter,
    v1::Metric metric, const std::function<bool(const JobFigures&, const MetricCurve&)>& visit) {
  JobFigures job;
  MetricCurve curve;
  return Scan(connection, "jobs.id, state, config", sweep, filter, &job,
              [&](const Statement&) -> absl::StatusOr<bool> {
                absl::Status status = ReadMetric(connection, job.id, metric, &curve);
                if (!status.ok()) return status;
                return visit(job, curve);
              });
}

}  // namespace modlab
