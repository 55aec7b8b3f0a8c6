// One line of progress that is redrawn, for people who look on.

#ifndef MODLAB_CLIENT_LIVE_LINE_H_
#define MODLAB_CLIENT_LIVE_LINE_H_

#include <unistd.h>

#include <cstdio>
#include <string>

namespace modlab {

// On standard error, where that is a terminal; else silent. Wiped away at its end. Not
// thread-safe.
class LiveLine {
 public:
  LiveLine() : live_(isatty(STDERR_FILENO) != 0) {}
  ~LiveLine() { Show(""); }
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;

  // Shorter than a terminal is wide.
  void Show(const std::string& line) {
    if (!live_ || line == shown_) return;
    std::fprintf(stderr, "\r%s\x1b[K", line.c_str());
    std::fflush(stderr);
    shown_ = line;
  }

 private:
  const bool live_;
  std::string shown_;
};

}  // namespace modlab

#endif  // MODLAB_CLIENT_LIVE_LINE_H_
