#include "tests/e2e/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace modlab::e2e {
namespace {

constexpr int kPollMs = 10;

[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  std::abort();
}

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Moves what is there. False once either side is gone.
bool Forward(int from, int to) {
  std::array<char, 65536> buffer;
  const ssize_t count = recv(from, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) return false;
  for (ssize_t sent = 0; sent < count;) {
    // Blocks while the reader is slow, as the network would.
    const ssize_t part =
        send(to, buffer.data() + sent, static_cast<size_t>(count - sent), MSG_NOSIGNAL);
    if (part <= 0) return false;
    sent += part;
  }
  return true;
}

}  // namespace

struct Proxy::Connection {
  ~Connection() {
    close(client);
    if (server >= 0) close(server);
  }
  int client = -1;
  int server = -1;
};

Proxy::Proxy(int target_port) : target_port_(target_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (listener_ < 0 || bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_, 64) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    Fail("proxy");
  }
  address_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  thread_ = std::thread([this] { Run(); });
}

Proxy::~Proxy() {
  stopping_ = true;
  thread_.join();
  connections_.clear();
  close(listener_);
}

void Proxy::Accept() {
  auto connection = std::make_unique<Connection>();
  connection->client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (connection->client < 0) return;
  connection->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in target = Loopback(target_port_);
  // Nobody there: the client sees its connection closed.
  if (connect(connection->server, reinterpret_cast<sockaddr*>(&target), sizeof(target)) != 0) {
    return;
  }
  connections_.push_back(std::move(connection));
}

void Proxy::Run() {
  while (!stopping_) {
    if (cut_.exchange(false)) connections_.clear();
    if (stalled_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(kPollMs));
      continue;
    }
    std::vector<pollfd> sockets = {{listener_, POLLIN, 0}};
    for (const auto& connection : connections_) {
      sockets.push_back({connection->client, POLLIN, 0});
      sockets.push_back({connection->server, POLLIN, 0});
    }
    if (poll(sockets.data(), sockets.size(), kPollMs) <= 0) continue;
    for (size_t i = 0; i < connections_.size(); ++i) {
      Connection& connection = *connections_[i];
      const bool open =
          (sockets[1 + 2 * i].revents == 0 || Forward(connection.client, connection.server)) &&
          (sockets[2 + 2 * i].revents == 0 || Forward(connection.server, connection.client));
      if (!open) connections_[i] = nullptr;
    }
    connections_.erase(std::remove(connections_.begin(), connections_.end(), nullptr),
                       connections_.end());
    if (sockets[0].revents != 0) Accept();
  }
}

}  // namespace modlab::e2e
