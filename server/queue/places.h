// Machines and their devices, and which of them only make gangs fail. The part of
// Queue that outlives the workers' processes.
//
// A place is open until `failures_max` gangs of it have failed in a row and no single
// job was part of all these failures, as it would be to blame. Then it is closed for
// a while, and after that on trial. A success opens it, a further failure closes it
// for longer. While it is closed nothing counts: what ends then was given before.
//
// A worker says itself where it is, and is believed. One that lies can escape its
// quarantine (a new place every time) or bring another machine into it: whoever has a
// worker's token is trusted with this, as with the results that it reports.
//
// Pure, as Queue; not thread-safe. Pointers are valid until Forget().

#ifndef MODLAB_SERVER_QUEUE_PLACES_H_
#define MODLAB_SERVER_QUEUE_PLACES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/strings/string_view.h"
#include "server/queue/unfinished_job.h"

namespace modlab {

class Places {
 public:
  // Of places that failed and have no workers now; the newest failures stay.
  static constexpr size_t kAbsentMax = 10'000;

  struct Options {
    int32_t failures_max = 3;
    int64_t quarantine_first_us = 0;
    int64_t quarantine_max_us = 0;
  };

  enum class State { kOpen, kClosed, kOnTrial };

  struct Place {
    std::string name;
    State state = State::kOpen;
    absl::btree_set<int64_t> failed_gangs;  // in a row
    absl::btree_set<int64_t> suspects;      // jobs that were part of every one of these
    int64_t failed_us = 0;                  // the last of them
    int64_t until_us = 0;                   // of the newest quarantine; 0: there is none
    std::string reason;
    // Kept by the queue.
    int64_t workers = 0;
    int64_t leases = 0;
  };

  explicit Places(const Options& options) : options_(options) {}

  Place* FindOrAdd(const std::string& name);
  // A gang failed, and one of `jobs` is to blame, if not the place; repeating it changes
  // nothing. Whether the place was closed by it.
  bool Fail(Place* place, int64_t gang_id, const absl::btree_set<int64_t>& jobs,
            absl::string_view reason, int64_t now_us);
  // Opens it.
  void Succeed(Place* place);
  // Puts on trial what was closed for long enough; returns that.
  std::vector<Place*> Reopen(int64_t now_us);
  // Forgets places without workers: those that did not fail, or not for as long as the
  // longest quarantine.
  void Forget(int64_t now_us);
  // Takes over how other places fared. Call first.
  void Adopt(const Places& old);
  // A quarantine that was listed in an earlier life. Call first.
  void Restore(const Quarantine& quarantine, int64_t now_us);
  // Places that are not open, by name.
  std::vector<Quarantine> ListQuarantines() const;
  // Changes whenever that does.
  uint64_t revision() const { return revision_; }

 private:
  Options options_;
  uint64_t revision_ = 0;
  std::map<std::string, Place> places_;
  absl::btree_set<std::pair<int64_t, Place*>> closed_;  // by end
};

}  // namespace modlab

#endif  // MODLAB_SERVER_QUEUE_PLACES_H_
