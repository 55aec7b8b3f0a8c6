// The real store through every crash point of a transaction.

#include "server/store/store.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/sim/disk.h"
#include "tests/sim/vfs.h"

namespace modlab {
namespace sim {
namespace {

class StoreTest : public testing::Test {
 protected:
  ~StoreTest() override { TakeDisk(); }

  void PutDisk(uint64_t seed) {
    TakeDisk();
    disk_ = std::make_unique<Disk>(seed);
    vfs_ = std::make_unique<Vfs>(disk_.get(), seed);
  }
  void TakeDisk() {
    if (disk_ != nullptr) Crash();
    vfs_.reset();
    disk_.reset();
  }

  void Open() {
    StoreOptions options;
    options.vfs = Vfs::kName;
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open("/sim", options);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  void Crash() {
    disk_->Crash();
    store_.reset();
  }

  void Submit(const std::string& request_id) {
    v1::SweepSpec spec;
    spec.set_name("s");
    Store::Writer* const writer = store_->writer();
    if (!writer->Begin().ok()) return;
    if (writer->InsertSweep(spec, {}, "", request_id, 1).ok()) writer->Commit().IgnoreError();
  }

  bool Has(const std::string& request_id) {
    Store::Writer* const writer = store_->writer();
    EXPECT_TRUE(writer->Begin().ok());
    const absl::StatusOr<std::optional<std::string>> sweep = writer->FindRequest(request_id);
    writer->Rollback();
    EXPECT_TRUE(sweep.ok()) << sweep.status();
    return sweep.ok() && sweep->has_value();
  }

  // A sweep of cancelled jobs with a long curve each.
  void AddCancelledJobs(int jobs) {
    v1::SweepSpec spec;
    spec.set_name("s");
    Store::Writer* const writer = store_->writer();
    ASSERT_TRUE(writer->Begin().ok());
    const absl::StatusOr<QueuedSweep> sweep = writer->InsertSweep(spec, {}, "", "request", 1);
    ASSERT_TRUE(sweep.ok()) << sweep.status();
    v1::JobConfig config;
    const std::string bytes = config.SerializeAsString();
    for (int i = 1; i <= jobs; ++i) {
      const std::string key = "job-" + std::to_string(i);
      NewJob job;
      job.config = bytes;
      job.job_key = key;
      job.shape_key = "shape";
      job.iterations = 1000;
      const absl::StatusOr<int64_t> id = writer->InsertJob(job, 1);
      ASSERT_TRUE(id.ok()) << id.status();
      ASSERT_TRUE(writer->LinkJob(sweep->number, *id).ok());
      for (int64_t iteration = 0; iteration < kPoints; ++iteration) {
        v1::CurvePoint point;
        point.set_iteration(iteration);
        point.add_values()->set_value(1.0 / static_cast<double>(iteration + i));
        ASSERT_TRUE(writer->AppendPoint(*id, point).ok());
      }
      ASSERT_TRUE(writer->CancelJob(*id, "", 2).ok());
    }
    ASSERT_TRUE(writer->Commit().ok());
  }

  static constexpr int64_t kPoints = 100;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<Vfs> vfs_;
  std::unique_ptr<Store> store_;
};

// The process may end between writing a transaction and syncing it. Whoever starts next
// finds it, and tells users that their sweep is there.
TEST_F(StoreTest, WhatAStartFoundSurvivesAPowerCut) {
  int found = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    // From before the first write of the transaction to after its sync.
    const int64_t operations = static_cast<int64_t>(seed) % 20;
    PutDisk(seed);
    Open();
    disk_->CrashAfter(operations);
    Submit("request");
    Crash();
    disk_->Restart(/*power_was_cut=*/false);
    Open();
    if (!Has("request")) continue;
    ++found;
    Crash();
    disk_->Restart(/*power_was_cut=*/true);
    Open();
    EXPECT_TRUE(Has("request")) << "disk " << seed << ", crash after " << operations
                                << " operations";
  }
  EXPECT_GT(found, 0);
}

// A write that fails may end the transaction in the middle of a prune.
TEST_F(StoreTest, APruneThatFailsTakesNothing) {
  constexpr int kJobs = 60;
  int failed = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    PutDisk(seed);
    Open();
    AddCancelledJobs(kJobs);
    Disk::Luck luck;
    luck.write_error = 0.05;
    disk_->set_luck(luck);
    v1::PruneRequest request;
    request.set_sweep("s-1");
    Store::Writer* const writer = store_->writer();
    const bool pruned =
        writer->Begin().ok() && writer->Prune(request, 0).ok() && writer->Commit().ok();
    writer->Rollback();
    disk_->set_luck({});
    if (pruned) continue;
    ++failed;
    for (int64_t job = 1; job <= kJobs; ++job) {
      const absl::StatusOr<std::vector<v1::CurvePoint>> points = store_->ReadCurve(job);
      ASSERT_TRUE(points.ok()) << "disk " << seed << ": " << points.status();
      ASSERT_EQ(static_cast<int64_t>(points->size()), kPoints)
          << "disk " << seed << ", job " << job;
    }
  }
  EXPECT_GT(failed, 0);
}

}  // namespace
}  // namespace sim
}  // namespace modlab
