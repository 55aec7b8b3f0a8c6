#include "client/progress.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "client/text.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {
namespace {

constexpr absl::Duration kWindow = absl::Seconds(30);
// Less tells nothing.
constexpr absl::Duration kMeasureMin = absl::Seconds(5);
constexpr int kBarColumnsMax = 30;
constexpr int kBarColumnsMin = 5;

int64_t JobsTotal(const v1::JobCounts& counts) {
  return counts.queued() + counts.running() + counts.succeeded() + counts.failed() +
         counts.cancelled();
}

int64_t JobsDone(const v1::JobCounts& counts) {
  return counts.succeeded() + counts.failed() + counts.cancelled();
}

}  // namespace

void Progress::Update(const v1::Sweep& sweep, absl::Time now) {
  // Less than before: an attempt was lost, and its work is done again.
  if (!history_.empty() && sweep.iterations_done() < history_.back().second) history_.clear();
  sweep_ = sweep;
  history_.emplace_back(now, sweep.iterations_done());
  while (history_.size() > 2 && history_[1].first < now - kWindow) history_.pop_front();
}

bool Progress::Done() const {
  return sweep_.counts().queued() == 0 && sweep_.counts().running() == 0;
}

bool Progress::CountsDiffer(const v1::JobCounts& other) const {
  return JobsDone(sweep_.counts()) != JobsDone(other) ||
         sweep_.counts().running() != other.running();
}

double Progress::Fraction() const {
  if (Done()) return 1;
  const auto total = static_cast<double>(sweep_.iterations_total());
  return total > 0 ? std::min(static_cast<double>(sweep_.iterations_done()) / total, 1.0) : 0;
}

double Progress::MeasuredRate() const {
  if (history_.size() < 2) return 0;
  const absl::Duration elapsed = history_.back().first - history_.front().first;
  if (elapsed < kMeasureMin) return 0;
  return static_cast<double>(history_.back().second - history_.front().second) /
         absl::ToDoubleSeconds(elapsed);
}

std::string Progress::Facts() const {
  const v1::JobCounts& counts = sweep_.counts();
  std::string text =
      absl::StrFormat("%s/%s jobs", CountText(JobsDone(counts)), CountText(JobsTotal(counts)));
  if (counts.running() > 0) absl::StrAppend(&text, "  ", CountText(counts.running()), " running");
  if (counts.failed() > 0) absl::StrAppend(&text, "  ", CountText(counts.failed()), " failed");
  if (counts.cancelled() > 0) {
    absl::StrAppend(&text, "  ", CountText(counts.cancelled()), " cancelled");
  }
  if (Done()) return text;
  if (sweep_.policy().paused()) absl::StrAppend(&text, "  paused");
  // Whole percent, and 100 only at the end.
  absl::StrAppend(&text, "  ", static_cast<int>(std::floor(Fraction() * 100)), "%");
  const double measured = MeasuredRate();
  const double rate =
      sweep_.iterations_per_second() > 0 ? sweep_.iterations_per_second() : measured;
  if (rate > 0) absl::StrAppend(&text, "  ", CountText(std::llround(rate)), " it/s");
  // What was measured counts evaluations and pauses too, so it tells the end better.
  const double pace = measured > 0 ? measured : rate;
  if (pace > 0) {
    const auto left = static_cast<double>(sweep_.iterations_total() - sweep_.iterations_done());
    absl::StrAppend(&text, "  ETA ", DurationText(left / pace));
  }
  return text;
}

std::string Progress::Line() const { return absl::StrCat(sweep_.id(), "  ", Facts()); }

std::string Progress::Bar(int columns) const {
  const std::string facts = Facts();
  const int room = columns - DisplayWidth(sweep_.id()) - DisplayWidth(facts) - 6;
  if (room < kBarColumnsMin) return Line().substr(0, static_cast<size_t>(std::max(columns, 0)));
  const int width = std::min(room, kBarColumnsMax);
  const int filled = static_cast<int>(std::floor(Fraction() * width));
  std::string bar;
  for (int i = 0; i < width; ++i) bar += i < filled ? "█" : "░";
  return absl::StrCat(sweep_.id(), "  ", bar, "  ", facts);
}

}  // namespace modlab
