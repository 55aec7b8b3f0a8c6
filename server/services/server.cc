#include "server/services/server.h"

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/resource_quota.h"
#include "grpcpp/server_builder.h"
#include "server/query/answer_limit.h"

namespace modlab {

namespace {

// Calls that are slow, or wait for one another, keep none of another kind from a thread:
// questions, whose answers may take long; files, which wait for the disk; submissions,
// of which one may take seconds.
constexpr int kThreads = 16;
constexpr int kFileThreads = 16;
constexpr int kPlanningThreads = 1;
constexpr size_t kCallsWaitingMax = 1024;
constexpr int kReceivedBytesMax = 16 << 20;  // the largest sweep's lists of values
// The answer limit is of the message itself; some room for its frame.
constexpr int kSentBytesMax = static_cast<int>(kAnswerBytesMax) + (1 << 20);
constexpr int kStreamsPerConnectionMax = 128;
// What connections and messages on their way in may take together. Beyond it gRPC
// reads no more, closes idle connections, and ends calls.
constexpr size_t kConnectionBytesMax = size_t{1} << 30;
// For a connection to say that it speaks HTTP/2 or TLS.
constexpr int kHandshakeMsMax = 10'000;
// Without a call; a client that is still there connects again.
constexpr int kIdleMsMax = 5 * 60'000;

void Configure(grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(kReceivedBytesMax);
  builder->SetMaxSendMessageSize(kSentBytesMax);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsPerConnectionMax);
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMsMax);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMsMax);
  grpc::ResourceQuota quota("modlabd");
  quota.Resize(kConnectionBytesMax);
  builder->SetResourceQuota(quota);
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

Server::Server(Store* store, const Artifacts* artifacts, Engine* engine,
               const Access::Options& access)
    : engine_(engine),
      access_(access),
      pool_(kThreads, kCallsWaitingMax),
      files_pool_(kFileThreads, kCallsWaitingMax),
      planning_pool_(kPlanningThreads, kCallsWaitingMax),
      sweeps_(store, engine, &access_, &pool_, &planning_pool_),
      results_(store, &pool_),
      artifacts_(artifacts, engine, &files_pool_),
      workers_(engine, &access_, &pool_),
      coordinator_(access.data_dir, artifacts, engine, &pool_) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(Store* store, const Artifacts* artifacts,
                                                      Engine* engine, const ListenAddress& address,
                                                      const ServerOptions& options) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listener::Open(address, options.connections);
  if (!listener.ok()) return listener.status();
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();

  Access::Options access;
  access.data_dir = options.data_dir;
  access.tokens_required = TokensRequired(address, options.security);
  std::unique_ptr<Server> server(new Server(store, artifacts, engine, access));
  server->listener_ = *std::move(listener);
  grpc::ServerBuilder builder;
  Configure(&builder);
  using From = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
  server->acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      From::FROM_FD, MakeCredentials(address, options.security, &server->access_));
  builder.RegisterService(&server->sweeps_);
  builder.RegisterService(&server->results_);
  builder.RegisterService(&server->artifacts_);
  builder.RegisterService(&server->workers_);
  builder.RegisterService(&server->coordinator_);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) {
    return absl::InternalError(absl::StrCat("gRPC cannot serve ", address.ToString()));
  }
  server->listener_->Start(
      [acceptor = server->acceptor_.get()](int listener_fd, int connection_fd) {
        grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
        connection.listener_fd = listener_fd;
        connection.fd = connection_fd;
        acceptor->HandleNewConnection(&connection);
      });
  return server;
}

Server::~Server() { Stop(absl::ZeroDuration()); }

void Server::Stop(absl::Duration grace) {
  if (server_ == nullptr) return;
  listener_->Stop();
  engine_->CloseStreams();
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
  server_ = nullptr;
}

}  // namespace modlab
