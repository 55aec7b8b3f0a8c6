// Room on the disk that is kept for the day on which the disk is full: a file that takes
// it and holds nothing. Removing rows needs room for the log first, so that without it a
// full disk could not even be pruned.

#ifndef MODLAB_SERVER_STORE_RESERVE_H_
#define MODLAB_SERVER_STORE_RESERVE_H_

#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "lib/sync/mutex.h"

namespace modlab {

// Thread-safe. The file stays when it ends.
class Reserve {
 public:
  // At `path`, of `bytes`, or of a sixteenth of the disk where that is less; 0: none. Takes nothing
  // yet.
  Reserve(std::string path, int64_t bytes);

  // Takes the room, unless it has it. RESOURCE_EXHAUSTED: there is too little; takes none.
  absl::Status Keep();
  // False where there was none to let go.
  bool LetGo();

 private:
  const std::string path_;
  const int64_t bytes_;
  Mutex mutex_;
  bool kept_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_RESERVE_H_
