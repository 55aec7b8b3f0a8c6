#include "client/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace modlab {
namespace {

constexpr int64_t kTailBytesMax = 16 << 10;

bool IsProgram(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && access(path.c_str(), X_OK) == 0;
}

// From here to exec only calls that are safe after fork() in a process with
// threads. Never returns.
[[noreturn]] void BecomeProgram(char* const argv[], pid_t parent, int input, int log,
                                int error_pipe) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  setpgid(0, 0);
  signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (dup2(input, 0) == 0 && dup2(log, 1) == 1 && dup2(log, 2) == 2) {
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    execv(argv[0], argv);
  }
  const int error = errno;
  // Nothing can be done where even this fails: the parent sees an early end.
  [[maybe_unused]] const ssize_t written = write(error_pipe, &error, sizeof(error));
  _exit(127);
}

}  // namespace

absl::StatusOr<std::string> FindProgram(const std::string& name) {
  std::error_code error;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe", error).string();
  const std::string beside = absl::StrCat(self.substr(0, self.rfind('/') + 1), name);
  if (!error && IsProgram(beside)) return beside;
  const char* path = std::getenv("PATH");
  for (const auto directory : absl::StrSplit(path == nullptr ? "" : path, ':')) {
    const std::string candidate = absl::StrCat(directory.empty() ? "." : directory, "/", name);
    if (IsProgram(candidate)) return candidate;
  }
  return absl::NotFoundError(
      absl::StrCat("cannot find the program ", name, ": it is neither ", beside, " nor in PATH"));
}

absl::StatusOr<pid_t> SpawnProcess(const std::vector<std::string>& argv,
                                   const std::string& log_path) {
  const auto fail = [&](const std::string& what) {
    return absl::InternalError(absl::StrCat("cannot start ", argv[0], ": ", what));
  };
  std::vector<char*> pointers;
  for (const std::string& argument : argv) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);

  const int log = open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) return fail(absl::StrCat(log_path, ": ", std::strerror(errno)));
  const int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int error_pipe[2] = {-1, -1};
  if (input < 0 || pipe2(error_pipe, O_CLOEXEC) != 0) {
    const std::string what = std::strerror(errno);
    close(log);
    if (input >= 0) close(input);
    return fail(what);
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) BecomeProgram(pointers.data(), parent, input, log, error_pipe[1]);
  int error = pid < 0 ? errno : 0;
  close(input);
  close(log);
  close(error_pipe[1]);
  // Ends with nothing read when exec closes the child's end.
  while (pid > 0 && read(error_pipe[0], &error, sizeof(error)) < 0 && errno == EINTR) {
  }
  close(error_pipe[0]);
  if (error == 0) return pid;
  if (pid > 0) waitpid(pid, nullptr, 0);
  return fail(std::strerror(error));
}

std::optional<std::string> ReapProcess(pid_t pid) {
  int status = 0;
  const pid_t reaped = waitpid(pid, &status, WNOHANG);
  if (reaped == 0) return std::nullopt;
  if (reaped < 0) return errno == EINTR ? std::nullopt : std::optional<std::string>("gone");
  if (WIFSIGNALED(status)) {
    return absl::StrCat("signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")");
  }
  return absl::StrCat("exit code ", WEXITSTATUS(status));
}

int64_t FileBytes(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

std::string FileTail(const std::string& path, int64_t offset_bytes, int lines_max) {
  const int64_t start = std::max(offset_bytes, FileBytes(path) - kTailBytesMax);
  std::ifstream file(path, std::ios::binary);
  file.seekg(start);
  std::string text(kTailBytesMax, '\0');
  file.read(text.data(), kTailBytesMax);
  text.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  size_t from = text.size();
  for (int line = 0; line < lines_max && from != std::string::npos && from > 0; ++line) {
    from = text.rfind('\n', from - 1);
  }
  return from == std::string::npos || from == 0 ? text : text.substr(from + 1);
}

}  // namespace modlab
