// Where a coordinator listens.

#ifndef MODLAB_SERVER_SERVICES_LISTEN_ADDRESS_H_
#define MODLAB_SERVER_SERVICES_LISTEN_ADDRESS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace modlab {

struct ListenAddress {
  std::string path;  // of a Unix socket, absolute; "" for TCP
  std::string host;  // without brackets
  int port = 0;      // 0: any that is free

  bool is_unix() const { return !path.empty(); }
  // Only processes of this machine can reach it.
  bool is_local() const;
  // As users and gRPC write it: "unix:/path", "host:port", "[::1]:port".
  std::string ToString() const;
};

// Reads "HOST:PORT", "[IPV6]:PORT" or "unix:PATH". INVALID_ARGUMENT says what is
// allowed.
absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text);

// Why the address cannot be listened at, by trying: FAILED_PRECONDITION with
// the system's reason, or OK. gRPC does not tell, and would take a Unix socket
// away from whoever listens at it.
absl::Status CheckListenAddress(const ListenAddress& address);

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_LISTEN_ADDRESS_H_
