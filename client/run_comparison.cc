#include "client/run_comparison.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/config/job_metrics.h"
#include "lib/config/words.h"

namespace modlab {
namespace {

// Below it, differences are not blown up any further.
constexpr double kScaleMin = 0.01;

class Comparer {
 public:
  explicit Comparer(bool one_kind) { comparison_.one_kind = one_kind; }

  void Missing(const std::string& what) {
    if (comparison_.missing.empty()) comparison_.missing = what;
  }
  void Differs(const std::string& what) {
    if (comparison_.first_difference.empty()) comparison_.first_difference = what;
  }

  void Number(const std::string& what, double a, double b) {
    if (std::memcmp(&a, &b, sizeof(a)) == 0) return;
    Differs(what);
    const double scale = std::max({std::abs(a), std::abs(b), kScaleMin});
    const double difference = std::abs(a - b) / scale;
    // What is no number is as far off as can be.
    const double relative = std::isfinite(difference) ? difference : HUGE_VAL;
    if (relative <= comparison_.largest) return;
    comparison_.largest = relative;
    comparison_.largest_at = what;
  }

  void Metrics(const std::string& where, const MetricValues& a, const MetricValues& b) {
    const auto by_metric = [](const MetricValues& values) {
      std::map<v1::Metric, double> map;
      for (const v1::MetricValue& value : values) {
        if (value.metric() != v1::ITERATIONS_PER_SECOND) map[value.metric()] = value.value();
      }
      return map;
    };
    const std::map<v1::Metric, double> left = by_metric(a), right = by_metric(b);
    for (const auto& [metric, value] : left) {
      const std::string what = absl::StrCat(MetricName(metric), " of ", where);
      const auto found = right.find(metric);
      if (found == right.end()) {
        Missing(what);
      } else {
        Number(what, value, found->second);
      }
    }
    for (const auto& entry : right) {
      if (left.count(entry.first) == 0) {
        Missing(absl::StrCat(MetricName(entry.first), " of ", where));
      }
    }
  }

  // Of points, results and best checkpoints alike.
  template <typename Holder>
  void Activation(const std::string& where, const Holder& a, const Holder& b) {
    const v1::ActivationMatrix& left = a.activation();
    const v1::ActivationMatrix& right = b.activation();
    const std::string what = "the activation matrix of " + where;
    if (a.has_activation() != b.has_activation() || left.rules() != right.rules() ||
        left.modules() != right.modules() || left.values_size() != right.values_size()) {
      return Missing(what);
    }
    for (int i = 0; i < left.values_size(); ++i) {
      Number(what, static_cast<double>(left.values(i)), static_cast<double>(right.values(i)));
    }
  }

  void Weights(const std::string& what, const std::string& a, const std::string& b) {
    if (!a.empty() && !b.empty() && a != b) Differs(what);
  }

  void Best(const v1::JobResult& a, const v1::JobResult& b) {
    if (a.has_best() != b.has_best()) return Missing("the best checkpoint");
    if (!a.has_best()) return;
    if (a.best().iteration() != b.best().iteration()) {
      return Differs("the iteration of the best checkpoint");
    }
    Metrics("the best checkpoint", a.best().metrics(), b.best().metrics());
    Activation("the best checkpoint", a.best(), b.best());
    Weights("the weights of the best checkpoint", a.best().checkpoint_sha256(),
            b.best().checkpoint_sha256());
  }

  RunComparison Take() { return std::move(comparison_); }

 private:
  RunComparison comparison_;
};

// A mere number ("cuda:0") says nothing of the kind.
bool KindIsKnown(const v1::Provenance& provenance) {
  return !absl::StartsWith(provenance.device_name(), "cuda:");
}

bool OneKind(const v1::Provenance& a, const v1::Provenance& b) {
  return KindIsKnown(a) && KindIsKnown(b) && a.device() == b.device() &&
         a.device_name() == b.device_name() && a.torch_version() == b.torch_version() &&
         a.blas() == b.blas();
}

}  // namespace

RunComparison CompareRuns(const FinishedRun& before, const FinishedRun& after) {
  const v1::JobResult& a = before.job.result();
  const v1::JobResult& b = after.job.result();
  Comparer comparer(OneKind(a.provenance(), b.provenance()));
  const size_t points = std::min(before.curve.size(), after.curve.size());
  if (before.curve.size() != after.curve.size()) {
    comparer.Missing(
        absl::StrCat("points: there are ", before.curve.size(), " and ", after.curve.size()));
  }
  for (size_t i = 0; i < points; ++i) {
    const v1::CurvePoint& left = before.curve[i];
    const v1::CurvePoint& right = after.curve[i];
    const std::string where = absl::StrCat("the point at iteration ", left.iteration());
    if (left.iteration() != right.iteration()) {
      comparer.Missing(where);
      break;
    }
    comparer.Metrics(where, left.values(), right.values());
    comparer.Activation(where, left, right);
  }
  comparer.Metrics("the result", a.metrics(), b.metrics());
  comparer.Activation("the result", a, b);
  comparer.Weights("the weights", a.checkpoint_sha256(), b.checkpoint_sha256());
  comparer.Best(a, b);
  return comparer.Take();
}

}  // namespace modlab
