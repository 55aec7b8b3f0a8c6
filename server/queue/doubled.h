// How pauses grow.

#ifndef MODLAB_SERVER_QUEUE_DOUBLED_H_
#define MODLAB_SERVER_QUEUE_DOUBLED_H_

#include <algorithm>
#include <cstdint>

namespace modlab {

// `first`, doubled `times` times, at most `most`. All at least 0.
inline int64_t Doubled(int64_t first, int64_t times, int64_t most) {
  int64_t pause = std::min(first, most);
  while (times-- > 0 && 0 < pause && pause < most) {
    pause = pause > most - pause ? most : 2 * pause;
  }
  return pause;
}

}  // namespace modlab

#endif  // MODLAB_SERVER_QUEUE_DOUBLED_H_
