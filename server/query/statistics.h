// Statistics of one sample.

#ifndef MODLAB_SERVER_QUERY_STATISTICS_H_
#define MODLAB_SERVER_QUERY_STATISTICS_H_

#include <vector>

#include "modlab/v1/results.pb.h"

namespace modlab {

// As results.proto says. All zero and absent for no values. Values that are
// NaN make NaN of whatever depends on them. Pure, thread-safe.
v1::Summary Summarise(std::vector<double> values);

}  // namespace modlab

#endif  // MODLAB_SERVER_QUERY_STATISTICS_H_
