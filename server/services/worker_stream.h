// One worker's stream.
//
// gRPC owns the reactor's life: it exists from the call's begin until OnDone().
// The engine may keep its channel longer; a channel whose reactor is gone does
// nothing. One view of the worker is in the engine's hands at a time, the next
// one waits in the connection, so a stream costs a bounded amount of memory
// however fast its worker talks; one that talks faster than any worker needs to is
// heard later. In the other direction one write is under way and the newest view
// waits.

#ifndef MODLAB_SERVER_SERVICES_WORKER_STREAM_H_
#define MODLAB_SERVER_SERVICES_WORKER_STREAM_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/alarm.h"
#include "grpcpp/support/server_callback.h"
#include "lib/sync/mutex.h"
#include "modlab/v1/worker.pb.h"
#include "server/engine/engine.h"
#include "server/engine/worker_channel.h"
#include "server/services/stall_watch.h"

namespace modlab {

class WorkerStream final : public grpc::ServerBidiReactor<v1::WorkerView, v1::CoordinatorView> {
 public:
  // `is_allowed` is asked for every view: a token may expire or be revoked.
  WorkerStream(Engine* engine, grpc::CallbackServerContext* context,
               std::function<absl::Status()> is_allowed);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  // A worker sends at most 50 a second.
  static constexpr double kViewsPerSecond = 100;
  static constexpr double kViewsBurst = 200;

  class Channel final : public WorkerChannel, public std::enable_shared_from_this<Channel> {
   public:
    explicit Channel(WorkerStream* stream) : stream_(stream) {}

    void Send(const v1::CoordinatorView& view) override;
    void Taken() override;
    void Close(const absl::Status& why) override;
    bool closed() const override;

    void ReadNext();
    void WriteDone(bool ok);
    void Detach();

   private:
    // How long until the next view may be read.
    absl::Duration ReadDelay() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
    void Write(v1::CoordinatorView view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
    void FinishIfIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

    mutable Mutex mutex_;
    WorkerStream* stream_ ABSL_GUARDED_BY(mutex_);  // null once it is gone
    v1::CoordinatorView written_ ABSL_GUARDED_BY(mutex_);
    std::optional<v1::CoordinatorView> next_ ABSL_GUARDED_BY(mutex_);
    bool writing_ ABSL_GUARDED_BY(mutex_) = false;
    double reads_left_ ABSL_GUARDED_BY(mutex_) = kViewsBurst;
    absl::Time reads_counted_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
    std::unique_ptr<grpc::Alarm> read_alarm_ ABSL_GUARDED_BY(mutex_);
    bool finished_ ABSL_GUARDED_BY(mutex_) = false;
    std::optional<absl::Status> closed_ ABSL_GUARDED_BY(mutex_);
  };

  absl::Status TakeView();

  Engine* const engine_;
  const std::function<absl::Status()> is_allowed_;
  StallWatch watch_;  // for the first view
  const std::shared_ptr<Channel> channel_;
  v1::WorkerView view_;
  std::string worker_id_;  // of the first view
};

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_WORKER_STREAM_H_
