// The assignment problem.

#ifndef MODLAB_LIB_METRICS_ASSIGNMENT_H_
#define MODLAB_LIB_METRICS_ASSIGNMENT_H_

#include <vector>

namespace modlab {

// The permutation that maximises sum_i value[i * size + result[i]], by the
// Hungarian method in O(size^3). Pure, thread-safe. All values must be finite.
std::vector<int> MaximumAssignment(const std::vector<double>& value, int size);

}  // namespace modlab

#endif  // MODLAB_LIB_METRICS_ASSIGNMENT_H_
