// One worker's stream.
//
// gRPC owns the reactor's life: it exists from the call's begin until OnDone().
// The engine may keep its channel longer; a channel whose reactor is gone does
// nothing. One view of the worker is in the engine's hands at a time, the next
// one waits in the connection, so a stream costs a bounded amount of memory
// however fast its worker talks. In the other direction one write is under way
// and the newest view waits.

#ifndef MODLAB_SERVER_SERVICES_WORKER_STREAM_H_
#define MODLAB_SERVER_SERVICES_WORKER_STREAM_H_

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/server_callback.h"
#include "modlab/v1/worker.pb.h"
#include "server/engine/engine.h"
#include "server/engine/worker_channel.h"

namespace modlab {

class WorkerStream final : public grpc::ServerBidiReactor<v1::WorkerView, v1::CoordinatorView> {
 public:
  explicit WorkerStream(Engine* engine);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  class Channel final : public WorkerChannel {
   public:
    explicit Channel(WorkerStream* stream) : stream_(stream) {}

    void Send(const v1::CoordinatorView& view) override;
    void Taken() override;
    void Close(const absl::Status& why) override;
    bool closed() const override;

    void WriteDone(bool ok);
    void Detach();

   private:
    // With the mutex held.
    void Write(v1::CoordinatorView view);
    void FinishIfIdle();

    mutable std::mutex mutex_;  // guards what follows
    WorkerStream* stream_;      // null once it is gone
    v1::CoordinatorView written_;
    std::optional<v1::CoordinatorView> next_;
    bool writing_ = false;
    bool finished_ = false;
    std::optional<absl::Status> closed_;
  };

  absl::Status TakeView();

  Engine* const engine_;
  const std::shared_ptr<Channel> channel_;
  v1::WorkerView view_;
  std::string worker_id_;  // of the first view
};

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_WORKER_STREAM_H_
