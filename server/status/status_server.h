// The coordinator's status over HTTP, for Prometheus and for what watches over
// services:
//   /metrics   Prometheus' text format; 503 while the engine does not answer
//   /healthz   200 while the process lives
//   /readyz    200 if the engine answers and the store can be written, else 503; the
//              reason is in the body
//
// It only reads, and tells nothing of jobs, sweeps, users or workers but how many they
// are. A few connections are served at a time, one request each, and some more wait;
// those beyond stay in the kernel's queue, so that a flood costs the coordinator
// nothing else.
//
// For trusted networks only: there is no TLS and no token, and since a request as a
// whole has no time limit, only each read of it, a few clients who send theirs byte by
// byte keep all others from being served, /healthz included.

#ifndef MODLAB_SERVER_STATUS_STATUS_SERVER_H_
#define MODLAB_SERVER_STATUS_STATUS_SERVER_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "server/status/status_probe.h"

namespace httplib {
class Server;
}

namespace modlab {

// Not thread-safe; serves on threads of its own.
class StatusServer {
 public:
  // `port` 0: any that is free. FAILED_PRECONDITION: cannot listen there.
  static absl::StatusOr<std::unique_ptr<StatusServer>> Start(const std::string& host, int port,
                                                             StatusProbe::Source source);
  // Stops once the requests in progress are answered.
  ~StatusServer();
  StatusServer(const StatusServer&) = delete;
  StatusServer& operator=(const StatusServer&) = delete;

  int port() const { return port_; }

 private:
  explicit StatusServer(StatusProbe::Source source);
  void AddPages();

  StatusProbe probe_;
  const std::unique_ptr<httplib::Server> server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STATUS_STATUS_SERVER_H_
