#include "tests/e2e/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace modlab::e2e {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(10);

}  // namespace

bool WaitUntil(const std::function<bool()>& condition, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  while (!condition()) {
    if (testing::Test::HasFailure() || absl::Now() > deadline) return false;
    absl::SleepFor(kPollInterval);
  }
  return true;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

std::vector<pid_t> ProcessesWith(const std::string& text) {
  std::vector<pid_t> found;
  DIR* proc = opendir("/proc");
  while (const dirent* entry = readdir(proc)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry->d_name, &pid) || pid == getpid()) continue;
    // A zombie has no command line any more.
    const std::string command = ReadFile(absl::StrCat("/proc/", pid, "/cmdline"));
    if (command.find(text) != std::string::npos) found.push_back(pid);
  }
  closedir(proc);
  return found;
}

Process::Process(std::vector<std::string> argv, const std::string& out_path,
                 const std::string& err_path) {
  std::vector<char*> pointers;
  for (std::string& argument : argv) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ != 0) return;

  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  const int flags = O_WRONLY | O_CREAT | O_APPEND;
  const int in = open("/dev/null", O_RDONLY);
  const int out = open(out_path.c_str(), flags, 0644);
  const int err = open(err_path.c_str(), flags, 0644);
  if (in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(127);
  unsetenv("MODLAB_SERVER");
  setenv("TMPDIR", out_path.substr(0, out_path.rfind('/')).c_str(), 1);
  execv(pointers[0], pointers.data());
  _exit(127);
}

Process::~Process() { Kill(); }

std::optional<int> Process::Wait(absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  while (!exit_code_ && pid_ > 0) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    } else if (absl::Now() > deadline) {
      break;
    } else {
      absl::SleepFor(kPollInterval);
    }
  }
  return exit_code_;
}

void Process::Signal(int number) {
  if (pid_ > 0 && !exit_code_) kill(pid_, number);
}

void Process::Kill() {
  Signal(SIGKILL);
  Wait();
}

Output RunToEnd(std::vector<std::string> argv, const std::string& scratch,
                absl::Duration patience) {
  const std::string out_path = scratch + ".out";
  const std::string err_path = scratch + ".err";
  unlink(out_path.c_str());
  unlink(err_path.c_str());
  Process process(std::move(argv), out_path, err_path);
  Output output;
  output.exit_code = process.Wait(patience).value_or(-1);
  output.out = ReadFile(out_path);
  output.err = ReadFile(err_path);
  return output;
}

}  // namespace modlab::e2e
