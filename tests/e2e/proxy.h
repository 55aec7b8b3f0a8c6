// A network that can fail: a TCP proxy in front of a coordinator.

#ifndef MODLAB_TESTS_E2E_PROXY_H_
#define MODLAB_TESTS_E2E_PROXY_H_

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace modlab::e2e {

// Forwards each connection on a port of the loopback to another, on a thread of its
// own. Thread-safe.
class Proxy {
 public:
  // `target_port` may be listened at later.
  explicit Proxy(int target_port);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  // "127.0.0.1:PORT".
  const std::string& address() const { return address_; }

  // Closes all connections; new ones are made as before.
  void Cut() { cut_ = true; }
  // While stalled, nothing goes through and nobody is told: connections stay open,
  // and new ones are taken in and left waiting.
  void Stall(bool stalled) { stalled_ = stalled; }

 private:
  struct Connection;

  void Run();
  void Accept();

  const int target_port_;
  int listener_ = -1;
  std::string address_;
  std::atomic<bool> cut_{false};
  std::atomic<bool> stalled_{false};
  std::atomic<bool> stopping_{false};
  std::vector<std::unique_ptr<Connection>> connections_;  // the thread's
  std::thread thread_;
};

}  // namespace modlab::e2e

#endif  // MODLAB_TESTS_E2E_PROXY_H_
