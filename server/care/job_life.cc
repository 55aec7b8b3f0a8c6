#include "server/care/job_life.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/config/words.h"

namespace modlab {
namespace {

// The state that an event leads to.
v1::JobState StateAfter(v1::JobEventKind kind) {
  switch (kind) {
    case v1::SUBMITTED:
    case v1::RELEASED:
    case v1::ATTEMPT_FAILED:
    case v1::RETRIED:
      return v1::QUEUED;
    case v1::LEASED:
      return v1::RUNNING;
    case v1::FINISHED:
      return v1::SUCCEEDED;
    case v1::JOB_FAILED:
      return v1::FAILED;
    case v1::STOPPED:
      return v1::CANCELLED;
    default:
      return v1::JOB_STATE_UNSPECIFIED;
  }
}

// Whether it may happen to a job in `state`; unspecified: none knows which.
bool MayHappen(v1::JobEventKind kind, v1::JobState state) {
  if (state == v1::JOB_STATE_UNSPECIFIED) return true;
  switch (kind) {
    case v1::LEASED:
      return state == v1::QUEUED;
    case v1::RELEASED:
    case v1::ATTEMPT_FAILED:
    case v1::JOB_FAILED:
    case v1::FINISHED:
      return state == v1::RUNNING;
    case v1::STOPPED:
      return state == v1::QUEUED || state == v1::RUNNING;
    case v1::RETRIED:
      return state == v1::FAILED || state == v1::CANCELLED;
    default:
      return false;  // SUBMITTED comes first, or not at all
  }
}

std::string KindName(v1::JobEventKind kind) {
  const std::string& name = v1::JobEventKind_Name(kind);
  return name.empty() ? absl::StrCat("event of kind ", static_cast<int>(kind))
                      : absl::AsciiStrToLower(name);
}

}  // namespace

void AuditLife(const v1::Job& job, const std::vector<v1::JobEvent>& events, bool from_the_start,
               Findings* findings) {
  const auto complain = [&](const auto&... parts) {
    findings->Damage("bad_events", absl::StrCat("job ", job.id()), absl::StrCat(parts...));
  };
  if (events.empty()) {
    if (from_the_start) complain("no event tells how it came to be ", StateName(job.state()));
    return;
  }
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  int32_t attempt = 0;  // the newest leased
  for (size_t i = 0; i < events.size(); ++i) {
    const v1::JobEvent& event = events[i];
    const std::string what = absl::StrCat("event ", i + 1, " of ", events.size(), ", ",
                                          KindName(event.kind()), " of attempt ", event.attempt());
    const bool begins = i == 0 && event.kind() == v1::SUBMITTED;
    if (i == 0 && from_the_start && !begins) {
      return complain(what, ": the first must be submitted");
    }
    if (!begins && !MayHappen(event.kind(), state)) {
      return complain(what, " cannot happen to a job that is ",
                      state == v1::JOB_STATE_UNSPECIFIED ? "known" : StateName(state));
    }
    if (event.kind() == v1::LEASED) {
      if (event.attempt() <= attempt) {
        return complain(what, ": attempt ", attempt, " was leased before it");
      }
      attempt = event.attempt();
    } else if (event.attempt() != 0 && attempt != 0 && event.attempt() != attempt) {
      return complain(what, ": the attempt that ran was ", attempt);
    }
    state = StateAfter(event.kind());
    if (state == v1::JOB_STATE_UNSPECIFIED) return complain(what, " is of no known kind");
  }
  if (state != job.state()) {
    complain("by its events it is ", StateName(state), ", by its row ", StateName(job.state()));
  } else if (attempt > job.attempt()) {
    complain("attempt ", attempt, " was leased, and its row knows of ", job.attempt());
  } else if (job.state() == v1::RUNNING && attempt != job.attempt()) {
    complain("attempt ", job.attempt(), " runs, and the newest leased is ", attempt);
  }
}

}  // namespace modlab
