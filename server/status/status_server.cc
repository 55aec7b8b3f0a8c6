#include "server/status/status_server.h"

#include <httplib.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/sync/mutex.h"
#include "server/status/metrics_text.h"
#include "server/status/status_reader.h"

namespace modlab {
namespace {

// Served at a time. Each has a thread, so that one that sends or reads slowly holds up no
// other.
constexpr size_t kConnectionsMax = 32;
constexpr std::chrono::milliseconds kPatience(2000);
constexpr time_t kIdleSeconds = 1;
constexpr int kStartTries = 5000;          // a millisecond each
constexpr size_t kRequestBytesMax = 1024;  // nobody needs to send anything

constexpr char kPlain[] = "text/plain; charset=utf-8";
constexpr char kExposition[] = "text/plain; version=0.0.4; charset=utf-8";

// httplib's pool takes connections without limit. This one lets it accept no more
// while kConnectionsMax are there.
class BoundedQueue final : public httplib::TaskQueue {
 public:
  BoundedQueue() : pool_(kConnectionsMax) {}

  // Newer versions ask for a bool, which says that it was taken.
  using Taken = decltype(std::declval<httplib::TaskQueue&>().enqueue(nullptr));
  Taken enqueue(std::function<void()> task) override {
    {
      const MutexLock lock(&mutex_);
      while (connections_ >= kConnectionsMax) left_.Wait(&mutex_);
      ++connections_;
    }
    pool_.enqueue([this, task = std::move(task)] {
      task();
      const MutexLock lock(&mutex_);
      --connections_;
      left_.NotifyOne();
    });
    return Taken(true);
  }
  void shutdown() override { pool_.shutdown(); }

 private:
  httplib::ThreadPool pool_;
  Mutex mutex_;
  Condition left_;
  size_t connections_ ABSL_GUARDED_BY(mutex_) = 0;
};

void Answer(int code, std::string text, const char* type, httplib::Response* response) {
  response->status = code;
  response->set_header("Cache-Control", "no-store");
  response->set_content(std::move(text), type);
}

}  // namespace

StatusServer::StatusServer(StatusProbe::Source source)
    : probe_(std::move(source)), server_(std::make_unique<httplib::Server>()) {
  server_->new_task_queue = [] { return new BoundedQueue; };
  // Two at one port would each get half of the calls, which httplib would allow.
  server_->set_socket_options([](auto socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  server_->set_payload_max_length(kRequestBytesMax);
  server_->set_read_timeout(kIdleSeconds, 0);
  server_->set_write_timeout(kIdleSeconds, 0);
  server_->set_keep_alive_timeout(kIdleSeconds);  // for the first byte
  server_->set_keep_alive_max_count(1);
  AddPages();
}

void StatusServer::AddPages() {
  server_->Get("/", [](const httplib::Request&, httplib::Response& response) {
    Answer(200, "modlabd: /metrics, /healthz, /readyz\n", kPlain, &response);
  });
  server_->Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
    Answer(200, "ok\n", kPlain, &response);
  });
  server_->Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
    const absl::Status ready = Readiness(*probe_.Get(kPatience));
    if (ready.ok()) {
      Answer(200, "ok\n", kPlain, &response);
    } else {
      Answer(503, absl::StrCat(std::string(ready.message()), "\n"), kPlain, &response);
    }
  });
  server_->Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    const auto status = probe_.Get(kPatience);
    if (status->ok()) {
      Answer(200, MetricsText(**status), kExposition, &response);
    } else {
      Answer(503, absl::StrCat(std::string(Readiness(*status).message()), "\n"), kPlain, &response);
    }
  });
}

absl::StatusOr<std::unique_ptr<StatusServer>> StatusServer::Start(const std::string& host, int port,
                                                                  StatusProbe::Source source) {
  std::unique_ptr<StatusServer> server(new StatusServer(std::move(source)));
  errno = 0;
  if (port == 0) {
    server->port_ = server->server_->bind_to_any_port(host.c_str());
  } else {
    server->port_ = server->server_->bind_to_port(host.c_str(), port) ? port : -1;
  }
  if (server->port_ <= 0) {
    return absl::FailedPreconditionError(absl::StrCat("cannot serve metrics at ", host, ":", port,
                                                      errno != 0 ? ": " : "",
                                                      errno != 0 ? std::strerror(errno) : ""));
  }
  server->thread_ = std::thread([raw = server->server_.get()] { raw->listen_after_bind(); });
  // A stop before it runs would be lost.
  for (int tries = 0; tries < kStartTries; ++tries) {
    if (server->server_->is_running()) return server;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return absl::FailedPreconditionError(absl::StrCat("cannot serve metrics at ", host, ":", port));
}

StatusServer::~StatusServer() {
  server_->stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace modlab
