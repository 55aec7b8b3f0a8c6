#include "client/report/gnuplot.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/process.h"

namespace modlab {
namespace {

// Of what gnuplot complains about, so much is told.
constexpr size_t kComplaintBytesMax = 2000;

absl::Status SystemError(const char* what) {
  return absl::InternalError(absl::StrCat("cannot run gnuplot: ", what, ": ", strerror(errno)));
}

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { Reset(-1); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  void Reset(int fd) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read_end;
  Descriptor write_end;

  bool Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read_end.Reset(ends[0]);
    write_end.Reset(ends[1]);
    return true;
  }
};

// A nameless file with `text`, at its beginning. As the child's input it needs
// nobody who feeds it.
absl::Status WriteInput(absl::string_view text, Descriptor* input) {
  input->Reset(memfd_create("gnuplot-script", MFD_CLOEXEC));
  if (input->get() < 0) return SystemError("memfd_create");
  while (!text.empty()) {
    const ssize_t written = write(input->get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError("write");
    text.remove_prefix(static_cast<size_t>(written));
  }
  if (lseek(input->get(), 0, SEEK_SET) != 0) return SystemError("lseek");
  return absl::OkStatus();
}

absl::StatusOr<pid_t> Start(const std::string& program, int input, int output, int complaints) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  const absl::Cleanup destroy = [&] {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  };
  posix_spawn_file_actions_adddup2(&files, input, 0);
  posix_spawn_file_actions_adddup2(&files, output, 1);
  posix_spawn_file_actions_adddup2(&files, complaints, 2);
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  sigset_t signals;
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);
  sigaddset(&signals, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &signals);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  // Neither the user's locale nor GNUTERM, GNUPLOT_LIB and the like reach it.
  std::string name = program;
  std::string defaults = "--default-settings";
  std::string locale = "LC_ALL=C.UTF-8";
  char* const argv[] = {name.data(), defaults.data(), nullptr};
  char* const environment[] = {locale.data(), nullptr};
  pid_t pid = 0;
  const int error = posix_spawn(&pid, name.c_str(), &files, &attributes, argv, environment);
  if (error != 0) {
    return absl::InternalError(absl::StrCat("cannot start ", program, ": ", strerror(error)));
  }
  return pid;
}

// Appends what waits in `pipe` to `text`; closes it at its end.
void ReadSome(Descriptor* pipe, std::string* text) {
  char buffer[1 << 16];
  const ssize_t count = read(pipe->get(), buffer, sizeof(buffer));
  if (count > 0) text->append(buffer, static_cast<size_t>(count));
  if (count == 0 || (count < 0 && errno != EINTR)) pipe->Reset(-1);
}

// Reads both pipes to their ends.
absl::Status ReadAll(absl::Duration timeout, Descriptor* output, Descriptor* complaints,
                     std::string* svg, std::string* complaint) {
  const absl::Time deadline = absl::Now() + timeout;
  while (output->get() >= 0 || complaints->get() >= 0) {
    const int64_t left_ms = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left_ms <= 0) {
      return absl::DeadlineExceededError(
          absl::StrCat("gnuplot did not finish within ", absl::FormatDuration(timeout)));
    }
    // poll() passes over a closed (negative) descriptor.
    pollfd waiting[] = {{output->get(), POLLIN, 0}, {complaints->get(), POLLIN, 0}};
    const int wait_ms = static_cast<int>(std::min<int64_t>(left_ms, 60000));
    if (poll(waiting, 2, wait_ms) < 0 && errno != EINTR) return SystemError("poll");
    if (waiting[0].revents != 0) ReadSome(output, svg);
    if (waiting[1].revents != 0) ReadSome(complaints, complaint);
    if (svg->size() > kSvgBytesMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat("gnuplot wrote more than ", kSvgBytesMax >> 20, " MiB for one figure"));
    }
    if (complaint->size() > kComplaintBytesMax) complaint->resize(kComplaintBytesMax);
  }
  return absl::OkStatus();
}

// The bytes of the character that `text` begins with; 0 if that is no UTF-8, or
// no character of XML.
size_t CharacterBytes(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t length = byte(0) < 0x80   ? 1
                        : byte(0) < 0xC2 ? 0
                        : byte(0) < 0xE0 ? 2
                        : byte(0) < 0xF0 ? 3
                        : byte(0) < 0xF5 ? 4
                                         : 0;
  if (length == 0 || length > text.size()) return 0;
  uint32_t code = length == 1 ? byte(0) : byte(0) & (0x7FU >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3FU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  const bool forbidden = code == 0xFFFE || code == 0xFFFF || code > 0x10FFFF;
  return overlong || surrogate || forbidden ? 0 : length;
}

}  // namespace

absl::StatusOr<std::string> RunGnuplot(absl::string_view script, absl::Duration timeout) {
  const auto program = FindProgram("gnuplot");
  if (!program.ok()) {
    return absl::NotFoundError(
        absl::StrCat(program.status().message(),
                     ". It draws the figures: install it (Debian: apt-get install gnuplot-nox)"));
  }
  Descriptor input;
  if (const auto status = WriteInput(script, &input); !status.ok()) return status;
  Pipe output;
  Pipe complaints;
  if (!output.Open() || !complaints.Open()) return SystemError("pipe");
  const auto pid = Start(*program, input.get(), output.write_end.get(), complaints.write_end.get());
  if (!pid.ok()) return pid.status();
  output.write_end.Reset(-1);
  complaints.write_end.Reset(-1);

  std::string svg;
  std::string complaint;
  const absl::Status read =
      ReadAll(timeout, &output.read_end, &complaints.read_end, &svg, &complaint);
  if (!read.ok()) kill(*pid, SIGKILL);
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!read.ok()) return read;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return absl::InternalError(
        absl::StrCat("gnuplot failed: ", absl::StripAsciiWhitespace(PlainText(complaint))));
  }
  return svg;
}

std::string PlainText(absl::string_view text) {
  std::string plain;
  while (!text.empty()) {
    const size_t length = CharacterBytes(text);
    if (length == 0) {
      plain += "\uFFFD";
    } else if (length == 1 && absl::ascii_iscntrl(static_cast<unsigned char>(text[0]))) {
      plain += ' ';
    } else {
      absl::StrAppend(&plain, text.substr(0, length));
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return plain;
}

std::string GnuplotString(absl::string_view text) {
  // Only what means nothing to gnuplot stands for itself; digits do not, because an
  // octal escape goes on as long as digits follow. A string in single quotes would
  // not do: gnuplot ends it too early at a quote that comes first.
  std::string constant = "\"";
  for (const char c : PlainText(text)) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalpha(byte) || c == ' ') {
      constant += c;
    } else {
      absl::StrAppendFormat(&constant, "\\%03o", byte);
    }
  }
  return constant + "\"";
}

std::string GnuplotNumber(double value) {
  if (!std::isfinite(value)) return "NaN";
  // The exponent keeps gnuplot from reading an integer, which it divides as such.
  char buffer[32];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  return std::string(buffer, end.ptr);
}

}  // namespace modlab
