#include "server/services/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "spdlog/spdlog.h"

namespace modlab {
namespace {

// For the store, artifacts and the log, whatever connections there are.
constexpr int kFilesKept = 256;
constexpr absl::Duration kCountInterval = absl::Milliseconds(100);
constexpr absl::Duration kWarnInterval = absl::Seconds(10);
// When the system has no room for another connection, those that wait keep waiting.
constexpr int kNoRoomWaitMs = 100;
// Accepted in a row before the other sockets have their turn.
constexpr int kRowMax = 64;
// Data that is not acknowledged for so long is not going to be.
constexpr unsigned int kTcpPatienceMs = 30'000;

absl::Status Refused(const ListenAddress& address, const std::string& why) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot listen at ", address.ToString(), ": ", why));
}

sockaddr_un UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

// A socket that nobody listens at is left over; everything else is someone's.
absl::Status CheckFree(const ListenAddress& address) {
  struct stat file {};
  if (lstat(address.path.c_str(), &file) != 0) return absl::OkStatus();
  if (!S_ISSOCK(file.st_mode)) return Refused(address, "a file that is no socket has that name");
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Refused(address, std::strerror(errno));
  const sockaddr_un target = UnixAddress(address.path);
  const bool answers = connect(fd, reinterpret_cast<const sockaddr*>(&target), sizeof(target)) == 0;
  close(fd);
  if (answers) return Refused(address, "another process listens there");
  unlink(address.path.c_str());
  return absl::OkStatus();
}

int PortOf(const sockaddr_storage& address) {
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

void SetPort(int port, sockaddr* address) {
  const auto wire = htons(static_cast<uint16_t>(port));
  if (address->sa_family == AF_INET6) reinterpret_cast<sockaddr_in6*>(address)->sin6_port = wire;
  if (address->sa_family == AF_INET) reinterpret_cast<sockaddr_in*>(address)->sin_port = wire;
}

// Who is at the other end: "" for what is no connection.
std::string HostOf(int fd) {
  sockaddr_storage peer{};
  socklen_t size = sizeof(peer);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return "";
  if (peer.ss_family == AF_INET) {
    const auto& host = reinterpret_cast<const sockaddr_in*>(&peer)->sin_addr;
    return std::string(reinterpret_cast<const char*>(&host), sizeof(host));
  }
  if (peer.ss_family == AF_INET6) {
    const auto& host = reinterpret_cast<const sockaddr_in6*>(&peer)->sin6_addr;
    const bool is_v4 = IN6_IS_ADDR_V4MAPPED(&host);
    return std::string(reinterpret_cast<const char*>(&host), is_v4 ? sizeof(host) : 8);
  }
  return "unix";
}

// The number of a new descriptor is the lowest that is free: a connection whose
// number is beyond this finds at least so many files open.
int FilesMax(int connections_max) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return connections_max;
  const rlim_t kept = std::min<rlim_t>(kFilesKept, limit.rlim_cur / 4);
  return static_cast<int>(
      std::min<rlim_t>(limit.rlim_cur - kept, static_cast<rlim_t>(connections_max + kFilesKept)));
}

}  // namespace

Listener::Listener(const ListenAddress& address, const Limits& limits)
    : address_(address), limits_(limits), files_max_(FilesMax(limits.connections_max)) {}

absl::StatusOr<std::unique_ptr<Listener>> Listener::Open(const ListenAddress& address,
                                                         const Limits& limits) {
  std::unique_ptr<Listener> listener(new Listener(address, limits));
  absl::Status status = address.is_unix() ? listener->ListenUnix() : listener->ListenTcp();
  if (!status.ok()) return status;
  if (pipe2(listener->stop_pipe_, O_CLOEXEC) != 0) return Refused(address, std::strerror(errno));
  return listener;
}

Listener::~Listener() {
  Stop();
  for (const int fd : stop_pipe_) {
    if (fd >= 0) close(fd);
  }
}

absl::Status Listener::ListenUnix() {
  absl::Status status = CheckFree(address_);
  if (!status.ok()) return status;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Refused(address_, std::strerror(errno));
  const sockaddr_un target = UnixAddress(address_.path);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&target), sizeof(target)) != 0) {
    status = Refused(address_, std::strerror(errno));
    close(fd);
    return status;
  }
  fds_.push_back(fd);
  // Nobody can connect before listen().
  if (chmod(address_.path.c_str(), S_IRUSR | S_IWUSR) != 0 || listen(fd, SOMAXCONN) != 0) {
    return Refused(address_, std::strerror(errno));
  }
  return absl::OkStatus();
}

absl::Status Listener::ListenTcp() {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int failure =
      getaddrinfo(address_.host.c_str(), absl::StrCat(address_.port).c_str(), &hints, &found);
  if (failure != 0) return Refused(address_, gai_strerror(failure));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(found, &freeaddrinfo);
  std::string why = "the host has no address";
  for (addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const int fd = socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) continue;  // a protocol that this machine does not have
    fds_.push_back(fd);
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    // The port that the first of them was given is that of all.
    SetPort(address_.port, one->ai_addr);
    if (bind(fd, one->ai_addr, one->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
      const int error = errno;
      // "localhost" may name an address of a protocol that is switched off.
      if (error == EADDRNOTAVAIL) {
        why = std::strerror(error);
        fds_.pop_back();
        close(fd);
        continue;
      }
      return Refused(address_, std::strerror(error));
    }
    sockaddr_storage bound{};
    socklen_t size = sizeof(bound);
    getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size);
    address_.port = PortOf(bound);
  }
  return fds_.empty() ? Refused(address_, why) : absl::OkStatus();
}

void Listener::Start(Take take) {
  take_ = std::move(take);
  thread_ = std::thread([this] { Loop(); });
}

void Listener::Stop() {
  if (thread_.joinable()) {
    // Cannot fail: the pipe is empty.
    while (write(stop_pipe_[1], "", 1) < 0 && errno == EINTR) {
    }
    thread_.join();
  }
  if (!fds_.empty() && address_.is_unix()) unlink(address_.path.c_str());
  for (const int fd : fds_) close(fd);
  fds_.clear();
}

void Listener::Loop() {
  std::vector<pollfd> ready = {{stop_pipe_[0], POLLIN, 0}};
  for (const int fd : fds_) ready.push_back({fd, POLLIN, 0});
  while (true) {
    if (poll(ready.data(), ready.size(), -1) < 0) continue;  // interrupted
    if (ready[0].revents != 0) return;
    for (size_t i = 1; i < ready.size(); ++i) {
      if (ready[i].revents == 0) continue;
      for (int row = 0; row < kRowMax && AcceptOne(ready[i].fd); ++row) {
      }
    }
  }
}

bool Listener::AcceptOne(int listener_fd) {
  const int fd = accept4(listener_fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
      WarnOfRefused(std::strerror(error));
      poll(nullptr, 0, kNoRoomWaitMs);
    }
    // One that was gone before it was accepted is no reason to stop.
    return error == ECONNABORTED || error == EINTR;
  }
  if (IsTooMany(fd)) {
    close(fd);
    return true;
  }
  if (!address_.is_unix()) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kTcpPatienceMs, sizeof(kTcpPatienceMs));
  }
  accepted_.insert(fd);
  take_(listener_fd, fd);
  return true;
}

bool Listener::IsTooMany(int fd) {
  if (fd >= files_max_) {
    WarnOfRefused(absl::StrCat("there are ", files_max_, " already"));
    return true;
  }
  if (fd < limits_.per_host_max) return false;  // no host can have so many
  CountHosts();
  int& count = hosts_[HostOf(fd)];
  if (count >= limits_.per_host_max) {
    WarnOfRefused(absl::StrCat("one host has ", count, " already"));
    return true;
  }
  ++count;
  return false;
}

// gRPC owns the connections and tells of no end: the kernel is asked who is there.
void Listener::CountHosts() {
  const absl::Time now = absl::Now();
  if (now - hosts_counted_ < kCountInterval && now >= hosts_counted_) return;
  hosts_counted_ = now;
  hosts_.clear();
  for (auto fd = accepted_.begin(); fd != accepted_.end();) {
    const std::string host = HostOf(*fd);
    if (host.empty()) {
      fd = accepted_.erase(fd);
    } else {
      ++hosts_[host];
      ++fd;
    }
  }
}

void Listener::WarnOfRefused(const std::string& why) {
  ++refused_;
  const absl::Time now = absl::Now();
  if (now - warned_ < kWarnInterval && now >= warned_) return;
  spdlog::warn("connections refused at {}: {} ({} since the last such line)", address_.ToString(),
               why, refused_);
  warned_ = now;
  refused_ = 0;
}

}  // namespace modlab
