// For tests: all services over a Unix socket, with workers that the test plays.

#ifndef MODLAB_SERVER_SERVICES_SERVICES_FIXTURE_H_
#define MODLAB_SERVER_SERVICES_SERVICES_FIXTURE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "grpc/grpc.h"
#include "grpcpp/grpcpp.h"
#include "modlab/v1/results.grpc.pb.h"
#include "modlab/v1/sweep.grpc.pb.h"
#include "modlab/v1/worker.grpc.pb.h"
#include "server/engine/engine.h"
#include "server/services/listen_address.h"
#include "server/services/server.h"
#include "server/store/artifacts.h"
#include "server/store/store_fixture.h"

namespace modlab {

class ServicesFixture : public StoreFixture {
 protected:
  ServicesFixture() {
    // Kept for the life of the process: ending it, as the last channel does, may wait
    // 10 s for a poller of its own.
    static const bool kept = (grpc_init(), true);
    EXPECT_TRUE(kept);
    artifacts_ = *Artifacts::Open(dir_.path());
    engine_ = *Engine::Start(
        store_.get(), writer(), artifacts_.get(),
        [] {
          const auto now = std::chrono::system_clock::now().time_since_epoch();
          return int64_t{std::chrono::duration_cast<std::chrono::microseconds>(now).count()};
        },
        {});
    absl::StatusOr<ListenAddress> address =
        ParseListenAddress(absl::StrCat("unix:", dir_.path(), "/sock"));
    EXPECT_EQ(address.status(), absl::OkStatus());
    address_ = *address;
    ServerOptions options;
    options.data_dir = dir_.path();
    server_ = *Server::Start(store_.get(), artifacts_.get(), engine_.get(), address_, options);
    channel_ = grpc::CreateChannel(address_.ToString(), grpc::InsecureChannelCredentials());
    sweeps_ = v1::SweepService::NewStub(channel_);
    results_ = v1::ResultsService::NewStub(channel_);
    files_ = v1::ArtifactService::NewStub(channel_);
    workers_ = v1::WorkerService::NewStub(channel_);
  }

  ~ServicesFixture() override {
    server_.reset();
    engine_.reset();
  }

  // A call by a pointer to the stub's method.
  template <typename Stub, typename Request, typename Response>
  static grpc::Status Call(Stub* stub,
                           grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                        Response*),
                           const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return (stub->*method)(&context, request, response);
  }

  // A sweep of two jobs.
  v1::CreateSweepRequest Submission(const std::string& request_id) {
    v1::CreateSweepRequest request;
    request.set_request_id(request_id);
    request.mutable_spec()->set_name("s");
    *request.mutable_spec()->mutable_defaults() = Config({});
    v1::Axis* axis = request.mutable_spec()->add_grids()->add_axes();
    axis->set_field("model_seed");
    axis->add_values("0");
    axis->add_values("1");
    return request;
  }

  grpc::Status Create(const v1::CreateSweepRequest& request, v1::CreateSweepResponse* response) {
    return Call(sweeps_.get(), &v1::SweepService::Stub::CreateSweep, request, response);
  }

  grpc::Status GetSweep(const std::string& sweep, v1::Sweep* response) {
    v1::GetSweepRequest request;
    request.set_sweep(sweep);
    return Call(sweeps_.get(), &v1::SweepService::Stub::GetSweep, request, response);
  }

  // A worker's end of a stream.
  struct WorkerEnd {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<v1::WorkerView, v1::CoordinatorView>> stream;
    v1::WorkerView view;
  };

  std::unique_ptr<WorkerEnd> Connect(char digit) {
    auto worker = std::make_unique<WorkerEnd>();
    worker->context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    worker->stream = workers_->Synchronise(&worker->context);
    worker->view.set_worker_id(std::string(32, digit));
    worker->view.set_name(absl::StrCat("worker-", std::string(1, digit)));
    worker->view.set_device("cpu");
    worker->view.set_slots(1);
    worker->view.set_slots_idle(1);
    worker->view.set_gang_size_max(8);
    return worker;
  }

  static v1::CoordinatorView Synchronise(WorkerEnd* worker) {
    v1::CoordinatorView answer;
    EXPECT_TRUE(worker->stream->Write(worker->view));
    EXPECT_TRUE(worker->stream->Read(&answer));
    return answer;
  }

  // How the stream ended.
  static grpc::Status End(WorkerEnd* worker) {
    v1::CoordinatorView ignored;
    while (worker->stream->Read(&ignored)) {
    }
    return worker->stream->Finish();
  }

  static void Hold(const v1::CoordinatorView& desired, double speed, v1::WorkerView* view) {
    view->clear_held();
    view->set_slots_idle(view->slots() - desired.gangs_size());
    for (const v1::Gang& gang : desired.gangs()) {
      for (const v1::Lease& lease : gang.leases()) {
        v1::HeldLease* held = view->add_held();
        held->set_job_id(lease.job_id());
        held->set_attempt(lease.attempt());
        held->set_gang_id(gang.id());
        held->set_iterations_per_second(speed);
      }
    }
  }

  std::unique_ptr<Artifacts> artifacts_;
  std::unique_ptr<Engine> engine_;
  ListenAddress address_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::SweepService::Stub> sweeps_;
  std::unique_ptr<v1::ResultsService::Stub> results_;
  std::unique_ptr<v1::ArtifactService::Stub> files_;
  std::unique_ptr<v1::WorkerService::Stub> workers_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_SERVICES_SERVICES_FIXTURE_H_
