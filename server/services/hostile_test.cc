// Peers that are broken or mean no good: each gets an error or is hung up on, and
// nobody else notices.

#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "server/services/raw_connection.h"
#include "server/services/services_fixture.h"

namespace modlab {
namespace {

using ::testing::HasSubstr;

constexpr char kList[] = "/modlab.v1.SweepService/ListSweeps";
constexpr char kCreate[] = "/modlab.v1.SweepService/CreateSweep";
constexpr char kDownload[] = "/modlab.v1.ArtifactService/DownloadArtifact";
constexpr char kUpload[] = "/modlab.v1.ArtifactService/UploadArtifact";
constexpr uint32_t kMib = 1 << 20;

class HostileTest : public ServicesFixture {
 protected:
  HostileTest() : memory_before_(MemoryBytes()) {}

  // A client that comes new, and does what it came for within two seconds.
  void ExpectGoodService(const std::string& address) {
    const absl::Time start = absl::Now();
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = v1::SweepService::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
    v1::ListSweepsResponse response;
    const grpc::Status status =
        Call(stub.get(), &v1::SweepService::Stub::ListSweeps, v1::ListSweepsRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  }
  void ExpectGoodService() { ExpectGoodService(address_.ToString()); }

  static int64_t MemoryBytes() {
    int64_t pages = 0;
    int64_t resident = 0;
    std::ifstream("/proc/self/statm") >> pages >> resident;
    return resident * 4096;
  }
  // This process's, so both sides' together.
  int64_t MemoryGrown() const { return MemoryBytes() - memory_before_; }

  RawConnection Connect() { return RawConnection(address_.path); }
  using ServicesFixture::Connect;

  // A second door to the same coordinator, on TCP.
  std::unique_ptr<Server> ServeTcp(const Listener::Limits& limits) {
    ServerOptions options;
    options.data_dir = dir_.path();
    options.connections = limits;
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(
        store_.get(), artifacts_.get(), engine_.get(), *ParseListenAddress("127.0.0.1:0"), options);
    EXPECT_EQ(server.status(), absl::OkStatus());
    return *std::move(server);
  }

  std::string Store(const std::string& content) {
    grpc::ClientContext context;
    v1::UploadArtifactResponse stored;
    auto upload = files_->UploadArtifact(&context, &stored);
    v1::UploadArtifactRequest piece;
    for (size_t at = 0; at < content.size(); at += kMib) {
      piece.set_data(content.substr(at, kMib));
      upload->Write(piece);
    }
    upload->WritesDone();
    EXPECT_TRUE(upload->Finish().ok());
    return stored.sha256();
  }

  const int64_t memory_before_;
};

TEST_F(HostileTest, BytesThatAreNoHttp2AreHungUpOn) {
  std::string noise(100'000, '\0');
  uint32_t state = 1;
  for (char& c : noise) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  for (const std::string& bytes :
       {noise, std::string(100'000, '\0'), std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        // A TLS client's hello.
        absl::StrCat("\x16\x03\x01\x02", std::string(500, 'x')),
        // A frame as large as frames can be said to be.
        absl::StrCat(Preface(), FrameHead(0xffffff, 0, 0, 1), std::string(20'000, 'x')),
        // Headers that are no HPACK; a continuation of nothing; settings of odd length.
        absl::StrCat(Preface(), Frame(1, 4, 1, std::string(100, '\xff'))),
        absl::StrCat(Preface(), Frame(9, 4, 1, "x")),
        absl::StrCat(Preface(), Frame(4, 0, 0, "odd"))}) {
    RawConnection connection = Connect();
    ASSERT_TRUE(connection.connected());
    connection.Send(bytes);
    EXPECT_TRUE(connection.IsClosed(absl::Seconds(5))) << absl::CHexEscape(bytes.substr(0, 60));
    ExpectGoodService();
  }
}

TEST_F(HostileTest, CallsThatMakeNoSenseEndAlone) {
  RawConnection connection = Connect();
  connection.Send(absl::StrCat(Preface(), Frame(0, 0, 0, "data of no stream")));
  // No protobuf; a length that the message does not have; of 4 GiB; methods that are not.
  connection.Send(absl::StrCat(CallHeaders(1, kList), MessageData(1, 4, "\xff\xff\xff\xff", true)));
  connection.Send(absl::StrCat(CallHeaders(3, kList), MessageData(3, 100, "short", true)));
  connection.Send(absl::StrCat(CallHeaders(5, kCreate), MessageData(5, 0xffffffff, "x", false)));
  connection.Send(absl::StrCat(CallHeaders(7, "/no/Such"), MessageData(7, 0, "", true)));
  connection.Send(absl::StrCat(CallHeaders(9, std::string(100, '/')), MessageData(9, 0, "", true)));
  connection.Send(CallHeaders(11, kUpload));
  ExpectGoodService();

  // What a client is told of it.
  grpc::GenericStub stub(channel_);
  for (const auto& [bytes, code] : std::vector<std::pair<std::string, grpc::StatusCode>>{
           {std::string("\xff\xff\xff\xff"), grpc::StatusCode::UNIMPLEMENTED},
           {std::string(17 * kMib, 'x'), grpc::StatusCode::RESOURCE_EXHAUSTED}}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    grpc::CompletionQueue queue;
    const grpc::Slice slice(bytes);
    grpc::ByteBuffer answer;
    grpc::Status status;
    auto call = stub.PrepareUnaryCall(&context, kCreate, grpc::ByteBuffer(&slice, 1), &queue);
    call->StartCall();
    call->Finish(&answer, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
  }
  ExpectGoodService();
}

TEST_F(HostileTest, SilentConnectionsAreClosed) {
  RawConnection silent = Connect();
  RawConnection half = Connect();
  half.Send(Preface().substr(0, 10));
  RawConnection late = Connect();
  late.Send(Preface().substr(0, 24));  // no settings
  ExpectGoodService();
  for (RawConnection* connection : {&silent, &half, &late}) {
    EXPECT_TRUE(connection->IsClosed(absl::Seconds(20)));
  }
}

TEST_F(HostileTest, OneHostsThousandConnectionsLeaveRoomForOthers) {
  Listener::Limits limits;
  limits.per_host_max = 300;
  const std::unique_ptr<Server> server = ServeTcp(limits);
  const int port = server->address().port;
  std::vector<RawConnection> crowd;
  for (int i = 0; i < 1000; ++i) {
    crowd.emplace_back(port, "127.0.0.2");
    if (i % 2 == 0) crowd.back().Send(Preface());
  }
  ExpectGoodService(server->address().ToString());
  int closed = 0;
  for (RawConnection& connection : crowd) closed += connection.IsClosed(absl::ZeroDuration());
  EXPECT_GE(closed, 650);
  EXPECT_LE(closed, 1000 - 100) << "what is within the limit is served";
  crowd.clear();
  ExpectGoodService(server->address().ToString());
  EXPECT_LT(MemoryGrown(), 200 * kMib);
}

TEST_F(HostileTest, OutOfFilesIsNotTheEnd) {
  const std::unique_ptr<Server> server = ServeTcp({});
  std::vector<RawConnection> crowd;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  for (int i = 0; i < 200; ++i) crowd.emplace_back(server->address().port, "127.0.0.2");
  // From here on nothing can be opened.
  rlimit none = before;
  none.rlim_cur = 100;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  absl::SleepFor(absl::Milliseconds(300));
  // Connections that the kernel makes, and nobody can accept.
  for (int i = 0; i < 5; ++i) crowd.pop_back();
  absl::SleepFor(absl::Milliseconds(300));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  crowd.clear();
  ExpectGoodService(server->address().ToString());
}

TEST_F(HostileTest, SlowReadersHoldLittleAndNobodyUp) {
  const std::string sha256 = Store(std::string(8 * kMib, 'x'));
  const std::string request = absl::StrCat("\x0a\x40", sha256);
  std::vector<RawConnection> readers;
  for (int i = 0; i < 20; ++i) {
    RawConnection& reader = readers.emplace_back(address_.path);
    reader.KeepLittle();
    reader.Send(Preface());
    for (uint32_t call = 0; call < 10; ++call) {
      reader.Send(absl::StrCat(
          CallHeaders(2 * call + 1, kDownload),
          MessageData(2 * call + 1, static_cast<uint32_t>(request.size()), request, true)));
    }
  }
  ExpectGoodService();
  absl::SleepFor(absl::Seconds(1));
  ExpectGoodService();
  // A piece or two for each of the 200 calls.
  EXPECT_LT(MemoryGrown(), 600 * kMib);
}

TEST_F(HostileTest, MessagesThatNeverEndHoldABoundedAmount) {
  RawConnection sender = Connect();
  sender.Send(Preface());
  size_t sent = 0;
  const std::string piece(16'000, 'x');
  for (uint32_t stream = 1; stream < 240 && !sender.IsClosed(absl::ZeroDuration()); stream += 2) {
    // The end of the message never comes. Until its announcement is answered, little
    // may be sent.
    sender.Send(
        absl::StrCat(CallHeaders(stream, kCreate), MessageData(stream, 15 * kMib, "x", false)));
    sender.IsClosed(absl::Milliseconds(5));
    for (int part = 0; part < 900; ++part) {
      sent += sender.Send(Frame(0, 0, stream, piece));
      sender.IsClosed(absl::ZeroDuration());
    }
  }
  ExpectGoodService();
  EXPECT_LT(MemoryGrown(), 512 * kMib) << sent << " bytes were sent";
}

TEST_F(HostileTest, AFloodOfViewsIsHeardNoFasterThanAWorkerSpeaks) {
  std::unique_ptr<WorkerEnd> worker = ServicesFixture::Connect('a');
  std::thread writer([&worker] {
    for (int i = 0; i < 20'000 && worker->stream->Write(worker->view); ++i) {
    }
  });
  const absl::Time start = absl::Now();
  int answers = 0;
  v1::CoordinatorView answer;
  while (absl::Now() - start < absl::Seconds(3) && worker->stream->Read(&answer)) ++answers;
  ExpectGoodService();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  EXPECT_LE(answers, 200 + 100 * seconds + 5);
  EXPECT_GE(answers, 100);
  worker->context.TryCancel();
  writer.join();
  EXPECT_EQ(End(worker.get()).error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(HostileTest, NamesOfArtifactsLeadNowhereElse) {
  for (const std::string& sha256 :
       {std::string(), std::string("../../modlab.db"), std::string("/etc/passwd"),
        absl::StrCat("../", std::string(61, 'a')), std::string(64, 'A'), std::string(64, '.'),
        std::string(63, 'a') + "/", std::string(64, '\0'), std::string(1000, 'a')}) {
    grpc::ClientContext context;
    v1::DownloadArtifactRequest request;
    request.set_sha256(sha256);
    auto download = files_->DownloadArtifact(&context, request);
    v1::DownloadArtifactResponse piece;
    EXPECT_FALSE(download->Read(&piece));
    EXPECT_EQ(download->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT) << sha256;
  }
  for (const char* sweep : {"../x", "s-1; drop table sweeps", "s\n-1", "%", "' or 1=1 --"}) {
    v1::Sweep found;
    EXPECT_EQ(GetSweep(sweep, &found).error_code(), grpc::StatusCode::NOT_FOUND) << sweep;
  }
}

TEST_F(HostileTest, ViewsThatWouldSpoilALogOrNeverFitAreRefused) {
  const auto refused = [this](const std::function<void(v1::WorkerView*)>& spoil) {
    std::unique_ptr<WorkerEnd> worker = ServicesFixture::Connect('a');
    spoil(&worker->view);
    worker->stream->Write(worker->view);
    return End(worker.get()).error_code();
  };
  const auto kInvalid = grpc::StatusCode::INVALID_ARGUMENT;
  EXPECT_EQ(refused([](v1::WorkerView* view) { view->set_name("a\nerror: all is lost"); }),
            kInvalid);
  EXPECT_EQ(refused([](v1::WorkerView* view) { view->set_name("\x1b[2J"); }), kInvalid);
  EXPECT_EQ(refused([](v1::WorkerView* view) { view->set_name(std::string(10'000, 'x')); }),
            kInvalid);
  EXPECT_EQ(refused([](v1::WorkerView* view) { view->set_device_name("\r"); }), kInvalid);
  EXPECT_EQ(refused([](v1::WorkerView* view) { view->set_place("a\tb\x07"); }), kInvalid);
  EXPECT_EQ(refused([](v1::WorkerView* view) {
              view->set_worker_id("../../../../../../etc/passwd0000");
            }),
            kInvalid);
  EXPECT_EQ(refused([](v1::WorkerView* view) { view->set_slots(2'000'000'000); }), kInvalid);
  EXPECT_EQ(
      refused([](v1::WorkerView* view) { view->set_device_name(std::string(17 * kMib, 'x')); }),
      grpc::StatusCode::RESOURCE_EXHAUSTED);
  ExpectGoodService();
}

TEST_F(HostileTest, ChangesBeyondTheRateAreRefused) {
  v1::CancelSweepRequest request;
  request.set_sweep("nope");
  v1::CancelSweepResponse response;
  int limited = 0;
  for (int i = 0; i < 100; ++i) {
    const grpc::Status status =
        Call(sweeps_.get(), &v1::SweepService::Stub::CancelSweep, request, &response);
    if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) {
      ++limited;
      EXPECT_THAT(status.error_message(), HasSubstr("a second"));
    } else {
      EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
    }
  }
  EXPECT_GE(limited, 10);
  ExpectGoodService();
}

}  // namespace
}  // namespace modlab
