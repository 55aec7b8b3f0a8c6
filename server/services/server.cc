#include "server/services/server.h"

#include <sys/stat.h>

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "server/query/answer_limit.h"

namespace modlab {

namespace {

constexpr int kThreads = 16;
constexpr size_t kCallsWaitingMax = 1024;
constexpr int kReceivedBytesMax = 16 << 20;  // the largest sweep's lists of values
// The answer limit is of the message itself; some room for its frame.
constexpr int kSentBytesMax = static_cast<int>(kAnswerBytesMax) + (1 << 20);
constexpr int kStreamsPerConnectionMax = 1024;

void Configure(grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(kReceivedBytesMax);
  builder->SetMaxSendMessageSize(kSentBytesMax);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsPerConnectionMax);
  // Two coordinators at one port would each get half of the calls.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // A worker that vanished without a word is noticed; one that pings while it
  // has nothing to say is welcome.
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  // Only reflection uses gRPC's own synchronous threads.
  builder->SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
}

}  // namespace

Server::Server(Store* store, const Artifacts* artifacts, Engine* engine)
    : engine_(engine),
      pool_(kThreads, kCallsWaitingMax),
      sweeps_(store, engine, &pool_),
      results_(store, &pool_),
      artifacts_(artifacts, engine, &pool_),
      workers_(engine, &pool_) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(Store* store, const Artifacts* artifacts,
                                                      Engine* engine,
                                                      const ListenAddress& address) {
  absl::Status free = CheckListenAddress(address);
  if (!free.ok()) return free;
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();

  std::unique_ptr<Server> server(new Server(store, artifacts, engine));
  server->address_ = address;
  grpc::ServerBuilder builder;
  Configure(&builder);
  int port = 0;
  builder.AddListeningPort(address.ToString(), grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&server->sweeps_);
  builder.RegisterService(&server->results_);
  builder.RegisterService(&server->artifacts_);
  builder.RegisterService(&server->workers_);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("cannot listen at ", address.ToString()));
  }
  if (address.is_unix()) {
    chmod(address.path.c_str(), S_IRUSR | S_IWUSR);
  } else {
    server->address_.port = port;
  }
  return server;
}

Server::~Server() { Stop(absl::ZeroDuration()); }

void Server::Stop(absl::Duration grace) {
  if (server_ == nullptr) return;
  engine_->CloseStreams();
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
  server_ = nullptr;
}

}  // namespace modlab
