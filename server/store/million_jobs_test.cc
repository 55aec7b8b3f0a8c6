// A store of a million jobs, generated: what users and the engine ask for costs what the
// answer costs, not what the store holds.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/store/curve_chunk.h"
#include "server/store/sqlite.h"
#include "server/store/store_fixture.h"

namespace modlab {
namespace {

constexpr int64_t kJobs = 1'000'000;

// One store for all tests: making it takes seconds. Of its jobs one in 100,000 has failed, the
// last thousand wait, all others have a result and a curve of three points.
class MillionJobsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new ScratchDir();
    store_ = Store::Open(dir_->path())->release();
    Store::Writer* const writer = store_->writer();
    ASSERT_TRUE(writer->Begin().ok());
    v1::SweepSpec spec;
    spec.set_name("million");
    ASSERT_TRUE(writer->InsertSweep(spec, {}, "ada", "request", 1).ok());
    ASSERT_TRUE(writer->Commit().ok());
    Fill();
  }
  static void TearDownTestSuite() {
    delete store_;
    delete dir_;
  }

  static v1::JobConfig Config() {
    v1::JobConfig config;
    config.set_architecture(v1::MLP);
    config.set_target(v1::REGRESSION);
    config.set_model(v1::MODULAR);
    config.set_rules(2);
    config.set_iterations(100);
    config.set_eval_interval(50);
    return *Canonicalise(config);
  }

  static std::string Chunk() {
    std::vector<v1::CurvePoint> points(3);
    std::vector<const v1::CurvePoint*> pointers;
    for (int i = 0; i < 3; ++i) {
      points[static_cast<size_t>(i)].set_iteration(50 * i);
      v1::MetricValue* value = points[static_cast<size_t>(i)].add_values();
      value->set_metric(v1::EVAL_LOSS);
      value->set_value(1.0 / (i + 1));
      pointers.push_back(&points[static_cast<size_t>(i)]);
    }
    return EncodeChunk(pointers);
  }

  static void Run(Connection* connection, const std::string& sql, const std::string& blob) {
    Statement statement = connection->Prepare(sql);
    if (!blob.empty()) statement.BindBlob(blob);
    ASSERT_EQ(statement.Run(), absl::OkStatus()) << sql;
  }

  static void Fill() {
    const auto connection =
        *Connection::Open(dir_->path() + "/modlab.db", Connection::Mode::kReadWriteCreate);
    ASSERT_TRUE(connection->Execute("PRAGMA cache_size = -200000; BEGIN").ok());
    v1::JobResult result;
    result.add_metrics()->set_metric(v1::ID);
    const std::string ids = absl::StrCat(
        "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < ", kJobs,
        ") ");
    Run(connection.get(),
        absl::StrCat("INSERT INTO jobs (id, state, iterations, iteration, replicate, created_us,"
                     "                  job_key, shape_key, config, events) ",
                     ids, "SELECT id, CASE WHEN id > ", kJobs - 1000,
                     " THEN 1 WHEN id % 100000 = 7 THEN 4 ELSE 3 END, 100, 100, 0, 2000,"
                     "  printf('%032x', id * 2654435761 % 4294967296), 'shape', ?, 3 FROM n"),
        Config().SerializeAsString());
    Run(connection.get(),
        absl::StrCat("INSERT INTO sweep_jobs (sweep, job) ", ids, "SELECT 1, id FROM n"), "");
    Run(connection.get(),
        "INSERT INTO results (job, result) SELECT id, ? FROM jobs WHERE state = 3",
        result.SerializeAsString());
    Run(connection.get(),
        "INSERT INTO curve_chunks (key, last, points, chunk)"
        "  SELECT id << 27, 100, 3, ? FROM jobs WHERE state = 3",
        Chunk());
    ASSERT_TRUE(connection->Execute("COMMIT").ok());
  }

  // The least of a few times, which nothing else that runs makes longer.
  static double Milliseconds(const std::function<void()>& act) {
    double least = std::numeric_limits<double>::max();
    for (int i = 0; i < 5; ++i) {
      const auto start = std::chrono::steady_clock::now();
      act();
      const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
      least = std::min(least, ms.count());
    }
    return least;
  }

  // Reading every job takes a hundred times as long.
  static constexpr double kQuick = 20;

  static ScratchDir* dir_;
  static Store* store_;
};

ScratchDir* MillionJobsTest::dir_ = nullptr;
Store* MillionJobsTest::store_ = nullptr;

TEST_F(MillionJobsTest, APageFromAnywhere) {
  for (const int64_t after : {int64_t{0}, kJobs / 2, kJobs - 150}) {
    int64_t last = 0;
    EXPECT_LT(Milliseconds([&] {
                int jobs = 0;
                ASSERT_TRUE(store_
                                ->ScanJobs("million", {}, after,
                                           [&](const v1::Job& job) {
                                             last = job.id();
                                             return ++jobs < 100;
                                           })
                                .ok());
              }),
              kQuick);
    EXPECT_EQ(last, after + 100);
  }
}

TEST_F(MillionJobsTest, TheFewThatFailedOrWait) {
  for (const auto& [state, count] : {std::pair("failed", 10), std::pair("queued", 1000)}) {
    v1::FieldFilter filter;
    filter.set_field("state");
    filter.add_values(state);
    int jobs = 0;
    const auto count_jobs = [&](const auto&) { return ++jobs > 0; };
    EXPECT_LT(Milliseconds([&] {
                jobs = 0;
                ASSERT_TRUE(store_->ScanJobs("million", {filter}, 0, count_jobs).ok());
              }),
              kQuick)
        << state;
    EXPECT_EQ(jobs, count);
    EXPECT_LT(Milliseconds([&] {
                jobs = 0;
                ASSERT_TRUE(store_->ScanFigures("", {filter}, v1::LAST, count_jobs).ok());
              }),
              kQuick)
        << state;
    EXPECT_EQ(jobs, count);
  }
}

TEST_F(MillionJobsTest, OneJobAndItsCurve) {
  EXPECT_LT(Milliseconds([&] {
              EXPECT_EQ(store_->GetJob(kJobs / 2)->state(), v1::SUCCEEDED);
              EXPECT_EQ(store_->ReadCurve(kJobs / 2)->size(), 3u);
              EXPECT_EQ(store_->ReadEvents(kJobs / 2)->size(), 3u);
            }),
            kQuick);
}

TEST_F(MillionJobsTest, WhatTheEngineNeeds) {
  Store::Writer* const writer = store_->writer();
  ASSERT_TRUE(writer->Begin().ok());
  EXPECT_LT(Milliseconds([&] {
              int jobs = 0;
              ASSERT_TRUE(writer->LoadUnfinished([&](const UnfinishedJob&) { ++jobs; }).ok());
              EXPECT_EQ(jobs, 1000);
            }),
            kQuick);
  EXPECT_LT(Milliseconds([&] {
              const auto known = *writer->FindJob(absl::StrCat(std::string(24, '0'), "00000000"));
              EXPECT_FALSE(known.has_value());
              EXPECT_EQ(writer->StartAttempt(kJobs, 1, "w", "w", "p", 1), absl::OkStatus());
              v1::CurvePoint point;
              EXPECT_EQ(writer->AppendPoint(kJobs, point), absl::OkStatus());
              EXPECT_EQ(writer->ReleaseJob(kJobs, 0, "", 1), absl::OkStatus());
            }),
            kQuick);
  writer->Rollback();
}

// All results of it, in a time that lets one wait for them.
TEST_F(MillionJobsTest, EveryFigure) {
  int64_t figures = 0;
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(store_
                  ->ScanFigures("million", {}, v1::LAST,
                                [&](const JobFigures& job) {
                                  figures += static_cast<int64_t>(job.figures.size());
                                  return true;
                                })
                  .ok());
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(figures, kJobs - 1010);
  EXPECT_LT(seconds.count(), 20);
}

}  // namespace
}  // namespace modlab
