// How many jobs of a gang step together: found by measuring, since it depends on the
// device and on the shape. Small models share what a call costs; large ones would only
// push each other out of the cache.

#ifndef MODLAB_LIB_TRAIN_STACK_SIZE_H_
#define MODLAB_LIB_TRAIN_STACK_SIZE_H_

#include <cstdint>
#include <limits>

namespace modlab {

// Tries all jobs together, then halves of that, as long as it does not become much
// slower. Results do not depend on how jobs are stacked, so real steps are what is
// measured and nothing is done twice. Not thread-safe.
class StackSizeSearch {
 public:
  // Sizes 1..jobs_max are allowed; at least 1.
  explicit StackSizeSearch(int64_t jobs_max)
      : size_(jobs_max), best_(jobs_max), finished_(jobs_max == 1) {}

  // What the next step should use: the best once done().
  int64_t size() const { return size_; }
  bool done() const { return finished_; }

  // What a step of the whole gang took in stacks of size().
  void Add(double seconds);

 private:
  static constexpr int kStepsMin = 4;         // of a size; the first makes buffers
  static constexpr double kSecondsMin = 0.1;  // of a size
  static constexpr double kBetter = 0.98;     // of the best so far, to take its place
  static constexpr double kHopeless = 1.3;    // likewise, to try no smaller ones

  int64_t size_;
  int64_t best_;
  double best_seconds_ = std::numeric_limits<double>::infinity();
  bool finished_;
  int steps_ = 0;
  double seconds_ = 0;
  double fastest_ = 0;
};

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_STACK_SIZE_H_
