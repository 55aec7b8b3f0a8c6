#include "server/services/listen_address.h"

#include <sys/un.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace modlab {

namespace {

constexpr size_t kPathBytesMax = sizeof(sockaddr_un::sun_path) - 1;

}  // namespace

bool ListenAddress::is_local() const {
  return is_unix() || host == "localhost" || host == "::1" || host == "127.0.0.1";
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
    // One slash as good as many, and ToString() must not look like unix://PATH.
    address.path.erase(0, std::min(address.path.find_first_not_of('/'), address.path.size()) - 1);
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
    if (!absl::StrContains(host, ":")) return bad("has brackets around what is no IPv6 host");
  } else if (absl::StrContains(host, ":")) {
    return bad("needs brackets around an IPv6 host, as in [::1]:7070");
  }
  if (host.empty()) return bad("has no host");
  if (host.find_first_of("[]") != host.npos) return bad("has a bracket in its host");
  if (!absl::SimpleAtoi(rest.substr(colon + 1), &address.port) || address.port < 0 ||
      address.port > 65535) {
    return bad("has no port from 0 to 65535");
  }
  address.host = std::string(host);
  return address;
}

}  // namespace modlab
