// Keeps the session in step with the coordinator: one stream at a time, opened
// again for ever.

#ifndef MODLAB_WORKER_COORDINATOR_LINK_H_
#define MODLAB_WORKER_COORDINATOR_LINK_H_

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "grpcpp/channel.h"
#include "grpcpp/support/status.h"
#include "lib/sync/mutex.h"
#include "modlab/v1/worker.grpc.pb.h"
#include "modlab/v1/worker.pb.h"
#include "worker/backoff.h"
#include "worker/session.h"

namespace modlab {

// Sends a view as soon as there is news, bursts of it once every 20 ms, and
// without news once a heartbeat interval. A stream that heard nothing for a
// lease duration is torn down. Its own thread waits and decides; gRPC's threads
// read, and take what was read into the session, whether or not writes go
// through, so the two directions never wait for each other.
class CoordinatorLink {
 public:
  // `address` is for log lines. `session` must outlive the link. `backoff` is for
  // between streams.
  CoordinatorLink(std::shared_ptr<grpc::Channel> channel, std::string address, Session* session,
                  Backoff backoff = Backoff());
  // As Stop(0).
  ~CoordinatorLink();
  CoordinatorLink(const CoordinatorLink&) = delete;
  CoordinatorLink& operator=(const CoordinatorLink&) = delete;

  // Call once.
  void Start();

  // The session has news. Thread-safe; does nothing before Start() and after Stop().
  void Wake();

  // Sends what the session still has to say and waits for its acknowledgement, for
  // at most `grace`; over a new stream if need be, where reports are not acknowledged.
  // Then closes the stream. Drain the session first. Thread-safe; a second call does
  // nothing.
  void Stop(std::chrono::milliseconds grace);

 private:
  using Clock = std::chrono::steady_clock;
  class Stream;
  // Of the call that is open now, or was last.
  struct Call {
    bool writing = false;
    bool broken = false;
    bool done = false;
    grpc::Status status;
  };

  void Run();
  void RunStream();
  // Until the stream breaks, is given up or is no longer needed. Whether it is because
  // nothing was heard.
  bool Talk(Stream* stream);
  // Nothing is worth a stream any more.
  bool IsOver() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The time, or the end of Stop()'s grace if that is earlier.
  Clock::time_point UnlessStopped(Clock::time_point time) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Heard(const v1::CoordinatorView& view);

  const std::unique_ptr<v1::WorkerService::Stub> stub_;
  const std::string address_;
  Session* const session_;
  Backoff backoff_;
  std::thread thread_;

  Mutex mutex_;
  Condition changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Clock::time_point stop_deadline_ ABSL_GUARDED_BY(mutex_);
  Call call_ ABSL_GUARDED_BY(mutex_);
  // As the coordinator last said; until then, guesses.
  std::chrono::milliseconds heartbeat_interval_ ABSL_GUARDED_BY(mutex_){1000};
  std::chrono::milliseconds lease_duration_ ABSL_GUARDED_BY(mutex_){10'000};
  Clock::time_point last_heard_ ABSL_GUARDED_BY(mutex_);
  // A view came on the stream that is open now.
  bool is_regained_ ABSL_GUARDED_BY(mutex_) = false;
  // The last loss was logged, and the link is not regained yet.
  bool is_lost_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace modlab

#endif  // MODLAB_WORKER_COORDINATOR_LINK_H_
