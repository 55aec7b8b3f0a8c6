// A full disk, played by a limit on the size of files: the kernel then refuses
// to write as a full disk does.

#include <sys/resource.h>

#include <csignal>
#include <cstdint>
#include <string>

#include "server/store/artifacts.h"
#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::HasSubstr;

// While it lives, no file grows beyond `bytes`.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_ = {};
};

class DiskFullTest : public StoreFixture {
 protected:
  // Adds sweeps of 1 MiB in one transaction until something fails.
  absl::Status Fill() {
    absl::Status status = writer()->Begin();
    v1::SweepSpec spec;
    spec.set_name("big");
    spec.mutable_grids()->Add()->add_axes()->add_values(std::string(1 << 20, 'x'));
    for (int i = 0; i < 200 && status.ok(); ++i) {
      status = writer()->InsertSweep(spec, {}, "", absl::StrCat("big-", i), 1).status();
    }
    return status.ok() ? writer()->Commit() : status;
  }
};

TEST_F(DiskFullTest, SaysSoChangesNothingAndGoesOnLater) {
  Begin();
  const int64_t job = AddJob(AddSweep("before"), Config({}));
  Commit();
  {
    const FileSizeLimit limit(8 << 20);
    const absl::Status status = Fill();
    EXPECT_THAT(status, IsStatus(absl::StatusCode::kResourceExhausted));
    EXPECT_THAT(std::string(status.message()), HasSubstr("disk full"));
    EXPECT_THAT(std::string(status.message()), HasSubstr(dir_.path()));
    writer()->Rollback();
    EXPECT_TRUE(store_->GetSweep("before").ok());
    EXPECT_FALSE(store_->GetSweep("big").ok());
  }
  Begin();
  AddSweep("after");
  Start(job);
  Commit();
  Reopen();
  EXPECT_TRUE(store_->GetSweep("after").ok());
  EXPECT_FALSE(store_->GetSweep("big").ok());
  EXPECT_EQ(Get(job).state(), v1::RUNNING);
}

TEST_F(DiskFullTest, WhatAPruneWouldDoIsSaid) {
  Begin();
  const int64_t job = AddJob(AddSweep("old"), Config({}));
  Start(job);
  Finish(job, {});
  Commit();
  const FileSizeLimit limit(1);  // byte: nothing can be written
  v1::PruneRequest prune;
  prune.set_sweep("old");
  EXPECT_EQ(store_->PlanPrune(prune, 0)->response.jobs(), 1);
}

TEST_F(DiskFullTest, ALostTransactionTakesNoChanges) {
  const FileSizeLimit limit(8 << 20);
  ASSERT_FALSE(Fill().ok());
  writer()->Rollback();
  EXPECT_FALSE(writer()->CancelSweep("big", 1).ok());
  EXPECT_FALSE(writer()->Commit().ok());
}

// A database at its limit still reads, and goes on once something is pruned.
TEST_F(DiskFullTest, ADatabaseAtItsLimitIsAsAFullDisk) {
  StoreOptions options;
  options.bytes_max = 1 << 20;
  Reopen(options);
  Begin();
  const std::string sweep = AddSweep("old");
  const int64_t done = AddJob(sweep, Config({}));
  Start(done);
  Finish(done, {});
  Commit();
  int points = 0;
  absl::Status status;
  while (status.ok()) {
    ASSERT_LT(points, 10'000'000);
    status = writer()->Begin();
    v1::CurvePoint point;
    v1::MetricValue* const loss = point.add_values();
    loss->set_metric(v1::EVAL_LOSS);
    for (int i = 0; i < 1000 && status.ok(); ++i) {
      point.set_iteration(++points);
      loss->set_value(1.0 / points);
      status = writer()->AppendPoint(done, point);
    }
    if (status.ok()) status = writer()->Commit();
  }
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(std::string(status.message()), HasSubstr("modlab prune"));
  writer()->Rollback();
  EXPECT_LE(std::filesystem::file_size(dir_.path() + "/modlab.db"), 1u << 20);

  Reopen(options);
  EXPECT_EQ(Get(done).state(), v1::SUCCEEDED);
  EXPECT_GT(store_->ReadCurve(done)->size(), 1000u);
  EXPECT_THAT(Fill(), IsStatus(absl::StatusCode::kResourceExhausted));
  writer()->Rollback();

  v1::PruneRequest prune;
  prune.set_sweep(sweep);
  Begin();
  ASSERT_EQ(writer()->Prune(prune, 0).status(), absl::OkStatus());
  Commit();
  Begin();
  AddJob(AddSweep("new"), Config({}));
  Commit();
  EXPECT_EQ(store_->GetSweep("new")->counts().queued(), 1);
}

TEST_F(DiskFullTest, ALargerDatabaseThanItsLimitCanBeRead) {
  Begin();
  AddSweep("s");
  Commit();
  StoreOptions options;
  options.bytes_max = 1;
  Reopen(options);
  EXPECT_TRUE(store_->GetSweep("s").ok());
  EXPECT_THAT(Fill(), IsStatus(absl::StatusCode::kResourceExhausted));
}

TEST_F(DiskFullTest, AnUploadSaysSoAndLeavesNothing) {
  const auto artifacts = Artifacts::Open(dir_.path());
  ASSERT_TRUE(artifacts.ok());
  const FileSizeLimit limit(1 << 20);
  {
    const auto upload = (*artifacts)->Create();
    ASSERT_TRUE(upload.ok());
    const absl::Status status = (*upload)->Append(std::string(2 << 20, 'x'));
    EXPECT_THAT(status, IsStatus(absl::StatusCode::kResourceExhausted));
    EXPECT_THAT(std::string(status.message()), HasSubstr("disk full"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path() + "/artifacts/tmp"));
}

}  // namespace
}  // namespace modlab
