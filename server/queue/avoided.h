// Where a job had better not run, as a text that the store keeps with it: lines of place,
// worker's name and why, parted by tabs, which neither of them may have. A line that is a
// place alone was asked for by an older coordinator.
//
// Pure and thread-safe.

#ifndef MODLAB_SERVER_QUEUE_AVOIDED_H_
#define MODLAB_SERVER_QUEUE_AVOIDED_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace modlab {

enum class WhyAvoided : char {
  kAsked = 'a',     // it is to be trained elsewhere than before
  kTooSmall = 'm',  // it ran out of memory there
  kItFailed = 'f',  // otherwise
};

// Of these the newest are kept, and all that were asked for.
inline constexpr size_t kAvoidedMax = 8;

// Adds a place and worker; nothing where the place is empty. One that is there stays as it is,
// but that kTooSmall goes before kItFailed.
std::string AddAvoided(absl::string_view avoided, absl::string_view place, absl::string_view worker,
                       WhyAvoided why);

// What of it was asked for: failures are forgotten.
std::string ForgetFailures(absl::string_view avoided);

// How near a worker is to what is avoided.
struct Nearness {
  // 0: elsewhere; 1: at a place that is avoided; 2: it is avoided itself.
  int degree = 0;
  // Others are to be waited for: it was asked for, or would fail again.
  bool strict = false;
};
Nearness NearnessTo(absl::string_view avoided, absl::string_view place, absl::string_view worker);

}  // namespace modlab

#endif  // MODLAB_SERVER_QUEUE_AVOIDED_H_
