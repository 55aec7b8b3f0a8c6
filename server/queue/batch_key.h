// What jobs must have in common to be trained by one gang.

#ifndef MODLAB_SERVER_QUEUE_BATCH_KEY_H_
#define MODLAB_SERVER_QUEUE_BATCH_KEY_H_

#include <cstdint>
#include <string>
#include <tuple>
#include <utility>

namespace modlab {

struct BatchKey {
  std::string shape;
  int64_t iteration = 0;  // of the checkpoint; 0: none
  int32_t suspicion = 0;  // failures in a row, up to where they make no difference
  std::string avoided;    // avoided.h

  friend bool operator==(const BatchKey& a, const BatchKey& b) {
    return std::tie(a.shape, a.iteration, a.suspicion, a.avoided) ==
           std::tie(b.shape, b.iteration, b.suspicion, b.avoided);
  }
  template <typename H>
  friend H AbslHashValue(H hash, const BatchKey& key) {
    return H::combine(std::move(hash), key.shape, key.iteration, key.suspicion, key.avoided);
  }
};

}  // namespace modlab

#endif  // MODLAB_SERVER_QUEUE_BATCH_KEY_H_
