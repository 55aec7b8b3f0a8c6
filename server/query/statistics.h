// Statistics of one sample, and of the differences of pairs.
//
// All functions are pure and thread-safe, and do not depend on the values' order.
// Values that are NaN make NaN of whatever depends on them.

#ifndef MODLAB_SERVER_QUERY_STATISTICS_H_
#define MODLAB_SERVER_QUERY_STATISTICS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "modlab/v1/results.pb.h"

namespace modlab {

// As results.proto says. All zero and absent for no values.
v1::Summary Summarise(std::vector<double> values);

// The mean that Summarise() gives; at least one value.
double Mean(std::vector<double> values);

// What differences are taken for rounding, relative to what they are differences of.
inline constexpr double kRounding = 1e-12;
// Whether they differ by no more than that.
bool AreEqual(double a, double b);

struct TTest {
  double t = 0;
  double p = 1;
};
// Student's two-sided test of a mean of 0. Nothing for fewer than two values, and
// for values whose spread is rounding: of numbers as large as `magnitude`.
std::optional<TTest> StudentsTest(const v1::Summary& summary, double magnitude);

// The exact two-sided sign test: how likely fair coins are to fall at least as
// unevenly. Nothing where both counts are 0.
std::optional<double> SignTest(int64_t lower, int64_t higher);

}  // namespace modlab

#endif  // MODLAB_SERVER_QUERY_STATISTICS_H_
