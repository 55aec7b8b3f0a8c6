// How far a sweep is, as one line of text, from what the coordinator last said.
//
// The clock is an argument. Not thread-safe.

#ifndef MODLAB_CLIENT_PROGRESS_H_
#define MODLAB_CLIENT_PROGRESS_H_

#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {

class Progress {
 public:
  // A newer view of one sweep.
  void Update(const v1::Sweep& sweep, absl::Time now);

  // "quickstart-1  12/96 jobs  2 running  1 failed  41%  12,340 it/s  ETA 1m 20s".
  std::string Line() const;
  // The same with a bar, and shortened at its end to `columns`.
  std::string Bar(int columns) const;

  // Nothing is queued or running.
  bool Done() const;
  // Something changed that is worth a line in a log: jobs began or ended.
  bool CountsDiffer(const v1::JobCounts& other) const;
  const v1::Sweep& sweep() const { return sweep_; }

 private:
  double Fraction() const;
  // Iterations a second over the last half minute; 0 while unknown.
  double MeasuredRate() const;
  std::string Facts() const;

  v1::Sweep sweep_;
  // (time, iterations done), oldest first, of the last half minute.
  std::deque<std::pair<absl::Time, int64_t>> history_;
};

}  // namespace modlab

#endif  // MODLAB_CLIENT_PROGRESS_H_
