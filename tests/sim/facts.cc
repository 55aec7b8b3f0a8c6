#include "tests/sim/facts.h"

#include <algorithm>
#include <cstddef>
#include <map>

#include "absl/strings/str_cat.h"

namespace modlab {
namespace sim {

namespace {

std::string Name(const v1::Job& job) { return absl::StrCat("job ", job.id()); }

bool Same(const google::protobuf::MessageLite& a, const google::protobuf::MessageLite& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

bool IsPoint(const v1::CurvePoint& point, const v1::CurvePoint& expected) {
  return Same(Unmarked(point), expected);
}

// Follows the events from the beginning; "" and the state that they lead to.
std::string FollowEvents(const JobFacts& facts, v1::JobState* state, int32_t* attempt,
                         int64_t* resumed_from) {
  *state = v1::JOB_STATE_UNSPECIFIED;
  *attempt = 0;
  *resumed_from = 0;
  for (const v1::JobEvent& event : facts.events) {
    const v1::JobState was = *state;
    bool legal = false;
    switch (event.kind()) {
      case v1::SUBMITTED:
        legal = was == v1::JOB_STATE_UNSPECIFIED;
        *state = v1::QUEUED;
        break;
      case v1::LEASED:
        legal = was == v1::QUEUED && event.attempt() == *attempt + 1;
        *state = v1::RUNNING;
        *attempt = event.attempt();
        *resumed_from = event.iteration();
        break;
      case v1::RELEASED:
      case v1::ATTEMPT_FAILED:
        legal = was == v1::RUNNING && event.attempt() == *attempt;
        *state = v1::QUEUED;
        break;
      case v1::JOB_FAILED:
        legal = was == v1::RUNNING && event.attempt() == *attempt;
        *state = v1::FAILED;
        break;
      case v1::FINISHED:
        legal = was == v1::RUNNING && event.attempt() == *attempt;
        *state = v1::SUCCEEDED;
        break;
      case v1::STOPPED:
        legal = was == v1::QUEUED || was == v1::RUNNING;
        *state = v1::CANCELLED;
        break;
      case v1::RETRIED:
        legal = was == v1::FAILED || was == v1::CANCELLED;
        *state = v1::QUEUED;
        break;
      default:
        break;
    }
    if (!legal) {
      return absl::StrCat(Name(facts.job), ": the event ", event.ShortDebugString(),
                          " is not legal for a job that is ", v1::JobState_Name(was),
                          " at attempt ", *attempt);
    }
  }
  return "";
}

std::string CheckResult(const v1::Job& job, const v1::JobResult& expected) {
  v1::JobResult result = job.result();
  if (result.wall_seconds() != job.attempt()) {
    return absl::StrCat(Name(job), ": its result is of attempt ", result.wall_seconds(),
                        ", and it is at attempt ", job.attempt());
  }
  result.clear_provenance();
  result.clear_wall_seconds();
  if (Same(result, expected)) return "";
  return absl::StrCat(Name(job), ": its result is ", result.ShortDebugString(),
                      ", of an undisturbed run it would be ", expected.ShortDebugString());
}

}  // namespace

int32_t AttemptOf(const v1::CurvePoint& point) {
  for (const v1::MetricValue& value : point.values()) {
    if (value.metric() == v1::ITERATIONS_PER_SECOND) return static_cast<int32_t>(value.value());
  }
  return 0;
}

v1::CurvePoint Unmarked(const v1::CurvePoint& point) {
  v1::CurvePoint bare = point;
  auto* const values = bare.mutable_values();
  values->erase(std::remove_if(values->begin(), values->end(),
                               [](const v1::MetricValue& value) {
                                 return value.metric() == v1::ITERATIONS_PER_SECOND;
                               }),
                values->end());
  return bare;
}

std::string CheckJob(const JobFacts& now, const Undisturbed& undisturbed) {
  const v1::Job& job = now.job;
  v1::JobState state;
  int32_t attempt = 0;
  int64_t resumed_from = 0;
  std::string wrong = FollowEvents(now, &state, &attempt, &resumed_from);
  if (!wrong.empty()) return wrong;
  if (state != job.state() || attempt != job.attempt()) {
    return absl::StrCat(Name(job), ": its events lead to ", v1::JobState_Name(state),
                        " at attempt ", attempt, ", and it is ", v1::JobState_Name(job.state()),
                        " at attempt ", job.attempt());
  }
  std::map<int64_t, const v1::CurvePoint*> expected;
  for (const v1::CurvePoint& point : undisturbed.points) expected[point.iteration()] = &point;
  int32_t previous = 0;
  for (const v1::CurvePoint& point : now.points) {
    const auto found = expected.find(point.iteration());
    if (found == expected.end() || !IsPoint(point, *found->second)) {
      return absl::StrCat(Name(job), ": its point ", point.ShortDebugString(),
                          " is not of an undisturbed run");
    }
    // Who measured it may have measured it: at that time it was the current attempt.
    const int32_t by = AttemptOf(point);
    if (by < previous || by > attempt || (point.iteration() > resumed_from && by != attempt)) {
      return absl::StrCat(Name(job), ": attempt ", attempt, " began at iteration ", resumed_from,
                          ", and the point of iteration ", point.iteration(), " is of attempt ",
                          by);
    }
    previous = by;
  }
  // None missing in between, up to the newest.
  for (size_t i = 0; i < now.points.size(); ++i) {
    if (now.points[i].iteration() == undisturbed.points[i].iteration()) continue;
    return absl::StrCat(Name(job), " has no point of iteration ",
                        undisturbed.points[i].iteration());
  }
  if (state != v1::SUCCEEDED) return "";
  if (undisturbed.fate != Fate::kFinishes) {
    return absl::StrCat(Name(job), " succeeded, and no worker could have trained it");
  }
  if (now.points.size() != undisturbed.points.size()) {
    return absl::StrCat(Name(job), " succeeded with ", now.points.size(), " points of ",
                        undisturbed.points.size());
  }
  return CheckResult(job, undisturbed.result);
}

std::string CheckHistory(const JobFacts& before, const JobFacts& now) {
  const v1::Job& old = before.job;
  const v1::Job& job = now.job;
  if (!Same(old.config(), job.config()) || old.job_key() != job.job_key()) {
    return absl::StrCat(Name(job), " is another one now");
  }
  if (now.events.size() < before.events.size()) {
    return absl::StrCat(Name(job), " had ", before.events.size(), " events, and has ",
                        now.events.size(), "; the last was ",
                        before.events.back().ShortDebugString());
  }
  for (size_t i = 0; i < before.events.size(); ++i) {
    if (!Same(before.events[i], now.events[i])) {
      return absl::StrCat(Name(job), ": its event ", before.events[i].ShortDebugString(),
                          " became ", now.events[i].ShortDebugString());
    }
  }
  if (old.state() == v1::SUCCEEDED) {
    if (Same(old.result(), job.result()) && job.state() == v1::SUCCEEDED) return "";
    return absl::StrCat(Name(job), " succeeded, and its result is gone or another");
  }
  // What diverged once would do so again from its checkpoint.
  const bool diverged =
      std::any_of(now.events.begin() + static_cast<std::ptrdiff_t>(before.events.size()),
                  now.events.end(), [](const v1::JobEvent& event) {
                    return event.kind() == v1::JOB_FAILED && event.cause() == v1::DIVERGED;
                  });
  if (diverged) return "";
  if (job.state() != v1::SUCCEEDED && job.checkpoint().iteration() < old.checkpoint().iteration()) {
    return absl::StrCat(Name(job), " had a checkpoint of iteration ", old.checkpoint().iteration(),
                        ", and has one of iteration ", job.checkpoint().iteration());
  }
  // Points go where a new attempt begins before them only.
  const bool same_attempt = old.attempt() == job.attempt();
  const int64_t kept = old.has_checkpoint() ? old.checkpoint().iteration() : -1;
  for (const v1::CurvePoint& point : before.points) {
    if (!same_attempt && point.iteration() > kept) continue;
    const bool found = std::any_of(now.points.begin(), now.points.end(),
                                   [&](const v1::CurvePoint& p) { return Same(p, point); });
    if (!found) {
      return absl::StrCat(Name(job), " lost its point of iteration ", point.iteration());
    }
  }
  return "";
}

std::string CheckSweepHistory(const v1::Sweep& before, const v1::Sweep& now) {
  if (before.id() != now.id() || before.created_us() != now.created_us() ||
      before.user() != now.user()) {
    return absl::StrCat("sweep ", before.id(), " is another one now");
  }
  if (before.cancelled_us() != 0 && before.cancelled_us() != now.cancelled_us()) {
    return absl::StrCat("sweep ", before.id(), " was cancelled, and is not so now");
  }
  const auto total = [](const v1::JobCounts& counts) {
    return counts.queued() + counts.running() + counts.succeeded() + counts.failed() +
           counts.cancelled();
  };
  if (total(now.counts()) < total(before.counts())) {
    return absl::StrCat("sweep ", before.id(), " had ", total(before.counts()), " jobs, and has ",
                        total(now.counts()));
  }
  return "";
}

}  // namespace sim
}  // namespace modlab
