// Ends a call whose peer keeps it waiting: one that sends half a file, or takes an
// answer byte by byte, would hold memory and files for ever.

#ifndef MODLAB_SERVER_SERVICES_STALL_WATCH_H_
#define MODLAB_SERVER_SERVICES_STALL_WATCH_H_

#include <memory>

#include "absl/time/time.h"
#include "grpcpp/server_context.h"

namespace modlab {

// Thread-safe. Must go before the context does: a member of the call's reactor.
class StallWatch {
 public:
  // How long a peer may take for a piece of at most 1 MiB.
  static constexpr absl::Duration kPiecePatience = absl::Seconds(60);
  // And for a whole answer.
  static constexpr absl::Duration kAnswerPatience = absl::Minutes(5);

  explicit StallWatch(grpc::CallbackServerContext* context);
  ~StallWatch();
  StallWatch(const StallWatch&) = delete;
  StallWatch& operator=(const StallWatch&) = delete;

  // The next step is the peer's: the call is cancelled unless Begin() or End() is
  // called within `patience`.
  void Begin(absl::Duration patience = kPiecePatience);
  // The next step is ours.
  void End();

 private:
  struct State;

  const std::shared_ptr<State> state_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_STALL_WATCH_H_
