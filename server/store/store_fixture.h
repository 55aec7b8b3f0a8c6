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
  void Reopen() {
    store_.reset();
    absl::StatusOr<std::unique_ptr<Store>> opened = Store::Open(dir_.path());
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

  // All that follow need an open transaction.

  std::string AddSweep(const std::string& name) {
    v1::SweepSpec spec;
    spec.set_name(name);
    absl::StatusOr<std::string> id =
        writer()->InsertSweep(spec, absl::StrCat("request-", ++requests_), 1000);
    EXPECT_EQ(id.status(), absl::OkStatus());
    return id.ok() ? *id : "";
  }

  // A new QUEUED job of `sweep`.
  int64_t AddJob(const std::string& sweep, const v1::JobConfig& config, int32_t replicate = 0) {
    absl::StatusOr<int64_t> id =
        writer()->InsertJob(config, JobKey(config), ShapeKey(config), replicate, 2000);
    EXPECT_EQ(id.status(), absl::OkStatus());
    EXPECT_EQ(writer()->LinkJob(sweep, *id), absl::OkStatus());
    return *id;
  }

  void Start(int64_t job, int32_t attempt = 1) {
    EXPECT_EQ(writer()->StartAttempt(job, attempt, "worker-1", "host-1", 3000), absl::OkStatus());
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
