#include "server/query/random_metrics.h"

#include <map>

#include "lib/metrics/specialisation.h"
#include "lib/sync/mutex.h"

namespace modlab {
namespace {

constexpr int kAdaptationDraws = 100;  // of the benchmark, section 4

// Adaptation draws 100 distributions and sorts each: worth remembering. Rule
// counts are at most 256, and so is what is kept.
double RandomAdaptation(int rules) {
  static Mutex mutex;
  static auto* const known = new std::map<int, double>;
  const MutexLock lock(&mutex);
  const auto found = known->find(rules);
  if (found != known->end()) return found->second;
  const double value =
      ExpectedAdaptation(UniformActivation(rules, rules), AdaptationDraws(rules, kAdaptationDraws));
  known->emplace(rules, value);
  return value;
}

}  // namespace

double RandomMetric(v1::Metric metric, int rules) {
  switch (metric) {
    case v1::COLLAPSE_AVG:
      return CollapseAvg(UniformActivation(rules, rules));
    case v1::COLLAPSE_WORST:
      return CollapseWorst(UniformActivation(rules, rules));
    case v1::ALIGNMENT:
      return Alignment(UniformActivation(rules, rules));
    case v1::INVERSE_MI:
      return InverseMutualInformation(UniformActivation(rules, rules));
    default:
      return RandomAdaptation(rules);
  }
}

}  // namespace modlab
