#include "server/queue/places.h"

#include <algorithm>

#include "lib/config/utf8.h"
#include "server/queue/doubled.h"

namespace modlab {

namespace {

constexpr size_t kReasonBytesMax = 512;

}  // namespace

Places::Place* Places::FindOrAdd(const std::string& name) {
  Place& place = places_[name];
  place.name = name;
  return &place;
}

bool Places::Fail(Place* place, int64_t gang_id, const absl::btree_set<int64_t>& jobs,
                  absl::string_view reason, int64_t now_us) {
  if (place->state == State::kClosed || !place->failed_gangs.insert(gang_id).second) return false;
  if (place->failed_gangs.size() == 1) {
    place->suspects = jobs;
  } else {
    absl::erase_if(place->suspects, [&](int64_t job_id) { return !jobs.contains(job_id); });
  }
  place->failed_us = now_us;
  place->reason = std::string(CutUtf8(reason, kReasonBytesMax));
  const int64_t beyond = static_cast<int64_t>(place->failed_gangs.size()) - options_.failures_max;
  if (beyond < 0 || !place->suspects.empty()) return false;
  ++revision_;
  place->state = State::kClosed;
  place->until_us =
      now_us + Doubled(options_.quarantine_first_us, beyond, options_.quarantine_max_us);
  closed_.insert({place->until_us, place});
  return true;
}

void Places::Succeed(Place* place) {
  if (place->state == State::kClosed) closed_.erase({place->until_us, place});
  if (place->state != State::kOpen) ++revision_;
  place->state = State::kOpen;
  place->failed_gangs.clear();
  place->suspects.clear();
  place->until_us = 0;
  place->reason.clear();
}

std::vector<Places::Place*> Places::Reopen(int64_t now_us) {
  std::vector<Place*> reopened;
  while (!closed_.empty() && closed_.begin()->first <= now_us) {
    Place* place = closed_.begin()->second;
    closed_.erase(closed_.begin());
    place->state = State::kOnTrial;
    reopened.push_back(place);
  }
  return reopened;
}

void Places::Forget(int64_t now_us) {
  std::vector<std::pair<int64_t, Place*>> absent;
  for (auto& [name, place] : places_) {
    if (place.workers == 0) absent.push_back({place.failed_us, &place});
  }
  std::sort(absent.rbegin(), absent.rend());  // the newest failure first
  for (size_t i = 0; i < absent.size(); ++i) {
    Place* place = absent[i].second;
    const int64_t quiet_from_us = std::max(place->failed_us, place->until_us);
    if (i < kAbsentMax && !place->failed_gangs.empty() &&
        now_us - quiet_from_us < options_.quarantine_max_us) {
      continue;
    }
    Succeed(place);
    places_.erase(std::string(place->name));
  }
}

void Places::Restore(const Quarantine& quarantine, int64_t now_us) {
  ++revision_;
  Place* place = FindOrAdd(quarantine.place);
  // Of gangs that are known no more.
  for (int64_t n = 1; n <= quarantine.failures; ++n) place->failed_gangs.insert(-n);
  place->until_us = quarantine.until_us;
  place->reason = quarantine.reason;
  place->state = quarantine.until_us > now_us ? State::kClosed : State::kOnTrial;
  if (place->state == State::kClosed) closed_.insert({place->until_us, place});
}

std::vector<Quarantine> Places::ListQuarantines() const {
  std::vector<Quarantine> quarantines;
  for (const auto& [name, place] : places_) {
    if (place.state == State::kOpen) continue;
    quarantines.push_back(
        {name, static_cast<int64_t>(place.failed_gangs.size()), place.until_us, place.reason});
  }
  return quarantines;
}

void Places::Adopt(const Places& old) {
  for (const auto& [name, theirs] : old.places_) {
    Place* place = FindOrAdd(name);
    *place = theirs;
    if (place->state != State::kOpen) ++revision_;
    place->workers = 0;
    place->leases = 0;
    if (place->state == State::kClosed) closed_.insert({place->until_us, place});
  }
}

}  // namespace modlab
