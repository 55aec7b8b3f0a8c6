// The engine's end of a worker's stream.

#ifndef MODLAB_SERVER_ENGINE_WORKER_CHANNEL_H_
#define MODLAB_SERVER_ENGINE_WORKER_CHANNEL_H_

#include "absl/status/status.h"
#include "modlab/v1/worker.pb.h"

namespace modlab {

// Thread-safe; no call blocks. Shared by the stream and the engine, and may
// outlive either.
class WorkerChannel {
 public:
  virtual ~WorkerChannel() = default;

  // Delivers the newest view; one that is not under way yet is replaced by it.
  virtual void Send(const v1::CoordinatorView& view) = 0;
  // The view that was handed to Engine::Synchronise() is dealt with: hand over
  // the next. Until then the engine holds no second one of this stream.
  virtual void Taken() = 0;
  // Ends the stream, for OK after what was sent. Only the first call counts.
  virtual void Close(const absl::Status& why) = 0;
  virtual bool closed() const = 0;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_ENGINE_WORKER_CHANNEL_H_
