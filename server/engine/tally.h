// How much was done, and how long commits took: sums, and rates over the last seconds.

#ifndef MODLAB_SERVER_ENGINE_TALLY_H_
#define MODLAB_SERVER_ENGINE_TALLY_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>

#include "modlab/v1/job.pb.h"

namespace modlab {

// How many commits took how long.
struct CommitTimes {
  static constexpr std::array<double, 12> kBoundsSeconds = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
                                                            0.1,   0.2,   0.5,   1.0,  2.0,  5.0};
  // Those up to a bound and above the one before; last, those above all.
  std::array<int64_t, kBoundsSeconds.size() + 1> counts{};
  double seconds = 0.0;  // all together

  void Add(double commit_seconds) {
    const auto* bound =
        std::lower_bound(kBoundsSeconds.begin(), kBoundsSeconds.end(), commit_seconds);
    ++counts[static_cast<size_t>(bound - kBoundsSeconds.begin())];
    seconds += commit_seconds;
  }
  CommitTimes& operator+=(const CommitTimes& other) {
    for (size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
    seconds += other.seconds;
    return *this;
  }
};

struct Tally {
  int64_t jobs_finished = 0;
  int64_t points = 0;  // written
  // By FailureCause; those of workers that were lost, too.
  std::array<int64_t, v1::FailureCause_ARRAYSIZE> failed_by_cause{};
  CommitTimes commits;

  int64_t attempts_failed() const {
    return std::accumulate(failed_by_cause.begin(), failed_by_cause.end(), int64_t{0});
  }
  Tally& operator+=(const Tally& other) {
    jobs_finished += other.jobs_finished;
    points += other.points;
    for (size_t i = 0; i < failed_by_cause.size(); ++i) {
      failed_by_cause[i] += other.failed_by_cause[i];
    }
    commits += other.commits;
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
