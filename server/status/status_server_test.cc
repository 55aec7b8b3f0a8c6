#include "server/status/status_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/status/status_reader.h"

namespace modlab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::chrono::milliseconds kSoon(10'000);

EngineStatus Status(const std::string& trouble, int64_t seconds_ago) {
  EngineStatus status;
  status.view.set_now_us(100'000'000);
  status.view.set_trouble(trouble);
  if (!trouble.empty()) status.trouble_us = 100'000'000 - seconds_ago * 1'000'000;
  return status;
}

// A connection to the port; closed at its end.
class Client {
 public:
  explicit Client(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience = {20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr generic = {};
    static_assert(sizeof(generic) == sizeof(address));
    std::memcpy(&generic, &address, sizeof(address));
    connected_ = connect(fd_, &generic, sizeof(generic)) == 0;
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  // All that is answered.
  std::string Ask(const std::string& request) const {
    if (send(fd_, request.data(), request.size(), MSG_NOSIGNAL) < 0) return "";
    std::string answer;
    char buffer[4096];
    ssize_t size = 0;
    while ((size = read(fd_, buffer, sizeof(buffer))) > 0) {
      answer.append(buffer, static_cast<size_t>(size));
    }
    return answer;
  }

 private:
  const int fd_;
  bool connected_ = false;
};

std::string Get(int port, const std::string& path) {
  return Client(port).Ask(
      absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
}

std::unique_ptr<StatusServer> Start(StatusProbe::Source source) {
  auto server = StatusServer::Start("127.0.0.1", 0, std::move(source));
  EXPECT_TRUE(server.ok()) << server.status();
  return server.ok() ? *std::move(server) : nullptr;
}

TEST(ReadinessTest, SaysWhyNot) {
  EXPECT_TRUE(Readiness(Status("", 0)).ok());
  EXPECT_EQ(std::string(Readiness(Status("the disk is full", 5)).message()),
            "the store cannot be written: the disk is full");
  EXPECT_EQ(std::string(Readiness(absl::InternalError("stuck")).message()),
            "the engine does not answer: stuck");
}

// Nothing is written while nobody is sent here: then only a new try can tell.
TEST(ReadinessTest, OldTroubleMayBeOver) {
  EXPECT_FALSE(Readiness(Status("the disk is full", 29)).ok());
  EXPECT_TRUE(Readiness(Status("the disk is full", 31)).ok());
}

TEST(StatusProbeTest, ManyWhoAskShareOneQuestion) {
  std::atomic<int> questions{0};
  StatusProbe probe([&]() -> absl::StatusOr<EngineStatus> {
    ++questions;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return EngineStatus();
  });
  std::vector<std::future<bool>> callers;
  for (int i = 0; i < 50; ++i) {
    callers.push_back(std::async(std::launch::async, [&] { return probe.Get(kSoon)->ok(); }));
  }
  for (auto& caller : callers) EXPECT_TRUE(caller.get());
  EXPECT_LT(questions, 50);
  EXPECT_GT(questions, 0);
}

TEST(StatusProbeTest, AnEngineThatHangsIsNotWaitedFor) {
  std::promise<void> go_on;
  std::shared_future<void> gone_on = go_on.get_future().share();
  StatusProbe probe([=]() -> absl::StatusOr<EngineStatus> {
    gone_on.wait();
    return EngineStatus();
  });
  const auto answer = probe.Get(std::chrono::milliseconds(50));
  EXPECT_EQ(answer->status().code(), absl::StatusCode::kDeadlineExceeded);
  go_on.set_value();
  EXPECT_TRUE(probe.Get(kSoon)->ok());
}

TEST(StatusServerTest, ServesItsPages) {
  const auto server = Start([] { return Status("", 0); });
  ASSERT_NE(server, nullptr);
  EXPECT_THAT(Get(server->port(), "/metrics"),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("text/plain; version=0.0.4"),
                    HasSubstr("\nmodlab_jobs{state=\"running\"} 0\n")));
  EXPECT_THAT(Get(server->port(), "/healthz"), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("ok")));
  EXPECT_THAT(Get(server->port(), "/readyz"), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("ok")));
  EXPECT_THAT(Get(server->port(), "/"), HasSubstr("/metrics, /healthz, /readyz"));
  EXPECT_THAT(Get(server->port(), "/../etc/passwd"), StartsWith("HTTP/1.1 40"));
  EXPECT_THAT(Get(server->port(), "/debug"), StartsWith("HTTP/1.1 404"));
}

TEST(StatusServerTest, SaysWhatIsWrong) {
  std::atomic<bool> answers{true};
  const auto server = Start([&]() -> absl::StatusOr<EngineStatus> {
    if (!answers) return absl::UnavailableError("stopping");
    return Status("the disk is full", 1);
  });
  ASSERT_NE(server, nullptr);
  EXPECT_THAT(Get(server->port(), "/readyz"),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("the disk is full")));
  // It can still be looked at.
  EXPECT_THAT(Get(server->port(), "/metrics"),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("\nmodlab_store_trouble 1\n")));
  answers = false;
  EXPECT_THAT(Get(server->port(), "/readyz"),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("does not answer: stopping")));
  EXPECT_THAT(Get(server->port(), "/metrics"), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(Get(server->port(), "/healthz"), StartsWith("HTTP/1.1 200"));
}

TEST(StatusServerTest, OnlyReads) {
  const auto server = Start([] { return Status("", 0); });
  ASSERT_NE(server, nullptr);
  for (const char* method : {"POST", "PUT", "DELETE"}) {
    EXPECT_THAT(Client(server->port())
                    .Ask(absl::StrCat(method,
                                      " /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n"
                                      "Connection: close\r\n\r\n")),
                StartsWith("HTTP/1.1 404"))
        << method;
  }
  EXPECT_THAT(Client(server->port()).Ask("\x16\x03\x01 what\r\n\r\n"), StartsWith("HTTP/1.1 400"));
}

// A thread is for one request, not for a client.
TEST(StatusServerTest, OneRequestAConnection) {
  const auto server = Start([] { return Status("", 0); });
  ASSERT_NE(server, nullptr);
  EXPECT_THAT(Client(server->port()).Ask("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Connection: close")));
}

// Connections that say nothing are dropped after some seconds, and others get their turn.
TEST(StatusServerTest, SilentConnectionsPass) {
  const auto server = Start([] { return Status("", 0); });
  ASSERT_NE(server, nullptr);
  std::vector<std::unique_ptr<Client>> silent;
  for (int i = 0; i < 6; ++i) {
    silent.push_back(std::make_unique<Client>(server->port()));
    EXPECT_TRUE(silent.back()->connected());
  }
  EXPECT_THAT(Get(server->port(), "/healthz"), StartsWith("HTTP/1.1 200"));
}

TEST(StatusServerTest, APortThatIsTakenIsSaid) {
  const auto server = Start([] { return Status("", 0); });
  ASSERT_NE(server, nullptr);
  const auto second =
      StatusServer::Start("127.0.0.1", server->port(), [] { return Status("", 0); });
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(absl::StrCat("127.0.0.1:", server->port())));
}

}  // namespace
}  // namespace modlab
