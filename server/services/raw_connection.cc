#include "server/services/raw_connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace modlab {
namespace {

constexpr uint8_t kData = 0;
constexpr uint8_t kHeaders = 1;
constexpr uint8_t kSettings = 4;
constexpr uint8_t kEndStream = 1;
constexpr uint8_t kEndHeaders = 4;

std::string BigEndian(uint32_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text.push_back(static_cast<char>((value >> (8 * i)) & 255));
  return text;
}

// A header that is written out, as HPACK does without its tables.
std::string Header(absl::string_view name, absl::string_view value) {
  return absl::StrCat(std::string(1, '\0'), std::string(1, static_cast<char>(name.size())), name,
                      std::string(1, static_cast<char>(value.size())), value);
}

}  // namespace

std::string FrameHead(uint32_t size, uint8_t type, uint8_t flags, uint32_t stream) {
  return absl::StrCat(BigEndian(size, 3), std::string(1, static_cast<char>(type)),
                      std::string(1, static_cast<char>(flags)), BigEndian(stream, 4));
}

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, absl::string_view payload) {
  return absl::StrCat(FrameHead(static_cast<uint32_t>(payload.size()), type, flags, stream),
                      payload);
}

std::string Preface() {
  return absl::StrCat("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Frame(kSettings, 0, 0, ""));
}

std::string CallHeaders(uint32_t stream, absl::string_view method) {
  return Frame(kHeaders, kEndHeaders, stream,
               absl::StrCat(Header(":method", "POST"), Header(":scheme", "http"),
                            Header(":path", method), Header(":authority", "localhost"),
                            Header("te", "trailers"), Header("content-type", "application/grpc")));
}

std::string MessageData(uint32_t stream, uint32_t announced, absl::string_view bytes,
                        bool is_last) {
  return Frame(kData, is_last ? kEndStream : 0, stream,
               absl::StrCat(std::string(1, '\0'), BigEndian(announced, 4), bytes));
}

RawConnection::RawConnection(const std::string& unix_path)
    : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un target{};
  target.sun_family = AF_UNIX;
  unix_path.copy(target.sun_path, sizeof(target.sun_path) - 1);
  if (fd_ >= 0 && connect(fd_, reinterpret_cast<sockaddr*>(&target), sizeof(target)) != 0) {
    close(std::exchange(fd_, -1));
  }
}

RawConnection::RawConnection(int port, const std::string& from)
    : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  inet_pton(AF_INET, from.c_str(), &address.sin_addr);
  if (fd_ < 0) return;
  bool done = bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  address.sin_port = htons(static_cast<uint16_t>(port));
  done = done && connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  if (!done) close(std::exchange(fd_, -1));
}

RawConnection::~RawConnection() {
  if (fd_ >= 0) close(fd_);
}

RawConnection::RawConnection(RawConnection&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

size_t RawConnection::Send(absl::string_view bytes, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  size_t sent = 0;
  while (fd_ >= 0 && sent < bytes.size() && absl::Now() < deadline) {
    const ssize_t now =
        send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (now > 0) {
      sent += static_cast<size_t>(now);
    } else if (errno != EAGAIN && errno != EINTR) {
      break;
    } else {
      pollfd ready = {fd_, POLLOUT, 0};
      poll(&ready, 1, static_cast<int>(absl::ToInt64Milliseconds(deadline - absl::Now())) + 1);
    }
  }
  return sent;
}

bool RawConnection::IsClosed(absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  char ignored[4096];
  while (fd_ >= 0) {
    const ssize_t got = recv(fd_, ignored, sizeof(ignored), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return true;
    if (got > 0) continue;
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return false;
    pollfd ready = {fd_, POLLIN, 0};
    poll(&ready, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
  }
  return true;
}

void RawConnection::KeepLittle() {
  const int bytes = 4096;
  setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

}  // namespace modlab
