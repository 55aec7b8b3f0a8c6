#include "tests/e2e/scripted_worker.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "modlab/v1/job.pb.h"
#include "modlab/v1/worker.grpc.pb.h"
#include "modlab/v1/worker.pb.h"

namespace modlab::e2e {

bool ReportJobs(const std::string& address, int jobs,
                const std::function<std::optional<v1::Report>(const v1::JobConfig&)>& outcome) {
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
    if (view.reports().empty()) {
      if (orders.gangs().empty()) continue;
      EXPECT_EQ(orders.gangs(0).leases_size(), jobs);
      view.set_slots_idle(0);
      for (const v1::Lease& lease : orders.gangs(0).leases()) {
        v1::HeldLease* held = view.add_held();
        held->set_job_id(lease.job_id());
        held->set_attempt(lease.attempt());
        held->set_gang_id(orders.gangs(0).id());
        const std::optional<v1::Report> told = outcome(lease.config());
        if (!told) continue;
        v1::Report* report = view.add_reports();
        *report = *told;
        report->set_number(static_cast<uint64_t>(view.reports_size()));
        report->set_job_id(lease.job_id());
        report->set_attempt(lease.attempt());
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

bool FailSomeJobs(const std::string& address, int jobs, const v1::Failure& failure,
                  const std::function<bool(const v1::JobConfig&)>& fails) {
  return ReportJobs(address, jobs, [&](const v1::JobConfig& config) -> std::optional<v1::Report> {
    if (!fails(config)) return std::nullopt;
    v1::Report report;
    *report.mutable_failed() = failure;
    return report;
  });
}

}  // namespace modlab::e2e
