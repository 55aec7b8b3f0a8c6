// Child processes: finding the program, starting it, reading its log.
//
// Thread-safe.

#ifndef MODLAB_CLIENT_PROCESS_H_
#define MODLAB_CLIENT_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace modlab {

// The program `name` beside this one's own executable, else along PATH.
// NOT_FOUND says where it was looked for.
absl::StatusOr<std::string> FindProgram(const std::string& name);

// Starts argv[0], a path, with no input and with its output appended to
// `log_path`, in a process group of its own, so that a Ctrl-C at the terminal
// reaches it through its parent only. The kernel ends it with SIGKILL when the
// calling thread ends. The caller owns the process: it must reap it.
absl::StatusOr<pid_t> SpawnProcess(const std::vector<std::string>& argv,
                                   const std::string& log_path);

// What ReapProcess() says of success.
inline constexpr char kEndedWell[] = "exit code 0";

// How the child ended ("exit code 1", "signal 9 (Killed)"), and reaps it; empty
// while it runs.
std::optional<std::string> ReapProcess(pid_t pid);

// Bytes of a file; 0 where there is none.
int64_t FileBytes(const std::string& path);

// At most the last `lines_max` lines of what `path` holds after `offset_bytes`,
// and of these the last 16 KiB.
std::string FileTail(const std::string& path, int64_t offset_bytes, int lines_max);

}  // namespace modlab

#endif  // MODLAB_CLIENT_PROCESS_H_
