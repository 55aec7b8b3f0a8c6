#include "client/embedded.h"

#include <sys/un.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/interrupt.h"
#include "client/process.h"

namespace modlab {
namespace {

constexpr char kSocketName[] = "/modlabd.sock";
constexpr char kTemplate[] = "/modlab-XXXXXX";
// A lost worker's jobs are given away after so long; all is on one machine here.
constexpr char kLeaseSeconds[] = "10";
// For workers to hand back what they train; less than what the supervisor gives them.
constexpr char kGraceSeconds[] = "8";

absl::StatusOr<std::string> MakeSocketDirectory() {
  const char* chosen = std::getenv("TMPDIR");
  std::string parent = chosen == nullptr || *chosen == '\0' ? "/tmp" : chosen;
  if (parent.size() + sizeof(kTemplate) + sizeof(kSocketName) > sizeof(sockaddr_un::sun_path)) {
    parent = "/tmp";
  }
  std::string path = std::filesystem::absolute(parent).string() + kTemplate;
  // Mode 0700: nobody else reaches the socket.
  if (mkdtemp(path.data()) != nullptr) return path;
  return absl::InternalError(
      absl::StrCat("cannot make a directory for a socket in ", parent, ": ", std::strerror(errno)));
}

void RemoveDirectory(const std::string& path) {
  std::error_code ignored;  // what is left in a temporary directory harms nobody
  std::filesystem::remove_all(path, ignored);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Embedded>> Embedded::Start(const std::string& data_dir) {
  absl::StatusOr<std::string> program = FindProgram("modlabd");
  if (!program.ok()) return program.status();
  const std::string log_dir = data_dir + "/logs";
  std::error_code error;
  std::filesystem::create_directories(log_dir, error);
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot make the directory ", log_dir, ": ", error.message()));
  }
  absl::StatusOr<std::string> socket_dir = MakeSocketDirectory();
  if (!socket_dir.ok()) return socket_dir.status();
  std::unique_ptr<Embedded> embedded(new Embedded(log_dir, *std::move(socket_dir)));
  const absl::Status started = embedded->supervisor_.Start(
      {"coordinator",
       {*program, "--data-dir", data_dir, "--listen", embedded->address_, "--lease-seconds",
        kLeaseSeconds, "--exit-with-parent"},
       "modlabd ready at " + embedded->address_,
       /*may_go=*/false});
  if (!started.ok()) return started;
  return embedded;
}

Embedded::Embedded(const std::string& log_dir, std::string socket_dir)
    : socket_dir_(std::move(socket_dir)),
      address_(absl::StrCat("unix:", socket_dir_, kSocketName)),
      supervisor_(log_dir),
      hook_(nullptr, [this] {
        supervisor_.Kill();
        RemoveDirectory(socket_dir_);
      }) {}

Embedded::~Embedded() {
  supervisor_.Stop();
  RemoveDirectory(socket_dir_);
}

absl::Status Embedded::StartWorkers(const WorkerOptions& options) {
  absl::StatusOr<std::string> program = FindProgram("modlab-worker");
  if (!program.ok()) return program.status();
  for (int i = 1; i <= options.workers; ++i) {
    const std::string name = absl::StrCat("worker-", i);
    std::vector<std::string> argv = {
        *program, "--server", address_, "--device",        options.device, "--slots",
        "1",      "--name",   name,     "--grace-seconds", kGraceSeconds,  "--exit-with-parent"};
    if (options.gang > 0) {
      argv.push_back("--gang");
      argv.push_back(absl::StrCat(options.gang));
    }
    const absl::Status started = supervisor_.Start({name, std::move(argv), "", /*may_go=*/true});
    if (!started.ok()) return started;
  }
  return absl::OkStatus();
}

}  // namespace modlab
