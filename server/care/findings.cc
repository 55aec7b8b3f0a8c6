#include "server/care/findings.h"

#include <algorithm>

#include "absl/time/clock.h"

namespace modlab {
namespace {

constexpr int kBatchMax = 100;
// Progress is told so often in an audit.
constexpr int64_t kProgressSteps = 200;

}  // namespace

void Findings::Damage(const char* kind, absl::string_view subject, std::string message) {
  summary_.set_damaged(summary_.damaged() + 1);
  Add(kind, subject, std::move(message), /*incomplete=*/false);
}

void Findings::Incomplete(const char* kind, absl::string_view subject, std::string message) {
  summary_.set_incomplete(summary_.incomplete() + 1);
  Add(kind, subject, std::move(message), /*incomplete=*/true);
}

void Findings::Add(const char* kind, absl::string_view subject, std::string message,
                   bool incomplete) {
  if (++told_[kind] > kToldMax) return;
  v1::Finding* finding = batch_.add_findings();
  finding->set_kind(kind);
  finding->set_subject(std::string(subject));
  finding->set_message(std::move(message));
  finding->set_incomplete(incomplete);
}

absl::Status Findings::Advance() {
  ++done_;
  const int64_t step = std::max<int64_t>(1, total_ / kProgressSteps);
  if (batch_.findings_size() < kBatchMax && done_ - told_at_ < step) return absl::OkStatus();
  return TellBatch();
}

absl::Status Findings::Finish() {
  *batch_.mutable_summary() = summary_;
  return TellBatch();
}

absl::Status Findings::TellBatch() {
  batch_.set_done(done_);
  // Jobs that came to light on the way were not counted before.
  batch_.set_total(std::max(total_, done_));
  told_at_ = done_;
  const absl::Time before = absl::Now();
  const bool heard = tell_(batch_);
  patience_ -= absl::Now() - before;
  batch_.Clear();
  if (!heard) return absl::CancelledError("nobody waits for the audit any more");
  if (patience_ < absl::ZeroDuration()) {
    return absl::CancelledError("the audit's findings are taken too slowly");
  }
  return absl::OkStatus();
}

}  // namespace modlab
