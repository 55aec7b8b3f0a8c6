// The gRPC server: all services, health (grpc.health.v1) and reflection.

#ifndef MODLAB_SERVER_SERVICES_SERVER_H_
#define MODLAB_SERVER_SERVICES_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "server/access/access.h"
#include "server/engine/engine.h"
#include "server/services/artifact_service.h"
#include "server/services/coordinator_service.h"
#include "server/services/listen_address.h"
#include "server/services/listener.h"
#include "server/services/results_service.h"
#include "server/services/security.h"
#include "server/services/sweep_service.h"
#include "server/services/task_pool.h"
#include "server/services/worker_service.h"
#include "server/store/artifacts.h"
#include "server/store/store.h"

namespace modlab {

struct ServerOptions {
  // CheckSecurity() must have passed it.
  Security security = {};
  // Where the store and the tokens are.
  std::string data_dir = {};
  Listener::Limits connections = {};
};

// Not thread-safe; serves on threads of its own.
class Server {
 public:
  // Listens and serves. What it is given must outlive it. A Unix socket is for
  // its owner alone. FAILED_PRECONDITION: cannot listen there; says why.
  static absl::StatusOr<std::unique_ptr<Server>> Start(Store* store, const Artifacts* artifacts,
                                                       Engine* engine, const ListenAddress& address,
                                                       const ServerOptions& options = {});
  // Stops at once.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // With the real port.
  const ListenAddress& address() const { return listener_->address(); }
  // Accepts nothing more, ends the workers' streams, lets calls finish for at
  // most `grace`, then cancels them. The engine must still run.
  void Stop(absl::Duration grace);

 private:
  Server(Store* store, const Artifacts* artifacts, Engine* engine, const Access::Options& access);

  Engine* const engine_;
  Access access_;
  TaskPool pool_;
  TaskPool files_pool_;
  TaskPool planning_pool_;
  SweepServiceImpl sweeps_;
  ResultsServiceImpl results_;
  ArtifactServiceImpl artifacts_;
  WorkerServiceImpl workers_;
  CoordinatorServiceImpl coordinator_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_SERVER_H_
