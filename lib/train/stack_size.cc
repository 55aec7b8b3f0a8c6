#include "lib/train/stack_size.h"

#include <algorithm>

namespace modlab {

void StackSizeSearch::Add(double seconds) {
  if (done()) return;
  ++steps_;
  if (steps_ == 1) return;
  // Whatever else runs on the machine makes a step slower, never faster.
  fastest_ = steps_ == 2 ? seconds : std::min(fastest_, seconds);
  seconds_ += seconds;
  if (steps_ < kStepsMin || seconds_ < kSecondsMin) return;
  const bool hopeless = fastest_ > kHopeless * best_seconds_;
  if (fastest_ < kBetter * best_seconds_) {
    best_ = size_;
    best_seconds_ = fastest_;
  }
  finished_ = hopeless || size_ == 1;
  size_ = finished_ ? best_ : (size_ + 1) / 2;
  steps_ = 0;
  seconds_ = 0;
}

}  // namespace modlab
