#include "client/run_comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace modlab {
namespace {

FinishedRun Run() {
  FinishedRun run;
  const auto fill = [](auto* values, double value) {
    v1::MetricValue* added = values->Add();
    added->set_metric(v1::EVAL_LOSS);
    added->set_value(value);
  };
  for (const int64_t iteration : {0, 50, 100}) {
    v1::CurvePoint& point = run.curve.emplace_back();
    point.set_iteration(iteration);
    fill(point.mutable_values(), 1.5);
    v1::MetricValue* speed = point.add_values();
    speed->set_metric(v1::ITERATIONS_PER_SECOND);
    speed->set_value(100);
    point.mutable_activation()->set_rules(1);
    point.mutable_activation()->set_modules(1);
    point.mutable_activation()->add_values(1);
  }
  v1::JobResult* result = run.job.mutable_result();
  result->mutable_provenance()->set_device("cpu");
  result->mutable_provenance()->set_blas("OpenBLAS");
  v1::MetricValue* id = result->add_metrics();
  id->set_metric(v1::ID);
  id->set_value(0.25);
  *result->mutable_activation() = run.curve[0].activation();
  result->set_checkpoint_sha256("aa");
  result->mutable_best()->set_iteration(50);
  *result->mutable_best()->mutable_metrics() = result->metrics();
  result->mutable_best()->set_checkpoint_sha256("bb");
  return run;
}

RunComparison Compare(const std::function<void(FinishedRun*)>& change) {
  FinishedRun other = Run();
  change(&other);
  return CompareRuns(Run(), other);
}

TEST(RunComparisonTest, GpusAreComparedByTheirKind) {
  const auto one_kind = [](const char* a, const char* b) {
    FinishedRun left = ::modlab::Run(), right = ::modlab::Run();
    for (auto [run, name] : {std::pair(&left, a), std::pair(&right, b)}) {
      run->job.mutable_result()->mutable_provenance()->set_device("cuda");
      run->job.mutable_result()->mutable_provenance()->set_device_name(name);
    }
    return CompareRuns(left, right).one_kind;
  };
  EXPECT_TRUE(one_kind("NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-40GB"));
  EXPECT_FALSE(one_kind("NVIDIA A100-SXM4-40GB", "Tesla V100-SXM2-16GB"));
  EXPECT_FALSE(one_kind("cuda:0", "cuda:0")) << "a number is no kind";
}

TEST(RunComparisonTest, EqualRuns) {
  const RunComparison same = Compare([](FinishedRun* run) {
    // What may differ.
    run->job.set_id(7);
    run->job.set_worker("another");
    run->curve[1].mutable_values(1)->set_value(5);
    run->job.mutable_result()->set_wall_seconds(9);
    run->job.mutable_result()->mutable_provenance()->set_modlab_version("9");
  });
  EXPECT_TRUE(same.one_kind);
  EXPECT_TRUE(same.Equal(0));
  EXPECT_EQ(same.largest, 0);
  EXPECT_EQ(same.first_difference, "");
}

TEST(RunComparisonTest, EveryBitCountsOnOneKindOfDevice) {
  const std::function<void(FinishedRun*)> changes[] = {
      [](FinishedRun* run) {
        run->curve[2].mutable_values(0)->set_value(std::nextafter(1.5, 2.0));
      },
      [](FinishedRun* run) {
        run->curve[0].mutable_activation()->set_values(0, std::nextafter(1.0F, 0.0F));
      },
      [](FinishedRun* run) { run->job.mutable_result()->mutable_metrics(0)->set_value(0.26); },
      [](FinishedRun* run) {
        run->job.mutable_result()->mutable_activation()->set_values(0, 0.5F);
      },
      [](FinishedRun* run) { run->job.mutable_result()->set_checkpoint_sha256("ab"); },
      [](FinishedRun* run) { run->job.mutable_result()->mutable_best()->set_iteration(100); },
      [](FinishedRun* run) {
        run->job.mutable_result()->mutable_best()->mutable_metrics(0)->set_value(0);
      },
      [](FinishedRun* run) {
        run->job.mutable_result()->mutable_best()->set_checkpoint_sha256("ab");
      },
  };
  for (const auto& change : changes) {
    const RunComparison comparison = Compare(change);
    EXPECT_FALSE(comparison.Equal(1e9));
    EXPECT_NE(comparison.first_difference, "");
    EXPECT_EQ(comparison.missing, "");
  }
}

TEST(RunComparisonTest, WhatIsMissingIsNeverEqual) {
  const std::function<void(FinishedRun*)> changes[] = {
      [](FinishedRun* run) { run->curve.pop_back(); },
      [](FinishedRun* run) { run->curve[1].set_iteration(51); },
      [](FinishedRun* run) { run->curve[1].mutable_values()->DeleteSubrange(0, 1); },
      [](FinishedRun* run) { run->curve[1].mutable_values(1)->set_metric(v1::TRAIN_LOSS); },
      [](FinishedRun* run) { run->curve[1].clear_activation(); },
      [](FinishedRun* run) { run->job.mutable_result()->clear_best(); },
  };
  for (const auto& change : changes) {
    const RunComparison comparison = Compare([&](FinishedRun* run) {
      change(run);
      run->job.mutable_result()->mutable_provenance()->set_device("cuda");
    });
    EXPECT_FALSE(comparison.one_kind);
    EXPECT_FALSE(comparison.Equal(1e9));
    EXPECT_NE(comparison.missing, "");
  }
}

TEST(RunComparisonTest, ToleranceBetweenKindsOfDevices) {
  const RunComparison comparison = Compare([](FinishedRun* run) {
    run->job.mutable_result()->mutable_provenance()->set_device("cuda");
    run->job.mutable_result()->set_checkpoint_sha256("other");
    run->curve[2].mutable_values(0)->set_value(1.5 * (1 - 0.004));
  });
  EXPECT_FALSE(comparison.one_kind);
  EXPECT_NEAR(comparison.largest, 0.004, 1e-12);
  EXPECT_EQ(comparison.largest_at, "eval_loss of the point at iteration 100");
  EXPECT_TRUE(comparison.Equal(0.005));
  EXPECT_FALSE(comparison.Equal(0.003));
}

TEST(RunComparisonTest, WhatIsNoNumberIsFarOff) {
  const RunComparison comparison = Compare([](FinishedRun* run) {
    run->job.mutable_result()->mutable_provenance()->set_blas("MKL");
    run->curve[2].mutable_values(0)->set_value(std::numeric_limits<double>::quiet_NaN());
  });
  EXPECT_FALSE(comparison.Equal(1e9));
}

TEST(RunComparisonTest, WeightsThatWerePrunedAreNotCompared) {
  EXPECT_TRUE(Compare([](FinishedRun* run) {
                run->job.mutable_result()->clear_checkpoint_sha256();
              }).Equal(0));
}

}  // namespace
}  // namespace modlab
