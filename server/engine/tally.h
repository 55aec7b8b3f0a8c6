// How much was done: sums, and rates over the last seconds.

#ifndef MODLAB_SERVER_ENGINE_TALLY_H_
#define MODLAB_SERVER_ENGINE_TALLY_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace modlab {

struct Tally {
  int64_t jobs_finished = 0;
  int64_t points = 0;           // written
  int64_t attempts_failed = 0;  // those of workers that were lost, too

  Tally& operator+=(const Tally& other) {
    jobs_finished += other.jobs_finished;
    points += other.points;
    attempts_failed += other.attempts_failed;
    return *this;
  }
};

// Tallies of the last kSeconds full seconds. Not thread-safe.
class RecentTally {
 public:
  static constexpr int64_t kSeconds = 10;

  // `now_us` never runs backwards.
  void Add(const Tally& tally, int64_t now_us) { Slot(now_us) += tally; }

  // Of the kSeconds before the second of `now_us`.
  Tally Sum(int64_t now_us) {
    Slot(now_us);
    Tally sum;
    for (int64_t second = std::max<int64_t>(0, newest_ - kSeconds); second < newest_; ++second) {
      sum += slots_[Index(second)];
    }
    return sum;
  }

 private:
  static size_t Index(int64_t second) { return static_cast<size_t>(second % (kSeconds + 1)); }

  // Empties those that lie too far back.
  Tally& Slot(int64_t now_us) {
    const int64_t second = now_us / 1'000'000;
    newest_ = std::max(newest_, second - kSeconds - 1);
    while (newest_ < second) slots_[Index(++newest_)] = {};
    return slots_[Index(newest_)];
  }

  std::array<Tally, kSeconds + 1> slots_{};
  int64_t newest_ = 0;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_TALLY_H_
