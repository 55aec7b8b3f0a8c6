// How every unary call is answered: its handler, an ordinary function, runs on
// the pool.

#ifndef MODLAB_SERVER_SERVICES_UNARY_H_
#define MODLAB_SERVER_SERVICES_UNARY_H_

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/services/stall_watch.h"
#include "server/services/status.h"
#include "server/services/task_pool.h"

namespace modlab {

// The memory of answers that wait for their readers, of this process: slow readers
// of large answers are refused more before they fill the machine. Thread-safe.
class AnswerMemory {
 public:
  static constexpr size_t kBytesMax = size_t{1} << 30;

  AnswerMemory() = default;
  ~AnswerMemory();
  AnswerMemory(const AnswerMemory&) = delete;
  AnswerMemory& operator=(const AnswerMemory&) = delete;

  // Holds so much until it is destroyed. RESOURCE_EXHAUSTED: too much is held. Call
  // once.
  absl::Status Hold(size_t bytes);

 private:
  size_t bytes_ = 0;
};

// Deletes itself when the call is over. One step at a time.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  explicit UnaryCall(grpc::CallbackServerContext* context) : context_(context), watch_(context) {}

  bool is_cancelled() const { return context_->IsCancelled(); }
  // `answer` is what is sent; null if it is small.
  void End(absl::Status status, const google::protobuf::MessageLite* answer);
  void OnDone() override { delete this; }

 private:
  grpc::CallbackServerContext* const context_;
  AnswerMemory memory_;
  StallWatch watch_;
};

// `handler` is an absl::Status(): it reads the request and fills `answer`, which
// gRPC keeps until the call is finished.
template <typename Handler>
grpc::ServerUnaryReactor* RunLargeUnary(TaskPool* pool, grpc::CallbackServerContext* context,
                                        const google::protobuf::MessageLite* answer,
                                        Handler handler) {
  auto* call = new UnaryCall(context);
  absl::Status posted = pool->Post([call, answer, handler = std::move(handler)] {
    // Nobody waits for the answer any more.
    call->End(call->is_cancelled() ? absl::CancelledError() : handler(), answer);
  });
  if (!posted.ok()) call->End(posted, nullptr);
  return call;
}

// For answers that are never more than a few KiB.
template <typename Handler>
grpc::ServerUnaryReactor* RunUnary(TaskPool* pool, grpc::CallbackServerContext* context,
                                   Handler handler) {
  return RunLargeUnary(pool, context, nullptr, std::move(handler));
}

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_UNARY_H_
