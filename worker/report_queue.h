// The numbered reports that the coordinator has not acknowledged yet.

#ifndef MODLAB_WORKER_REPORT_QUEUE_H_
#define MODLAB_WORKER_REPORT_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>

#include "google/protobuf/repeated_ptr_field.h"
#include "modlab/v1/worker.pb.h"

namespace modlab {

// Bounded: whoever adds looks at full() first. Not thread-safe.
class ReportQueue {
 public:
  ReportQueue(int64_t reports_max, int64_t bytes_max)
      : reports_max_(reports_max), bytes_max_(bytes_max) {}

  // The limits are reached. One report more does no harm, but no more than one.
  bool full() const {
    return static_cast<int64_t>(waiting_.size()) >= reports_max_ || bytes_ >= bytes_max_;
  }
  bool empty() const { return waiting_.empty(); }
  // Everything up to this number is acknowledged.
  uint64_t acknowledged() const { return next_ - 1 - waiting_.size(); }
  // The newest number given.
  uint64_t last() const { return next_ - 1; }
  bool has_unsent() const { return sent_ + 1 < next_; }

  // Gives the report the next number, from 1, and returns it.
  uint64_t Add(v1::Report report);

  // Forgets all reports up to `number`; numbers not given yet count for nothing.
  void Acknowledge(uint64_t number);

  // Appends the oldest reports not taken yet to `out`: as many as fit into
  // `bytes_max`, but at least one if there is one.
  void TakeUnsent(int64_t bytes_max, google::protobuf::RepeatedPtrField<v1::Report>* out);

  // The stream was replaced: all that wait are to be taken again.
  void Rewind() { sent_ = acknowledged(); }

 private:
  const int64_t reports_max_;
  const int64_t bytes_max_;
  // Numbers acknowledged() + 1 ... next_ - 1.
  std::deque<v1::Report> waiting_;
  int64_t bytes_ = 0;
  uint64_t next_ = 1;
  uint64_t sent_ = 0;
};

}  // namespace modlab

#endif  // MODLAB_WORKER_REPORT_QUEUE_H_
