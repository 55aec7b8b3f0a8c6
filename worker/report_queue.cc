#include "worker/report_queue.h"

#include <algorithm>
#include <utility>

namespace modlab {
namespace {

// With the tag and the length that a view adds.
int64_t BytesInView(const v1::Report& report) {
  return static_cast<int64_t>(report.ByteSizeLong()) + 6;
}

}  // namespace

uint64_t ReportQueue::Add(v1::Report report) {
  report.set_number(next_);
  bytes_ += BytesInView(report);
  waiting_.push_back(std::move(report));
  return next_++;
}

void ReportQueue::Acknowledge(uint64_t number) {
  while (!waiting_.empty() && waiting_.front().number() <= number) {
    bytes_ -= BytesInView(waiting_.front());
    waiting_.pop_front();
  }
  sent_ = std::max(sent_, acknowledged());
}

void ReportQueue::TakeUnsent(int64_t bytes_max,
                             google::protobuf::RepeatedPtrField<v1::Report>* out) {
  int64_t bytes = 0;
  while (has_unsent()) {
    const v1::Report& report = waiting_[static_cast<size_t>(sent_ - acknowledged())];
    bytes += BytesInView(report);
    if (bytes > bytes_max && !out->empty()) return;
    *out->Add() = report;
    ++sent_;
  }
}

}  // namespace modlab
