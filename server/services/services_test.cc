// The services, called as clients and workers call them.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/services/services_fixture.h"

namespace modlab {
namespace {

using ::testing::HasSubstr;
using ServicesTest = ServicesFixture;

TEST_F(ServicesTest, ASweepFromSubmissionToResults) {
  std::unique_ptr<WorkerEnd> worker = Connect('a');
  EXPECT_EQ(Synchronise(worker.get()).gangs_size(), 0);

  v1::CreateSweepResponse created;
  ASSERT_TRUE(Create(Submission("r1"), &created).ok());
  EXPECT_EQ(created.sweep().id(), "s-1");
  EXPECT_EQ(created.jobs_created(), 2);
  ASSERT_TRUE(Create(Submission("r1"), &created).ok());
  EXPECT_EQ(created.jobs_created(), 0);
  EXPECT_EQ(created.jobs_shared(), 2);

  // The gang comes by itself.
  v1::CoordinatorView desired;
  ASSERT_TRUE(worker->stream->Read(&desired));
  ASSERT_EQ(desired.gangs_size(), 1);
  EXPECT_EQ(desired.gangs(0).leases_size(), 2);
  EXPECT_EQ(desired.gangs(0).leases(0).config().iterations(), 100);
  Hold(desired, 21.0, &worker->view);
  Synchronise(worker.get());
  v1::Sweep sweep;
  ASSERT_TRUE(GetSweep("s", &sweep).ok());
  EXPECT_EQ(sweep.counts().running(), 2);
  EXPECT_EQ(sweep.iterations_per_second(), 42.0);
  v1::ListWorkersResponse listed;
  ASSERT_TRUE(
      Call(workers_.get(), &v1::WorkerService::Stub::ListWorkers, v1::ListWorkersRequest(), &listed)
          .ok());
  ASSERT_EQ(listed.workers_size(), 1);
  EXPECT_EQ(listed.workers(0).jobs_held(), 2);

  for (int64_t job : {1, 2}) {
    v1::Report* point = worker->view.add_reports();
    point->set_job_id(job);
    point->set_attempt(1);
    point->set_number(static_cast<uint64_t>(worker->view.reports_size()));
    point->mutable_point()->set_iteration(100);
    v1::MetricValue* loss = point->mutable_point()->add_values();
    loss->set_metric(v1::EVAL_LOSS);
    loss->set_value(0.5);
    v1::Report* finished = worker->view.add_reports();
    *finished = *point;
    finished->set_number(static_cast<uint64_t>(worker->view.reports_size()));
    v1::MetricValue* id = finished->mutable_finished()->add_metrics();
    id->set_metric(v1::ID);
    id->set_value(static_cast<double>(job));
  }
  EXPECT_EQ(Synchronise(worker.get()).reports_acknowledged(), 4u);
  EXPECT_TRUE(worker->stream->WritesDone());
  EXPECT_TRUE(End(worker.get()).ok());

  v1::QueryResultsRequest results;
  results.set_sweep("s-1");
  results.add_metrics("id");
  v1::QueryResultsResponse rows;
  ASSERT_TRUE(Call(results_.get(), &v1::ResultsService::Stub::QueryResults, results, &rows).ok());
  ASSERT_EQ(rows.rows_size(), 1);
  EXPECT_EQ(rows.rows(0).summary().mean(), 1.5);
  v1::QueryCurvesRequest curves;
  curves.set_sweep("s-1");
  curves.set_metric("eval_loss");
  v1::QueryCurvesResponse curve_rows;
  ASSERT_TRUE(
      Call(results_.get(), &v1::ResultsService::Stub::QueryCurves, curves, &curve_rows).ok());
  EXPECT_EQ(curve_rows.rows_size(), 1);
  v1::RankModelsRequest rank;
  rank.set_sweep("s-1");
  v1::RankModelsResponse ranked;
  ASSERT_TRUE(Call(results_.get(), &v1::ResultsService::Stub::RankModels, rank, &ranked).ok());
  EXPECT_EQ(ranked.rows_size(), 2);
  v1::ComparePairsRequest compare;
  compare.set_sweep("s-1");
  compare.set_metric("id");
  *compare.add_a() = Filter("model_seed", {"0"});
  *compare.add_b() = Filter("model_seed", {"1"});
  v1::ComparePairsResponse compared;
  ASSERT_TRUE(
      Call(results_.get(), &v1::ResultsService::Stub::ComparePairs, compare, &compared).ok());
  ASSERT_EQ(compared.rows_size(), 1);
  EXPECT_EQ(compared.rows(0).difference().mean(), -1);
  v1::GetJobCurveRequest curve;
  curve.set_id(2);
  v1::GetJobCurveResponse points;
  ASSERT_TRUE(Call(results_.get(), &v1::ResultsService::Stub::GetJobCurve, curve, &points).ok());
  EXPECT_EQ(points.points_size(), 1);
}

TEST_F(ServicesTest, SweepsAreListedCancelledAndRetried) {
  v1::CreateSweepResponse created;
  ASSERT_TRUE(Create(Submission("r1"), &created).ok());
  v1::CancelSweepRequest cancel;
  cancel.set_sweep("s");
  v1::CancelSweepResponse cancelled;
  ASSERT_TRUE(Call(sweeps_.get(), &v1::SweepService::Stub::CancelSweep, cancel, &cancelled).ok());
  EXPECT_EQ(cancelled.jobs_cancelled(), 2);
  EXPECT_GT(cancelled.sweep().cancelled_us(), 0);
  v1::RetryJobsRequest retry;
  retry.set_sweep("s-1");
  v1::RetryJobsResponse retried;
  EXPECT_EQ(Call(sweeps_.get(), &v1::SweepService::Stub::RetryJobs, retry, &retried).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  ASSERT_TRUE(Create(Submission("r2"), &created).ok());
  EXPECT_EQ(created.jobs_requeued(), 2);
  v1::ListSweepsResponse page;
  ASSERT_TRUE(
      Call(sweeps_.get(), &v1::SweepService::Stub::ListSweeps, v1::ListSweepsRequest(), &page)
          .ok());
  ASSERT_EQ(page.sweeps_size(), 2);
  EXPECT_EQ(page.sweeps(0).id(), "s-2");
}

TEST_F(ServicesTest, JobsComePageByPage) {
  v1::CreateSweepResponse created;
  ASSERT_TRUE(Create(Submission("r1"), &created).ok());
  v1::ListJobsRequest request;
  request.set_sweep("s-1");
  request.set_page_size(1);
  v1::ListJobsResponse page;
  ASSERT_TRUE(Call(sweeps_.get(), &v1::SweepService::Stub::ListJobs, request, &page).ok());
  ASSERT_EQ(page.jobs_size(), 1);
  EXPECT_EQ(page.jobs(0).id(), 1);
  request.set_page_token(page.next_page_token());
  v1::ListJobsResponse last;
  ASSERT_TRUE(Call(sweeps_.get(), &v1::SweepService::Stub::ListJobs, request, &last).ok());
  ASSERT_EQ(last.jobs_size(), 1);
  EXPECT_EQ(last.jobs(0).id(), 2);
  EXPECT_EQ(last.next_page_token(), "");
  request.set_page_size(1001);
  EXPECT_EQ(Call(sweeps_.get(), &v1::SweepService::Stub::ListJobs, request, &last).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  v1::GetJobRequest get;
  get.set_id(2);
  v1::Job job;
  ASSERT_TRUE(Call(sweeps_.get(), &v1::SweepService::Stub::GetJob, get, &job).ok());
  EXPECT_EQ(job.state(), v1::QUEUED);
}

TEST_F(ServicesTest, ErrorsHaveTheirCodesAndWords) {
  v1::CreateSweepResponse created;
  v1::CreateSweepRequest bad = Submission("r1");
  bad.mutable_spec()->mutable_defaults()->set_rules(0);
  grpc::Status status = Create(bad, &created);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("rules"));
  EXPECT_EQ(Create(Submission(""), &created).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Create(Submission(std::string(65, 'x')), &created).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  v1::CreateSweepRequest huge = Submission("r1");
  for (const char* field : {"data_seed", "rules"}) {
    v1::Axis* axis = huge.mutable_spec()->mutable_grids(0)->add_axes();
    axis->set_field(field);
    for (int i = 0; i < 1000; ++i) axis->add_values(absl::StrCat(i));
  }
  EXPECT_EQ(Create(huge, &created).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  v1::Sweep sweep;
  EXPECT_EQ(GetSweep("nope", &sweep).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(GetSweep("", &sweep).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  v1::GetJobRequest get;
  get.set_id(77);
  v1::Job job;
  EXPECT_EQ(Call(sweeps_.get(), &v1::SweepService::Stub::GetJob, get, &job).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServicesTest, AViewBeyondItsLimitsEndsTheStream) {
  std::unique_ptr<WorkerEnd> worker = Connect('a');
  worker->view.set_slots(1025);
  ASSERT_TRUE(worker->stream->Write(worker->view));
  grpc::Status status = End(worker.get());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("slots is 1025"));

  worker = Connect('a');
  Synchronise(worker.get());
  worker->view.set_worker_id(std::string(32, 'b'));
  ASSERT_TRUE(worker->stream->Write(worker->view));
  EXPECT_EQ(End(worker.get()).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServicesTest, ANewerStreamAbortsTheOlder) {
  std::unique_ptr<WorkerEnd> older = Connect('a');
  Synchronise(older.get());
  std::unique_ptr<WorkerEnd> newer = Connect('a');
  Synchronise(newer.get());
  EXPECT_EQ(End(older.get()).error_code(), grpc::StatusCode::ABORTED);
  Synchronise(newer.get());
}

TEST_F(ServicesTest, ALostStreamIsHealedByTheNext) {
  v1::CreateSweepResponse created;
  ASSERT_TRUE(Create(Submission("r1"), &created).ok());
  std::unique_ptr<WorkerEnd> worker = Connect('a');
  const v1::CoordinatorView desired = Synchronise(worker.get());
  ASSERT_EQ(desired.gangs_size(), 1);
  worker->context.TryCancel();
  EXPECT_EQ(End(worker.get()).error_code(), grpc::StatusCode::CANCELLED);
  worker = Connect('a');
  Hold(desired, 1.0, &worker->view);
  const v1::CoordinatorView again = Synchronise(worker.get());
  ASSERT_EQ(again.gangs_size(), 1);
  EXPECT_EQ(again.gangs(0).id(), desired.gangs(0).id());
}

TEST_F(ServicesTest, StoppingEndsWorkersStreams) {
  std::unique_ptr<WorkerEnd> worker = Connect('a');
  Synchronise(worker.get());
  server_->Stop(absl::Seconds(10));
  EXPECT_EQ(End(worker.get()).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServicesTest, ArtifactsComeBackAsTheyWere) {
  const std::string content = std::string(1 << 20, 'x') + "the end";
  v1::UploadArtifactResponse stored;
  grpc::ClientContext up;
  auto upload = files_->UploadArtifact(&up, &stored);
  v1::UploadArtifactRequest piece;
  piece.set_data(content.substr(0, 1 << 20));
  ASSERT_TRUE(upload->Write(piece));
  piece.set_data(content.substr(1 << 20));
  ASSERT_TRUE(upload->Write(piece));
  upload->WritesDone();
  ASSERT_TRUE(upload->Finish().ok());
  EXPECT_EQ(stored.size_bytes(), static_cast<int64_t>(content.size()));
  EXPECT_EQ(stored.sha256().size(), 64u);

  v1::DownloadArtifactRequest request;
  request.set_sha256(stored.sha256());
  grpc::ClientContext down;
  auto download = files_->DownloadArtifact(&down, request);
  std::string read;
  v1::DownloadArtifactResponse part;
  while (download->Read(&part)) read += part.data();
  ASSERT_TRUE(download->Finish().ok());
  EXPECT_TRUE(read == content);

  request.set_sha256(std::string(64, '0'));
  grpc::ClientContext missing;
  download = files_->DownloadArtifact(&missing, request);
  EXPECT_FALSE(download->Read(&part));
  EXPECT_EQ(download->Finish().error_code(), grpc::StatusCode::NOT_FOUND);

  piece.set_data(std::string((1 << 20) + 1, 'x'));
  grpc::ClientContext large;
  upload = files_->UploadArtifact(&large, &stored);
  upload->Write(piece);
  upload->WritesDone();
  EXPECT_EQ(upload->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServicesTest, ABrokenUploadLeavesNothing) {
  v1::UploadArtifactResponse stored;
  grpc::ClientContext context;
  auto upload = files_->UploadArtifact(&context, &stored);
  v1::UploadArtifactRequest piece;
  piece.set_data("half");
  ASSERT_TRUE(upload->Write(piece));
  context.TryCancel();
  EXPECT_EQ(upload->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace modlab
