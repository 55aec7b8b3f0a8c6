// How every unary call is answered: its handler, an ordinary function, runs on
// the pool.

#ifndef MODLAB_SERVER_SERVICES_UNARY_H_
#define MODLAB_SERVER_SERVICES_UNARY_H_

#include <utility>

#include "absl/status/status.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/services/status.h"
#include "server/services/task_pool.h"

namespace modlab {

// `handler` is an absl::Status(): it reads the request and fills the response,
// which gRPC keeps until the call is finished.
template <typename Handler>
grpc::ServerUnaryReactor* RunUnary(TaskPool* pool, grpc::CallbackServerContext* context,
                                   Handler handler) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  absl::Status posted = pool->Post([context, reactor, handler = std::move(handler)] {
    // Nobody waits for the answer any more.
    if (context->IsCancelled()) {
      reactor->Finish(grpc::Status::CANCELLED);
      return;
    }
    reactor->Finish(ToGrpcStatus(handler()));
  });
  if (!posted.ok()) reactor->Finish(ToGrpcStatus(posted));
  return reactor;
}

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_UNARY_H_
