// A child process under test: started, watched, and always ended.

#ifndef MODLAB_TESTS_E2E_PROCESS_H_
#define MODLAB_TESTS_E2E_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace modlab::e2e {

// Generous: a loaded machine must not fail a test, a hang must not hold it up.
inline constexpr absl::Duration kPatience = absl::Seconds(60);

// Polls until `condition` holds; false after `patience`, and once the test has
// failed.
bool WaitUntil(const std::function<bool()>& condition, absl::Duration patience = kPatience);

// The whole of a file; "" where there is none.
std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& text);

// Processes whose command line has `text` in it, less zombies. Finds what a
// program under test left behind.
std::vector<pid_t> ProcessesWith(const std::string& text);

class Process {
 public:
  // Starts argv[0], a path, with no input, without MODLAB_SERVER, and with the
  // directory of `out_path` as TMPDIR. Output is appended to the two files, which
  // may be one. When the test ends, however
  // it ends, the kernel kills it. Use from the main thread only.
  Process(std::vector<std::string> argv, const std::string& out_path, const std::string& err_path);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool running() { return !Wait(absl::ZeroDuration()).has_value(); }
  // The exit code, or 128 + signal; empty if it still runs after `patience`.
  std::optional<int> Wait(absl::Duration patience = kPatience);
  void Signal(int number);
  // kill -9, and returns once it is gone.
  void Kill();

 private:
  pid_t pid_ = -1;
  std::optional<int> exit_code_;
};

// What a command that ended has said.
struct Output {
  int exit_code = -1;  // -1: had to be killed, it ran too long
  std::string out;
  std::string err;
};

// Runs a program to its end. `scratch` is a path that files may be made at.
Output RunToEnd(std::vector<std::string> argv, const std::string& scratch,
                absl::Duration patience = kPatience);

}  // namespace modlab::e2e

#endif  // MODLAB_TESTS_E2E_PROCESS_H_
