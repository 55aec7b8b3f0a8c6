// How a call with a stream of answers is answered: its handler, an ordinary function,
// runs on the pool and sends one after the other.

#ifndef MODLAB_SERVER_SERVICES_ANSWER_STREAM_H_
#define MODLAB_SERVER_SERVICES_ANSWER_STREAM_H_

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "lib/sync/mutex.h"
#include "server/services/stall_watch.h"
#include "server/services/status.h"
#include "server/services/task_pool.h"

namespace modlab {

// Deletes itself when the call is over. Send() and End() are for one thread.
template <typename Answer>
class AnswerStream final : public grpc::ServerWriteReactor<Answer> {
 public:
  explicit AnswerStream(grpc::CallbackServerContext* context)
      : context_(context), watch_(context) {}

  // Whether somebody waits for more.
  bool listening() const { return !context_->IsCancelled(); }

  // Returns when the client's side has room for more; false once nobody listens: a
  // client that takes nothing for too long counts as gone.
  bool Send(Answer answer) {
    answer_ = std::move(answer);
    {
      const MutexLock lock(&mutex_);
      sending_ = true;
    }
    watch_.Begin();
    this->StartWrite(&answer_);
    const MutexLock lock(&mutex_);
    while (sending_) sent_.Wait(&mutex_);
    return heard_;
  }

  // Call once, and last.
  void End(const absl::Status& status) { this->Finish(ToGrpcStatus(status)); }

  void OnWriteDone(bool ok) override {
    watch_.End();
    const MutexLock lock(&mutex_);
    sending_ = false;
    heard_ = ok;
    sent_.NotifyOne();
  }
  void OnDone() override { delete this; }

 private:
  grpc::CallbackServerContext* const context_;
  Answer answer_;
  Mutex mutex_;
  Condition sent_;
  bool sending_ ABSL_GUARDED_BY(mutex_) = false;
  bool heard_ ABSL_GUARDED_BY(mutex_) = true;
  StallWatch watch_;
};

// `handler` is an absl::Status(AnswerStream<Answer>*): it reads the request, which
// gRPC keeps until the call is finished, and sends.
template <typename Answer, typename Handler>
AnswerStream<Answer>* RunStream(TaskPool* pool, grpc::CallbackServerContext* context,
                                Handler handler) {
  auto* stream = new AnswerStream<Answer>(context);
  absl::Status posted = pool->Post([stream, handler = std::move(handler)] {
    stream->End(stream->listening() ? handler(stream) : absl::CancelledError());
  });
  if (!posted.ok()) stream->End(posted);
  return stream;
}

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_ANSWER_STREAM_H_
