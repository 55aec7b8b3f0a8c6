// For tests: a peer that speaks HTTP/2 as badly as it likes, byte by byte.

#ifndef MODLAB_SERVER_SERVICES_RAW_CONNECTION_H_
#define MODLAB_SERVER_SERVICES_RAW_CONNECTION_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace modlab {

// What a client begins with: the preface, and settings that change nothing.
std::string Preface();
// A frame of HTTP/2.
std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, absl::string_view payload);
// A frame's head that announces `size` bytes, and none of them.
std::string FrameHead(uint32_t size, uint8_t type, uint8_t flags, uint32_t stream);
// The headers that begin a call.
std::string CallHeaders(uint32_t stream, absl::string_view method);
// Data of a call: a message's prefix that announces `announced` bytes, and `bytes`.
std::string MessageData(uint32_t stream, uint32_t announced, absl::string_view bytes, bool is_last);

// Not thread-safe.
class RawConnection {
 public:
  // To a Unix socket; or to a port of 127.0.0.1, from the address `from`.
  explicit RawConnection(const std::string& unix_path);
  RawConnection(int port, const std::string& from);
  ~RawConnection();
  RawConnection(RawConnection&& other) noexcept;
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  bool connected() const { return fd_ >= 0; }
  // Sends as much as the other side takes within `patience`; how much that was.
  size_t Send(absl::string_view bytes, absl::Duration patience = absl::Seconds(2));
  // Whether the other side has hung up, or does so within `patience`. Reads all.
  bool IsClosed(absl::Duration patience);
  // Makes the kernel keep little that was sent here and is not read.
  void KeepLittle();

 private:
  int fd_ = -1;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_RAW_CONNECTION_H_
