// The calls that steer what is queued and who trains it, as clients make them.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/services/services_fixture.h"

namespace modlab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SteeringTest : public ServicesFixture {
 protected:
  grpc::Status Update(const v1::UpdateSweepRequest& request, v1::Sweep* sweep) {
    return Call(sweeps_.get(), &v1::SweepService::Stub::UpdateSweep, request, sweep);
  }
  grpc::Status Extend(const v1::ExtendSweepRequest& request, v1::ExtendSweepResponse* response) {
    return Call(sweeps_.get(), &v1::SweepService::Stub::ExtendSweep, request, response);
  }
  grpc::Status CancelJobs(const v1::CancelJobsRequest& request, v1::CancelJobsResponse* response) {
    return Call(sweeps_.get(), &v1::SweepService::Stub::CancelJobs, request, response);
  }
  grpc::Status Drain(const std::string& worker, v1::DrainWorkerResponse* response) {
    v1::DrainWorkerRequest request;
    request.set_worker(worker);
    return Call(workers_.get(), &v1::WorkerService::Stub::DrainWorker, request, response);
  }
  grpc::Status Release(const std::string& worker, v1::Worker* response) {
    v1::ReleaseWorkerRequest request;
    request.set_worker(worker);
    return Call(workers_.get(), &v1::WorkerService::Stub::ReleaseWorker, request, response);
  }

  v1::ListJobEventsResponse ListEvents(int64_t job) {
    v1::ListJobEventsRequest request;
    request.set_id(job);
    v1::ListJobEventsResponse response;
    EXPECT_TRUE(
        Call(sweeps_.get(), &v1::SweepService::Stub::ListJobEvents, request, &response).ok());
    return response;
  }
  std::vector<v1::JobEventKind> Events(int64_t job) {
    std::vector<v1::JobEventKind> kinds;
    const v1::ListJobEventsResponse response = ListEvents(job);
    for (const v1::JobEvent& event : response.events()) kinds.push_back(event.kind());
    return kinds;
  }
};

TEST_F(SteeringTest, ASweepIsSubmittedPausedAndResumed) {
  v1::CreateSweepRequest submission = Submission("r1");
  submission.mutable_policy()->set_paused(true);
  submission.mutable_policy()->set_priority(3);
  submission.set_user("ada");
  v1::CreateSweepResponse created;
  ASSERT_TRUE(Create(submission, &created).ok());
  EXPECT_TRUE(created.sweep().policy().paused());
  EXPECT_EQ(created.sweep().user(), "ada");
  std::unique_ptr<WorkerEnd> worker = Connect('a');
  EXPECT_EQ(Synchronise(worker.get()).gangs_size(), 0);

  v1::UpdateSweepRequest update;
  update.set_sweep("s");
  update.set_paused(false);
  v1::Sweep sweep;
  ASSERT_TRUE(Update(update, &sweep).ok());
  EXPECT_EQ(sweep.id(), "s-1");
  EXPECT_FALSE(sweep.policy().paused());
  EXPECT_EQ(sweep.policy().priority(), 3);
  v1::CoordinatorView view;
  ASSERT_TRUE(worker->stream->Read(&view));
  EXPECT_EQ(view.gangs_size(), 1);
  EXPECT_THAT(Events(1), ElementsAre(v1::SUBMITTED, v1::LEASED));
}

TEST_F(SteeringTest, BadUpdatesAreNamed) {
  v1::CreateSweepResponse created;
  ASSERT_TRUE(Create(Submission("r1"), &created).ok());
  v1::UpdateSweepRequest update;
  v1::Sweep sweep;
  EXPECT_EQ(Update(update, &sweep).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  update.set_sweep("t");
  EXPECT_EQ(Update(update, &sweep).error_code(), grpc::StatusCode::NOT_FOUND);
  update.set_sweep("s");
  update.set_priority(-1001);
  const grpc::Status status = Update(update, &sweep);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("priority"));
  EXPECT_THAT(status.error_message(), HasSubstr("-1001"));
}

TEST_F(SteeringTest, ASweepIsExtended) {
  v1::CreateSweepResponse created;
  ASSERT_TRUE(Create(Submission("r1"), &created).ok());
  v1::ExtendSweepRequest request;
  request.set_sweep("s");
  v1::Axis* axis = request.add_axes();
  axis->set_field("model_seed");
  axis->add_values("1");
  axis->add_values("2");
  v1::ExtendSweepResponse response;
  ASSERT_TRUE(Extend(request, &response).ok());
  EXPECT_EQ(response.jobs_created(), 1);
  EXPECT_EQ(response.sweep().counts().queued(), 3);
  EXPECT_EQ(ListEvents(1).events(0).reason(), "in sweep s-1");
  EXPECT_EQ(ListEvents(3).events(0).reason(), "by an extension of sweep s-1");
  ASSERT_TRUE(Extend(request, &response).ok());
  EXPECT_EQ(response.jobs_created() + response.jobs_shared() + response.jobs_requeued(), 0);
  request.clear_axes();
  EXPECT_EQ(Extend(request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_sweep("");
  EXPECT_EQ(Extend(request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(SteeringTest, SomeJobsOfASweepAreCancelled) {
  v1::CreateSweepResponse created;
  ASSERT_TRUE(Create(Submission("r1"), &created).ok());
  v1::CancelJobsRequest request;
  request.set_sweep("s");
  v1::CancelJobsResponse response;
  EXPECT_EQ(CancelJobs(request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  *request.add_filters() = Filter("model_seed", {"1"});
  ASSERT_TRUE(CancelJobs(request, &response).ok());
  EXPECT_EQ(response.jobs_cancelled(), 1);
  EXPECT_EQ(response.jobs_shared(), 0);
  EXPECT_THAT(Events(2), ElementsAre(v1::SUBMITTED, v1::STOPPED));
  v1::RetryJobsRequest retry;
  retry.set_sweep("s");
  v1::RetryJobsResponse retried;
  ASSERT_TRUE(Call(sweeps_.get(), &v1::SweepService::Stub::RetryJobs, retry, &retried).ok());
  EXPECT_EQ(retried.jobs_requeued(), 1);
  v1::ListJobEventsRequest unknown;
  unknown.set_id(77);
  v1::ListJobEventsResponse events;
  EXPECT_EQ(
      Call(sweeps_.get(), &v1::SweepService::Stub::ListJobEvents, unknown, &events).error_code(),
      grpc::StatusCode::NOT_FOUND);
}

TEST_F(SteeringTest, AWorkerIsAskedToDrain) {
  v1::CreateSweepResponse created;
  ASSERT_TRUE(Create(Submission("r1"), &created).ok());
  std::unique_ptr<WorkerEnd> worker = Connect('a');
  const v1::CoordinatorView desired = Synchronise(worker.get());
  EXPECT_FALSE(desired.drain());
  Hold(desired, 1.0, &worker->view);
  Synchronise(worker.get());
  v1::DrainWorkerResponse drained;
  ASSERT_TRUE(Drain("worker-a", &drained).ok());
  EXPECT_TRUE(drained.worker().draining());
  v1::CoordinatorView view;
  ASSERT_TRUE(worker->stream->Read(&view));
  EXPECT_TRUE(view.drain());
  EXPECT_TRUE(view.gangs(0).leases(0).release());
  EXPECT_EQ(Drain("", &drained).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Drain("worker-b", &drained).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(SteeringTest, AWorkersPlaceIsReleased) {
  std::unique_ptr<WorkerEnd> worker = Connect('a');
  Synchronise(worker.get());
  v1::Worker released;
  ASSERT_TRUE(Release("worker-a", &released).ok());
  EXPECT_EQ(released.name(), "worker-a");
  EXPECT_EQ(released.quarantined_until_us(), 0);
  EXPECT_EQ(Release("", &released).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Release("worker-b", &released).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(SteeringTest, WhatIsUploadedCanBeReferredTo) {
  v1::CreateSweepResponse created;
  ASSERT_TRUE(Create(Submission("r1"), &created).ok());
  std::unique_ptr<WorkerEnd> worker = Connect('a');
  Hold(Synchronise(worker.get()), 1.0, &worker->view);
  v1::UploadArtifactResponse stored;
  {
    grpc::ClientContext context;
    auto upload = files_->UploadArtifact(&context, &stored);
    v1::UploadArtifactRequest piece;
    piece.set_data("a checkpoint");
    ASSERT_TRUE(upload->Write(piece));
    upload->WritesDone();
    ASSERT_TRUE(upload->Finish().ok());
  }
  v1::Report* report = worker->view.add_reports();
  report->set_number(1);
  report->set_job_id(1);
  report->set_attempt(1);
  report->mutable_checkpoint()->set_iteration(10);
  report->mutable_checkpoint()->set_sha256(stored.sha256());
  report->mutable_checkpoint()->set_size_bytes(stored.size_bytes());
  EXPECT_EQ(Synchronise(worker.get()).reports_acknowledged(), 1u);
  EXPECT_EQ(Get(1).checkpoint().sha256(), stored.sha256());
}

}  // namespace
}  // namespace modlab
