#include "server/care/job_check.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/config/job_config.h"
#include "lib/config/job_metrics.h"
#include "lib/config/words.h"
#include "server/care/expected_metrics.h"

namespace modlab {
namespace {

// Of thousands of floats that are shares of a whole.
constexpr double kSumTolerance = 1e-3;

std::string Subject(const v1::Job& job) { return absl::StrCat("job ", job.id()); }

// Says what is wrong with values that `where` has ("the point at iteration 5"): what is
// missing, there twice, or not finite. True if nothing is.
bool AuditMetrics(const v1::Job& job, const MetricValues& values,
                  const std::vector<v1::Metric>& expected, const std::string& where,
                  Findings* findings) {
  std::vector<std::string> missing, bad;
  for (const v1::Metric metric : expected) {
    const auto count = std::count_if(values.begin(), values.end(), [metric](const auto& value) {
      return value.metric() == metric;
    });
    if (count == 0) missing.push_back(MetricName(metric));
    if (count > 1) bad.push_back(absl::StrCat(MetricName(metric), " ", count, " times"));
  }
  for (const v1::MetricValue& value : values) {
    if (!std::isfinite(value.value())) {
      bad.push_back(absl::StrCat(MetricName(value.metric()), " = ", value.value()));
    }
  }
  if (!missing.empty()) {
    findings->Damage("missing_metric", Subject(job),
                     absl::StrCat(where, " lacks ", absl::StrJoin(missing, ", ")));
  }
  if (!bad.empty()) {
    findings->Damage("bad_metric", Subject(job),
                     absl::StrCat(where, " has ", absl::StrJoin(bad, ", ")));
  }
  return missing.empty() && bad.empty();
}

// Why a matrix cannot be the job's; "" if it can.
std::string WrongWith(const v1::ActivationMatrix& matrix, const v1::JobConfig& config) {
  const int64_t size = int64_t{config.rules()} * config.modules();
  if (matrix.rules() != config.rules() || matrix.modules() != config.modules() ||
      matrix.values_size() != size) {
    return absl::StrCat("is ", matrix.rules(), " by ", matrix.modules(), " with ",
                        matrix.values_size(), " values; the job has ", config.rules(),
                        " rules and ", config.modules(), " modules");
  }
  double sum = 0;
  for (const float value : matrix.values()) {
    if (!(value >= 0 && value <= 1)) return absl::StrCat("has the value ", value);
    sum += value;
  }
  return std::abs(sum - 1) <= kSumTolerance ? "" : absl::StrCat("sums up to ", sum, ", not to 1");
}

template <typename Holder>
bool AuditActivation(const v1::Job& job, const Holder& holder, const std::string& where,
                     Findings* findings) {
  std::string wrong;
  if (holder.has_activation() != HasActivation(job.config())) {
    wrong =
        holder.has_activation() ? "is there, which a monolithic model has none of" : "is not there";
  } else if (holder.has_activation()) {
    wrong = WrongWith(holder.activation(), job.config());
  }
  if (wrong.empty()) return true;
  findings->Damage("bad_activation", Subject(job),
                   absl::StrCat("the activation matrix of ", where, " ", wrong));
  return false;
}

// At most so many iterations are listed.
std::string Listed(const std::vector<int64_t>& iterations) {
  constexpr size_t kListedMax = 5;
  const auto end =
      iterations.begin() + static_cast<std::ptrdiff_t>(std::min(iterations.size(), kListedMax));
  return absl::StrCat(absl::StrJoin(iterations.begin(), end, ", "),
                      iterations.size() > kListedMax
                          ? absl::StrCat(" and ", iterations.size() - kListedMax, " more")
                          : "");
}

bool AuditBest(const v1::Job& job, Findings* findings) {
  const v1::JobConfig& config = job.config();
  const bool wanted = config.validation_batches() > 0;
  if (job.result().has_best() != wanted) {
    findings->Damage("bad_best", Subject(job),
                     wanted ? "its result has no best checkpoint"
                            : "its result has a best checkpoint, and validation_batches is 0");
    return false;
  }
  if (!wanted) return true;
  const v1::BestCheckpoint& best = job.result().best();
  const std::vector<int64_t> iterations = EvaluationIterations(config);
  if (best.iteration() <= 0 ||
      !std::binary_search(iterations.begin(), iterations.end(), best.iteration())) {
    findings->Damage("bad_best", Subject(job),
                     absl::StrCat("its best checkpoint is of iteration ", best.iteration(),
                                  ", where nothing was evaluated"));
    return false;
  }
  if (best.iteration() == config.iterations()) return true;  // it stands in the result
  const bool metrics =
      AuditMetrics(job, best.metrics(), ExpectedOfResult(config), "its best checkpoint", findings);
  return AuditActivation(job, best, "its best checkpoint", findings) && metrics;
}

}  // namespace

bool AuditConfig(const v1::Job& job, bool older, Findings* findings) {
  const absl::StatusOr<v1::JobConfig> canonical = Canonicalise(job.config());
  if (!canonical.ok()) {
    findings->Damage(
        "bad_config", Subject(job),
        absl::StrCat("its config is refused: ", std::string(canonical.status().message())));
    return false;
  }
  if (const std::string key = JobKey(*canonical); key != job.job_key()) {
    findings->Damage("bad_config", Subject(job),
                     absl::StrCat("its job key is ", job.job_key(), ", that of its config ", key));
  }
  if (const std::string key = ShapeKey(*canonical); key != job.shape_key()) {
    findings->Damage(
        "bad_config", Subject(job),
        absl::StrCat("its shape key is ", job.shape_key(), ", that of its config ", key));
  }
  if (!older && !google::protobuf::util::MessageDifferencer::Equals(*canonical, job.config())) {
    findings->Damage("bad_config", Subject(job), "its config is not in canonical form");
  }
  return true;
}

CurveCheck::CurveCheck(const v1::Job& job, Findings* findings) : job_(job), findings_(findings) {
  const absl::StatusOr<v1::JobConfig> canonical = Canonicalise(job.config());
  if (canonical.ok()) expected_ = EvaluationIterations(*canonical);
}

void CurveCheck::Add(const CurveRow& row) {
  const std::vector<v1::CurvePoint>& points = row.points;
  const bool as_it_says = !points.empty() && points.front().iteration() == row.first &&
                          points.back().iteration() == row.last &&
                          static_cast<int64_t>(points.size()) == row.count;
  if (!as_it_says) {
    findings_->Damage(
        "bad_point", Subject(job_),
        absl::StrCat("a part of its curve is stored as ", row.count, " points from iteration ",
                     row.first, " to ", row.last, ", and has others"));
  }
  for (const v1::CurvePoint& point : points) Add(point);
}

void CurveCheck::Add(const v1::CurvePoint& point) {
  const int64_t iteration = point.iteration();
  const std::string where = absl::StrCat("the point at iteration ", iteration);
  if (iteration <= last_) {
    findings_->Damage("bad_point", Subject(job_),
                      absl::StrCat(where, " follows that at iteration ", last_));
    return;
  }
  last_ = iteration;
  AuditMetrics(job_, point.values(), ExpectedOfPoint(job_.config(), iteration == 0), where,
               findings_);
  AuditActivation(job_, point, where, findings_);
  const bool wanted = std::binary_search(expected_.begin(), expected_.end(), iteration);
  (wanted ? found_ : extra_).push_back(iteration);
}

void CurveCheck::Finish() {
  if (!extra_.empty()) {
    findings_->Damage(
        "curve_extra", Subject(job_),
        absl::StrCat("its curve has points where nothing is evaluated: ", Listed(extra_)));
  }
  // Of a job that has not finished, what follows its last point is still to come.
  auto end = expected_.end();
  if (job_.state() != v1::SUCCEEDED) {
    end = found_.empty() ? expected_.begin()
                         : std::upper_bound(expected_.begin(), expected_.end(), found_.back());
  }
  std::vector<int64_t> gaps;
  std::set_difference(expected_.begin(), end, found_.begin(), found_.end(),
                      std::back_inserter(gaps));
  if (gaps.empty()) return;
  findings_->Damage("curve_gap", Subject(job_),
                    absl::StrCat("its curve lacks the points at ", Listed(gaps),
                                 "; submit its config again with --force"));
}

bool AuditResult(const v1::Job& job, Findings* findings) {
  if (job.state() != v1::SUCCEEDED) {
    if (!job.has_result()) return false;
    findings->Damage("unexpected_result", Subject(job),
                     absl::StrCat("it is ", StateName(job.state()), ", and has a result"));
    return false;
  }
  if (!job.has_result()) {
    findings->Damage("missing_result", Subject(job),
                     "it has succeeded, and has no result. Submit its config again with --force");
    return false;
  }
  bool good = AuditMetrics(job, job.result().metrics(), ExpectedOfResult(job.config()),
                           "its result", findings);
  good = AuditActivation(job, job.result(), "its result", findings) && good;
  return AuditBest(job, findings) && good;
}

References ExpectedReferences(const v1::Job& job) {
  References references;
  const auto add = [&references](ArtifactRole role, const std::string& sha256) {
    if (!sha256.empty()) references.emplace_back(role, sha256);
  };
  if (job.state() == v1::SUCCEEDED) {
    add(ArtifactRole::kLast, job.result().checkpoint_sha256());
    add(ArtifactRole::kBest, job.result().best().checkpoint_sha256());
  } else {
    add(ArtifactRole::kCheckpoint, job.checkpoint().sha256());
  }
  return references;
}

}  // namespace modlab
