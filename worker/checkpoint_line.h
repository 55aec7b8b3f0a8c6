// The checkpoints that wait to be stored, and the leases that are handed back behind
// them: CheckpointKeeper without its thread.

#ifndef MODLAB_WORKER_CHECKPOINT_LINE_H_
#define MODLAB_WORKER_CHECKPOINT_LINE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "worker/gang.h"
#include "worker/session.h"

namespace modlab {

// One place a lease, in the order in which they came; of each lease only the newest
// checkpoint. Not thread-safe.
class CheckpointLine {
 public:
  // What waits for one lease.
  struct Work {
    std::shared_ptr<Gang> gang;
    int member = 0;
    int64_t iteration = 0;
    std::string file;      // the checkpoint; empty: none
    bool release = false;  // then the lease is handed back
  };

  // Takes the place of what waits of an earlier iteration.
  void Put(const std::shared_ptr<Gang>& gang, int member, int64_t iteration, std::string file);
  void Release(const std::shared_ptr<Gang>& gang, int member);

  bool empty() const { return line_.empty(); }
  // What waited longest; its file counts until it is Done(). The line must not be empty.
  Work Take();
  void Done(const Work& work);

  // Whether a newer checkpoint of the same lease waits.
  bool HasNewer(const Work& taken) const;
  // Of all files.
  int64_t bytes() const { return bytes_; }
  // The same but for the file that waits of this lease.
  int64_t BytesBeside(const Gang& gang, int member) const;

 private:
  using Key = std::pair<const Gang*, int>;

  Work* Find(const std::shared_ptr<Gang>& gang, int member);

  std::map<Key, Work> waiting_;
  std::deque<Key> line_;  // the keys of waiting_
  int64_t bytes_ = 0;
};

// Reports the work's file, stored under this hash, and lets the gang know of it.
void ReportStored(const CheckpointLine::Work& work, absl::string_view sha256, Session* session);
// Reports that the work's lease is handed back.
void ReportReleased(const CheckpointLine::Work& work, Session* session);

}  // namespace modlab

#endif  // MODLAB_WORKER_CHECKPOINT_LINE_H_
