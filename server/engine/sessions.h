// The workers' streams, and which reports of each worker are on disk.
//
// Logs which workers come, drain and go. Not thread-safe: belongs to the engine's thread.

#ifndef MODLAB_SERVER_ENGINE_SESSIONS_H_
#define MODLAB_SERVER_ENGINE_SESSIONS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "modlab/v1/worker.pb.h"
#include "server/engine/worker_channel.h"
#include "server/queue/queue.h"

namespace modlab {

// Which of a worker's reports were taken in.
struct ReportProgress {
  uint64_t newest = 0;  // 0: not known
  // The stream has brought no report yet. Where the newest one is not known, the first
  // of a stream is the worker's oldest that is not acknowledged, and no other is.
  bool stream_is_new = true;
};

class Sessions {
 public:
  // `frame` holds what is the same in every view: intervals.
  explicit Sessions(const v1::CoordinatorView& frame) : frame_(frame) {}

  // The stream of a worker that has just sent this view; it will be answered. An
  // older stream of that worker is closed.
  void Attach(const v1::WorkerView& view, std::shared_ptr<WorkerChannel> channel);
  // Whether `channel` was the worker's stream; it no longer is.
  bool Detach(const std::string& worker_id, const WorkerChannel* channel);

  // The worker must be attached.
  ReportProgress* progress(const std::string& worker_id) {
    return &sessions_.at(worker_id).processed;
  }
  // What was processed is on disk now.
  void Acknowledge();
  // What was processed of one worker since then, or of all, was undone. The streams of all
  // of which there was something are closed, so that they send it again; closing the one
  // worker's is for the caller.
  void Forget(const std::string& worker_id);
  void ForgetUnacknowledged(const absl::Status& why);

  // Sends their view to all who wait for an answer or whose gangs changed.
  void SendViews(Queue* queue);
  // Closes the streams of workers that the queue has forgotten.
  void Prune(const Queue& queue);
  void CloseAll(const absl::Status& why);

 private:
  struct Session {
    std::string name;
    bool draining = false;
    std::shared_ptr<WorkerChannel> channel;  // null while there is no stream
    ReportProgress processed;
    uint64_t acknowledged = 0;
  };

  const v1::CoordinatorView frame_;
  std::map<std::string, Session> sessions_;
  std::set<std::string> unanswered_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_SESSIONS_H_
