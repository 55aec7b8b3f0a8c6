// What an audit has found so far, and how it is told: in batches, with how far it is.
//
// Not thread-safe.

#ifndef MODLAB_SERVER_CARE_FINDINGS_H_
#define MODLAB_SERVER_CARE_FINDINGS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "modlab/v1/coordinator.pb.h"

namespace modlab {

class Findings {
 public:
  // Of a kind; more are counted and not told.
  static constexpr int kToldMax = 1000;

  // False: nobody listens any more.
  using Tell = std::function<bool(const v1::AuditResponse&)>;

  // Who takes longer than `patience` in all to listen counts as gone.
  Findings(Tell tell, absl::Duration patience) : tell_(std::move(tell)), patience_(patience) {}

  // `kind` in a word, `subject` as "job 17", `message` for people.
  void Damage(const char* kind, absl::string_view subject, std::string message);
  // The job is just not finished, failed or cancelled.
  void Incomplete(const char* kind, absl::string_view subject, std::string message);

  // Jobs and artifacts to look at, in all.
  void SetTotal(int64_t total) { total_ = total; }
  // One more was looked at. Tells now and then. CANCELLED: nobody listens, or not
  // fast enough.
  absl::Status Advance();
  // Tells what is left, and the summary.
  absl::Status Finish();

  // All but the two counts of findings are the audit's to fill in.
  v1::AuditSummary* summary() { return &summary_; }

 private:
  void Add(const char* kind, absl::string_view subject, std::string message, bool incomplete);
  absl::Status TellBatch();

  const Tell tell_;
  absl::Duration patience_;          // what is left of it
  std::map<std::string, int> told_;  // by kind
  v1::AuditResponse batch_;
  v1::AuditSummary summary_;
  int64_t total_ = 0;
  int64_t done_ = 0;
  int64_t told_at_ = 0;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_CARE_FINDINGS_H_
