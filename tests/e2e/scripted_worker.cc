#include "tests/e2e/scripted_worker.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>

#include "modlab/v1/job.pb.h"
#include "modlab/v1/worker.grpc.pb.h"
#include "modlab/v1/worker.pb.h"

namespace modlab::e2e {

bool FailSomeJobs(const std::string& address, int jobs, const v1::Failure& failure,
                  const std::function<bool(const v1::JobConfig&)>& fails) {
  auto stub =
      v1::WorkerService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  auto stream = stub->Synchronise(&context);

  v1::WorkerView view;
  view.set_worker_id("0123456789abcdef0123456789abcdef");
  view.set_name("scripted");
  view.set_device("cpu");
  view.set_slots(1);
  view.set_slots_idle(1);
  view.set_gang_size_max(jobs);
  stream->Write(view);

  v1::CoordinatorView orders;
  while (stream->Read(&orders)) {
    if (orders.gangs().empty()) continue;
    if (view.reports().empty()) {
      EXPECT_EQ(orders.gangs(0).leases_size(), jobs);
      view.set_slots_idle(0);
      for (const v1::Lease& lease : orders.gangs(0).leases()) {
        v1::HeldLease* held = view.add_held();
        held->set_job_id(lease.job_id());
        held->set_attempt(lease.attempt());
        held->set_gang_id(orders.gangs(0).id());
        if (!fails(lease.config())) continue;
        v1::Report* report = view.add_reports();
        report->set_number(static_cast<uint64_t>(view.reports_size()));
        report->set_job_id(lease.job_id());
        report->set_attempt(lease.attempt());
        *report->mutable_failed() = failure;
      }
      stream->Write(view);
    }
    if (orders.reports_acknowledged() >= static_cast<uint64_t>(view.reports_size())) {
      context.TryCancel();
      return true;
    }
  }
  ADD_FAILURE() << "the coordinator ended the stream: " << stream->Finish().error_message();
  return false;
}

}  // namespace modlab::e2e
