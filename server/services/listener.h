// The coordinator's door: listens, accepts, and hands connections on.
//
// gRPC could do so itself, but knows no limit of connections, and the version that
// Debian has stops listening for ever once it ran out of file descriptors: a
// thousand connections that say nothing would shut everybody out.

#ifndef MODLAB_SERVER_SERVICES_LISTENER_H_
#define MODLAB_SERVER_SERVICES_LISTENER_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/services/listen_address.h"

namespace modlab {

// Start() and Stop() are called by one thread.
class Listener {
 public:
  struct Limits {
    // Of all, and of one host (of an IPv6 network of 64 bits; of all processes at
    // a Unix socket). Less where the process may not open so many files. A
    // connection beyond them is closed.
    int connections_max = 16'384;
    int per_host_max = 2048;
  };
  // Takes a connection over; it does not block.
  using Take = std::function<void(int listener_fd, int connection_fd)>;

  // Listens; connections wait in the kernel until Start(). FAILED_PRECONDITION: why
  // the address cannot be listened at. A Unix socket is for its owner alone.
  static absl::StatusOr<std::unique_ptr<Listener>> Open(const ListenAddress& address,
                                                        const Limits& limits);
  // Stops, and removes the Unix socket.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // With the real port.
  const ListenAddress& address() const { return address_; }
  // Accepts on a thread of its own from here on. Call once.
  void Start(Take take);
  // No connection is accepted any more, nor does any wait. May be called again.
  void Stop();

 private:
  Listener(const ListenAddress& address, const Limits& limits);

  absl::Status ListenUnix();
  absl::Status ListenTcp();
  void Loop();
  // False when there is nothing to accept at present.
  bool AcceptOne(int listener_fd);
  // Whether this connection is one too many.
  bool IsTooMany(int fd);
  void CountHosts();
  void WarnOfRefused(const std::string& why);

  ListenAddress address_;
  const Limits limits_;
  int files_max_ = 0;
  std::vector<int> fds_;
  int stop_pipe_[2] = {-1, -1};
  Take take_;
  std::thread thread_;

  // Only for the thread.
  std::set<int> accepted_;            // those that are closed too, until the next count
  std::map<std::string, int> hosts_;  // connections by host
  absl::Time hosts_counted_ = absl::InfinitePast();
  absl::Time warned_ = absl::InfinitePast();
  int refused_ = 0;  // since then
};

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_LISTENER_H_
