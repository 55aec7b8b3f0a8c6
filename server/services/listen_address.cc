#include "server/services/listen_address.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace modlab {

namespace {

constexpr size_t kPathBytesMax = sizeof(sockaddr_un::sun_path) - 1;

absl::Status Refused(const ListenAddress& address, const std::string& why) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot listen at ", address.ToString(), ": ", why));
}

absl::Status CheckUnixSocket(const ListenAddress& address) {
  struct stat file {};
  if (lstat(address.path.c_str(), &file) == 0 && !S_ISSOCK(file.st_mode)) {
    return Refused(address, "a file that is no socket has that name");
  }
  const std::string directory = std::filesystem::path(address.path).parent_path().string();
  if (access(directory.c_str(), W_OK | X_OK) != 0) {
    return Refused(address, absl::StrCat(directory, ": ", std::strerror(errno)));
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Refused(address, std::strerror(errno));
  sockaddr_un target{};
  target.sun_family = AF_UNIX;
  address.path.copy(target.sun_path, kPathBytesMax);
  const bool answers = connect(fd, reinterpret_cast<sockaddr*>(&target), sizeof(target)) == 0;
  close(fd);
  return answers ? Refused(address, "another process listens there") : absl::OkStatus();
}

absl::Status CheckTcp(const ListenAddress& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int failure =
      getaddrinfo(address.host.c_str(), absl::StrCat(address.port).c_str(), &hints, &found);
  if (failure != 0) return Refused(address, gai_strerror(failure));
  absl::Status status;
  for (const addrinfo* one = found; one != nullptr && status.ok(); one = one->ai_next) {
    const int fd = socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol);
    if (fd < 0) continue;  // a protocol that this machine does not have
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, one->ai_addr, one->ai_addrlen) != 0 || listen(fd, 1) != 0) {
      status = Refused(address, std::strerror(errno));
    }
    close(fd);
  }
  freeaddrinfo(found);
  return status;
}

}  // namespace

bool ListenAddress::is_local() const {
  return is_unix() || host == "localhost" || host == "::1" || absl::StartsWith(host, "127.");
}

std::string ListenAddress::ToString() const {
  if (is_unix()) return absl::StrCat("unix:", path);
  const bool is_v6 = absl::StrContains(host, ":");
  return absl::StrCat(is_v6 ? "[" : "", host, is_v6 ? "]" : "", ":", port);
}

absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text) {
  const auto bad = [text](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("the address \"", text, "\" ", why, "; allowed are HOST:PORT and unix:PATH"));
  };
  ListenAddress address;
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "unix:")) {
    absl::ConsumePrefix(&rest, "//");
    if (rest.empty()) return bad("has no path");
    std::error_code error;
    address.path = std::filesystem::absolute(std::string(rest), error).string();
    if (error) return bad("has a path that cannot be resolved");
    if (address.path.size() > kPathBytesMax) {
      return bad(absl::StrCat("has a path of ", address.path.size(), " bytes where the system has ",
                              "room for ", kPathBytesMax));
    }
    return address;
  }
  const size_t colon = rest.rfind(':');
  if (colon == absl::string_view::npos) return bad("has no port");
  absl::string_view host = rest.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) {
    if (!absl::ConsumeSuffix(&host, "]")) return bad("lacks a closing bracket");
  } else if (absl::StrContains(host, ":")) {
    return bad("needs brackets around an IPv6 host, as in [::1]:7070");
  }
  if (host.empty()) return bad("has no host");
  if (!absl::SimpleAtoi(rest.substr(colon + 1), &address.port) || address.port < 0 ||
      address.port > 65535) {
    return bad("has no port from 0 to 65535");
  }
  address.host = std::string(host);
  return address;
}

absl::Status CheckListenAddress(const ListenAddress& address) {
  return address.is_unix() ? CheckUnixSocket(address) : CheckTcp(address);
}

}  // namespace modlab
