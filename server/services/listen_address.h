// Where a coordinator listens.

#ifndef MODLAB_SERVER_SERVICES_LISTEN_ADDRESS_H_
#define MODLAB_SERVER_SERVICES_LISTEN_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace modlab {

struct ListenAddress {
  std::string path;  // of a Unix socket, absolute; "" for TCP
  std::string host;  // without brackets
  int port = 0;      // 0: any that is free

  bool is_unix() const { return !path.empty(); }
  // Only processes of this machine can reach it: a Unix socket, localhost, 127.0.0.1
  // or ::1.
  bool is_local() const;
  // As users and gRPC write it: "unix:/path", "host:port", "[::1]:port".
  std::string ToString() const;
};

// Reads "HOST:PORT", "[IPV6]:PORT" or "unix:PATH". INVALID_ARGUMENT says what is
// allowed.
absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text);

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_LISTEN_ADDRESS_H_
