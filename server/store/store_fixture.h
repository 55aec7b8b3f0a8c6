// For tests: a real store in a directory of its own, and short ways to fill it.

#ifndef MODLAB_SERVER_STORE_STORE_FIXTURE_H_
#define MODLAB_SERVER_STORE_STORE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "lib/config/job_config.h"
#include "lib/config/words.h"
#include "server/store/store.h"

namespace modlab {

// Gone, with all in it, at its end.
class ScratchDir {
 public:
  ScratchDir() : path_(testing::TempDir() + "/modlab-XXXXXX") {
    if (mkdtemp(&path_[0]) == nullptr) std::abort();
  }
  ~ScratchDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

MATCHER_P(IsStatus, code, "") {
  *result_listener << arg;
  return arg.code() == code;
}

class StoreFixture : public testing::Test {
 protected:
  StoreFixture() { Reopen(); }

  // As after a crash: what was not committed is gone.
  void Reopen(const StoreOptions& options = {}) {
    store_.reset();
    absl::StatusOr<std::unique_ptr<Store>> opened = Store::Open(dir_.path(), options);
    if (!opened.ok()) {
      ADD_FAILURE() << opened.status();
      std::abort();
    }
    store_ = *std::move(opened);
  }

  Store::Writer* writer() { return store_->writer(); }

  // A canonical config: small, then as `fields` say.
  static v1::JobConfig Config(std::initializer_list<std::pair<const char*, const char*>> fields) {
    v1::JobConfig config;
    EXPECT_EQ(SetJobField("architecture", "mlp", &config), absl::OkStatus());
    config.set_target(v1::REGRESSION);
    config.set_model(v1::MODULAR);
    config.set_rules(2);
    config.set_iterations(100);
    config.set_eval_interval(50);
    for (const auto& [field, word] : fields) {
      EXPECT_EQ(SetJobField(field, word, &config), absl::OkStatus());
    }
    absl::StatusOr<v1::JobConfig> canonical = Canonicalise(config);
    EXPECT_EQ(canonical.status(), absl::OkStatus());
    return canonical.ok() ? *canonical : config;
  }

  static v1::Failure Why(v1::FailureCause cause, const std::string& message, int64_t iteration) {
    v1::Failure failure;
    failure.set_cause(cause);
    failure.set_message(message);
    failure.set_iteration(iteration);
    return failure;
  }

  // All that follow need an open transaction.

  // A new QUEUED job of no sweep yet.
  static absl::StatusOr<int64_t> InsertJob(Store::Writer* writer, const v1::JobConfig& config,
                                           int32_t replicate = 0, const std::string& avoided = "",
                                           int64_t now_us = 2000) {
    const std::string bytes = config.SerializeAsString();
    const std::string job_key = JobKey(config);
    const std::string shape_key = ShapeKey(config);
    NewJob job;
    job.config = bytes;
    job.job_key = job_key;
    job.shape_key = shape_key;
    job.avoided = avoided;
    job.iterations = config.iterations();
    job.replicate = replicate;
    return writer->InsertJob(job, now_us);
  }

  std::string AddSweep(const std::string& name, const v1::SweepPolicy& policy = {}) {
    v1::SweepSpec spec;
    spec.set_name(name);
    absl::StatusOr<QueuedSweep> sweep =
        writer()->InsertSweep(spec, policy, "ada", absl::StrCat("request-", ++requests_), 1000);
    EXPECT_EQ(sweep.status(), absl::OkStatus());
    return sweep.ok() ? sweep->id : "";
  }

  // Of a sweep that is not cancelled.
  int64_t Number(const std::string& sweep) {
    absl::StatusOr<QueuedSweep> found = writer()->FindActiveSweep(sweep);
    EXPECT_EQ(found.status(), absl::OkStatus());
    return found.ok() ? found->number : 0;
  }

  // A new QUEUED job of `sweep`.
  int64_t AddJob(const std::string& sweep, const v1::JobConfig& config, int32_t replicate = 0) {
    absl::StatusOr<int64_t> id = InsertJob(writer(), config, replicate);
    EXPECT_EQ(id.status(), absl::OkStatus());
    EXPECT_EQ(writer()->LinkJob(Number(sweep), *id).status(), absl::OkStatus());
    return *id;
  }

  void Start(int64_t job, int32_t attempt = 1) {
    EXPECT_EQ(writer()->StartAttempt(job, attempt, "worker-1", "host-1", "place-1", 3000),
              absl::OkStatus());
  }

  // An artifact of one byte, whose SHA-256 is this letter 64 times.
  std::string AddArtifact(char letter, int64_t now_us = 2500) {
    const std::string sha256(64, letter);
    EXPECT_EQ(writer()->RegisterArtifact(sha256, 1, now_us), absl::OkStatus());
    return sha256;
  }

  // At `iteration`, of a new artifact.
  void KeepCheckpoint(int64_t job, int64_t iteration, char letter, int64_t now_us = 3500) {
    v1::TrainingCheckpoint checkpoint;
    checkpoint.set_iteration(iteration);
    checkpoint.set_sha256(AddArtifact(letter, now_us));
    checkpoint.set_size_bytes(1);
    EXPECT_EQ(writer()->KeepCheckpoint(job, checkpoint, now_us), absl::OkStatus());
  }

  void AddPoint(int64_t job, int64_t iteration, v1::Metric metric, double value) {
    v1::CurvePoint point;
    point.set_iteration(iteration);
    v1::MetricValue* entry = point.add_values();
    entry->set_metric(metric);
    entry->set_value(value);
    EXPECT_EQ(writer()->AppendPoint(job, point), absl::OkStatus());
  }

  void Finish(int64_t job, std::initializer_list<std::pair<v1::Metric, double>> metrics) {
    v1::JobResult result;
    for (const auto& [metric, value] : metrics) {
      v1::MetricValue* entry = result.add_metrics();
      entry->set_metric(metric);
      entry->set_value(value);
    }
    EXPECT_EQ(writer()->FinishJob(job, result, 4000), absl::OkStatus());
  }

  void Begin() { ASSERT_EQ(writer()->Begin(), absl::OkStatus()); }
  void Commit() { ASSERT_EQ(writer()->Commit(), absl::OkStatus()); }

  // Reads that need no transaction.

  v1::Job Get(int64_t id) {
    absl::StatusOr<v1::Job> job = store_->GetJob(id);
    EXPECT_EQ(job.status(), absl::OkStatus());
    return job.ok() ? *job : v1::Job();
  }

  static v1::FieldFilter Filter(const std::string& field, std::vector<std::string> values) {
    v1::FieldFilter filter;
    filter.set_field(field);
    filter.mutable_values()->Assign(values.begin(), values.end());
    return filter;
  }

  ScratchDir dir_;
  std::unique_ptr<Store> store_;

 private:
  int requests_ = 0;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_STORE_STORE_FIXTURE_H_
