#include "client/connection.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/embedded.h"
#include "client/interrupt.h"
#include "rpc/channel.h"
#include "server/store/data_dir.h"

namespace modlab {
namespace {

constexpr char kDefaultDataDir[] = "modlab-data";
constexpr char kStoreFile[] = "/modlab.db";
// One call; a sweep of a million jobs takes a while.
constexpr std::chrono::minutes kCallTimeout(5);
// Results answer with up to 64 MiB.
constexpr int kMessageBytesMax = 80 << 20;
constexpr absl::Duration kBackoffMin = absl::Milliseconds(100);
constexpr absl::Duration kBackoffMax = absl::Seconds(1);
// Others that use the data directory for one command are soon done.
constexpr absl::Duration kDataDirPatience = absl::Seconds(20);

constexpr char kHowToStart[] =
    "Start one with `modlabd --data-dir DIR --listen ADDR`, or run a sweep with everything that "
    "it needs: `modlab run FILE`.";

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  arguments.SetMaxSendMessageSize(kMessageBytesMax);
  // The minimum is also how long one attempt to connect may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return arguments;
}

// The options as they would be written behind a command.
std::string Flags(const EndpointOptions& options) {
  std::string flags;
  const std::pair<const char*, const std::string&> given[] = {
      {" --tls-ca ", options.tls_ca},
      {" --tls-cert ", options.tls_cert},
      {" --tls-key ", options.tls_key},
      {" --token-file ", options.token_file}};
  for (const auto& [name, value] : given) {
    if (!value.empty()) absl::StrAppend(&flags, name, value);
  }
  return flags;
}

// gRPC tells causes from the outside in; the last one is the reason.
std::string LastCause(const std::string& message) {
  const size_t at = message.rfind(": ");
  return at == std::string::npos ? message : message.substr(at + 2);
}

// Why no connection came about, where TLS is the likely reason.
std::string TlsHint(const std::string& message) {
  if (absl::StrContains(message, "certificate verify failed")) {
    return "Its certificate is not signed by what --tls-ca (or MODLAB_TLS_CA) holds, or has "
           "expired. ";
  }
  if (absl::StrContains(message, "is not in peer certificate")) {
    return "Its certificate is for another name: use a name that it lists. ";
  }
  if (absl::StrContains(message, "wrong version number")) {
    return "It does not speak TLS: leave out --tls-ca (or MODLAB_TLS_CA). ";
  }
  if (absl::StrContains(message, "Socket closed")) {
    return "If it speaks TLS, give --tls-ca FILE, and --tls-cert with --tls-key if it asks for a "
           "certificate. ";
  }
  return "";
}

absl::Status ForPeople(const grpc::Status& status, const std::string& address) {
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  switch (status.error_code()) {
    case grpc::StatusCode::UNAUTHENTICATED:
      return absl::Status(code,
                          absl::StrCat("the coordinator at ", address,
                                       " did not let this call in: ", status.error_message(),
                                       ". Give --token-file FILE, or set MODLAB_TOKEN or "
                                       "MODLAB_TOKEN_FILE; `modlabd tokens create` makes tokens"));
    case grpc::StatusCode::UNAVAILABLE:
      return absl::Status(code, absl::StrCat("no coordinator answers at ", address, ": ",
                                             LastCause(status.error_message()), ". ",
                                             TlsHint(status.error_message()), kHowToStart));
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return absl::Status(
          code, absl::StrCat("the coordinator at ", address, " did not answer within 5 minutes"));
    case grpc::StatusCode::UNIMPLEMENTED:
      return absl::Status(code, absl::StrCat("what answers at ", address,
                                             " is no modlab coordinator, or an older one: ",
                                             status.error_message()));
    default:
      return absl::Status(code, status.error_message());
  }
}

bool FileExists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

}  // namespace

// Commands that start a coordinator for themselves use a data directory one
// after the other: a kernel lock on the directory, gone with its holder.
class Connection::Turn {
 public:
  // Waits, but not for ever: whoever has it that long has a coordinator that
  // stays long enough.
  explicit Turn(const std::string& data_dir)
      : fd_(open(data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    const absl::Time deadline = absl::Now() + kDataDirPatience;
    while (fd_ >= 0 && flock(fd_, LOCK_EX | LOCK_NB) != 0 && absl::Now() < deadline &&
           Interrupt::Sleep(absl::Milliseconds(20))) {
    }
  }
  ~Turn() {
    if (fd_ >= 0) close(fd_);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  const int fd_;
};

Connection::Connection(std::string address, std::string flags, std::string place,
                       std::shared_ptr<grpc::Channel> channel)
    : address_(std::move(address)),
      flags_(std::move(flags)),
      place_(std::move(place)),
      channel_(std::move(channel)) {}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Make(const std::string& address,
                                                             const EndpointOptions& options,
                                                             std::string flags, std::string place) {
  const absl::StatusOr<Endpoint> endpoint = ReadEndpoint(address, options);
  if (!endpoint.ok()) return endpoint.status();
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = OpenChannel(*endpoint, Arguments());
  if (!channel.ok()) return channel.status();
  return std::unique_ptr<Connection>(new Connection(address, std::move(flags) + Flags(options),
                                                    std::move(place), *std::move(channel)));
}

Connection::~Connection() {
  // A coordinator that stops waits for its clients. The next one's turn begins
  // when ours is gone.
  channel_.reset();
  embedded_.reset();
}

void Connection::Share() { turn_.reset(); }

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const Choice& choice, Store store) {
  const char* variable = std::getenv("MODLAB_SERVER");
  std::string server = choice.server;
  std::string flags;
  if (!server.empty()) {
    flags = " --server " + server;
  } else if (!choice.data_dir.empty()) {
    return OpenDataDir(choice.data_dir, choice.options, " --data-dir " + choice.data_dir, store);
  } else if (variable != nullptr) {
    server = variable;
  }
  if (!server.empty()) {
    if (server.find(':') == std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat(flags.empty() ? "MODLAB_SERVER" : "--server", ": \"", server,
                       "\" is no address; give HOST:PORT or unix:PATH"));
    }
    return Make(server, choice.options, flags, "at " + server);
  }
  if (store == Store::kMustExist && !FileExists(kDefaultDataDir)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "which coordinator? Give --server ADDR (or set MODLAB_SERVER) or --data-dir DIR; there is "
        "no ./modlab-data here. ",
        kHowToStart));
  }
  return OpenDataDir(kDefaultDataDir, choice.options, "", store);
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::OpenDataDir(const std::string& data_dir,
                                                                    const EndpointOptions& options,
                                                                    const std::string& flags,
                                                                    Store store) {
  if (store == Store::kMustExist && !FileExists(data_dir + kStoreFile)) {
    return absl::FailedPreconditionError(
        absl::StrCat("there is no modlab store in ", data_dir,
                     "; `modlab run FILE` or `modlab submit FILE` with --data-dir makes one"));
  }
  const std::string path = std::filesystem::absolute(data_dir).lexically_normal().string();
  const std::string place = "in " + data_dir;
  std::error_code error;
  if (store == Store::kCreate) std::filesystem::create_directories(path, error);
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot make the directory ", data_dir, ": ", error.message()));
  }
  auto turn = std::make_unique<Turn>(path);
  const absl::Time deadline = absl::Now() + kDataDirPatience;
  while (true) {
    auto running = DataDir::RunningAddress(path);
    if (running.ok() && running->has_value()) {
      return Make(**running, options, flags, place);
    }
    if (running.ok()) {
      auto embedded = Embedded::Start(path);
      if (!embedded.ok()) return embedded.status();
      auto connection = Make((*embedded)->address(), options, flags, place);
      if (!connection.ok()) return connection;
      (*connection)->turn_ = std::move(turn);
      (*connection)->embedded_ = *std::move(embedded);
      return connection;
    }
    // It may be just starting.
    if (!absl::IsUnavailable(running.status()) || absl::Now() > deadline ||
        !Interrupt::Sleep(kBackoffMin)) {
      return running.status();
    }
  }
}

absl::Status Connection::Attempt(const std::function<grpc::Status(grpc::ClientContext*)>& call,
                                 absl::Duration patience) const {
  const absl::Time give_up = absl::Now() + patience;
  absl::Duration backoff = kBackoffMin;
  while (true) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
    grpc::Status status;
    {
      const Interrupt::Hook hook([&context] { context.TryCancel(); }, nullptr);
      status = call(&context);
    }
    if (status.ok()) return absl::OkStatus();
    if (Interrupt::Requested()) return absl::CancelledError("interrupted");
    if (embedded_ != nullptr) {
      absl::Status children = embedded_->status();
      if (!children.ok()) return children;
    }
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE || absl::Now() >= give_up) {
      return ForPeople(status, address_);
    }
    Interrupt::Sleep(backoff);
    backoff = std::min(backoff * 2, kBackoffMax);
  }
}

}  // namespace modlab
