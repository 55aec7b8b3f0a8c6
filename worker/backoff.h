// How long to wait before trying again.

#ifndef MODLAB_WORKER_BACKOFF_H_
#define MODLAB_WORKER_BACKOFF_H_

#include <algorithm>
#include <chrono>
#include <random>

namespace modlab {

// Doubles from the first wait up to the longest. Each is shortened by up to a
// half, at random, so that many workers do not come back in step. Not thread-safe.
class Backoff {
 public:
  using Milliseconds = std::chrono::milliseconds;

  explicit Backoff(Milliseconds first = Milliseconds(100),
                   Milliseconds longest = Milliseconds(2000))
      : first_(first), longest_(longest), next_(first) {}

  Milliseconds Next() {
    const Milliseconds wait = next_;
    next_ = std::min(next_ * 2, longest_);
    std::uniform_int_distribution<Milliseconds::rep> jitter(0, wait.count() / 2);
    return wait - Milliseconds(jitter(random_));
  }

  void Reset() { next_ = first_; }

 private:
  const Milliseconds first_;
  const Milliseconds longest_;
  Milliseconds next_;
  std::mt19937 random_{std::random_device{}()};
};

}  // namespace modlab

#endif  // MODLAB_WORKER_BACKOFF_H_
