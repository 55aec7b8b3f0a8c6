#include "server/query/statistics.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace modlab {
namespace {

// A total order even with NaN, which goes last.
bool Before(double a, double b) { return std::isnan(b) ? !std::isnan(a) : a < b; }

// Most samples have no NaN, and are sorted in half the time.
void Sort(std::vector<double>* values) {
  const bool any =
      std::any_of(values->begin(), values->end(), [](double v) { return std::isnan(v); });
  if (any) {
    std::sort(values->begin(), values->end(), Before);
  } else {
    std::sort(values->begin(), values->end());
  }
}

// Sums of distances to the first value: equal values give exactly their mean,
// and no spread.
double MeanOfSorted(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value - values.front();
  return values.front() + sum / static_cast<double>(values.size());
}

double StandardDeviation(const std::vector<double>& values, double mean) {
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

}  // namespace

v1::Summary Summarise(std::vector<double> values) {
  v1::Summary summary;
  if (values.empty()) return summary;
  Sort(&values);
  const size_t n = values.size();
  const double mean = MeanOfSorted(values);
  summary.set_n(static_cast<int64_t>(n));
  summary.set_mean(mean);
  summary.set_min(values.front());
  summary.set_median(n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2);
  summary.set_max(values.back());
  if (n == 1) return summary;
  const double sd = StandardDeviation(values, mean);
  const double sem = sd / std::sqrt(static_cast<double>(n));
  const boost::math::students_t student(static_cast<double>(n - 1));
  const double half = boost::math::quantile(student, 0.975) * sem;
  summary.set_sd(sd);
  summary.set_sem(sem);
  summary.set_ci95_low(mean - half);
  summary.set_ci95_high(mean + half);
  return summary;
}

double Mean(std::vector<double> values) {
  Sort(&values);
  return MeanOfSorted(values);
}

bool AreEqual(double a, double b) {
  return std::abs(a - b) <= kRounding * std::max(std::abs(a), std::abs(b));
}

std::optional<TTest> StudentsTest(const v1::Summary& summary, double magnitude) {
  // Written so that NaN has none.
  if (summary.n() < 2 || !(summary.sd() > kRounding * magnitude)) return std::nullopt;
  const double t = summary.mean() / summary.sem();
  const boost::math::students_t student(static_cast<double>(summary.n() - 1));
  return TTest{t, 2 * boost::math::cdf(boost::math::complement(student, std::abs(t)))};
}

std::optional<double> SignTest(int64_t lower, int64_t higher) {
  if (lower + higher == 0) return std::nullopt;
  const boost::math::binomial coins(static_cast<double>(lower + higher), 0.5);
  // Both tails; with equal counts they share their middle.
  return std::min(1.0, 2 * boost::math::cdf(coins, static_cast<double>(std::min(lower, higher))));
}

}  // namespace modlab
