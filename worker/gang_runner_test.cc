#include "worker/gang_runner.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "worker/gang_runner_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(GangRunnerTest, ReportsPointsAndResultsWithProvenanceAndWeights) {
  List({1, 2});
  Train(Runner([](FakeTrainer* trainer, GangObserver* observer) {
    EXPECT_TRUE(trainer->is_canonical(0));
    observer->OnPoint(0, PointAt(0));
    observer->OnPoint(1, PointAt(0));
    observer->OnPoint(1, PointAt(500));
    return FinishAll(trainer, observer);
  }));
  EXPECT_THAT(created_, ElementsAre(ElementsAre(1, 2)));
  ASSERT_EQ(reports_[1].size(), 2u);
  ASSERT_EQ(reports_[2].size(), 3u);
  EXPECT_EQ(reports_[2][1].point().iteration(), 500);
  const v1::JobResult& result = reports_[2][2].finished();
  EXPECT_EQ(result.checkpoint_sha256(), "sha256 of weights 2");
  EXPECT_EQ(result.provenance().device_name(), "Fake 9000");
  EXPECT_EQ(result.wall_seconds(), 2);
}

TEST_F(GangRunnerTest, AMemberFailsAlone) {
  List({1, 2});
  Train(Runner([](FakeTrainer*, GangObserver* observer) {
    v1::Failure failure;
    failure.set_cause(v1::DIVERGED);
    failure.set_iteration(40);
    observer->OnFailed(0, failure);
    observer->OnFinished(1, v1::JobResult(), {"w", ""});
    return absl::OkStatus();
  }));
  EXPECT_EQ(FailureOf(1).cause(), v1::DIVERGED);
  EXPECT_EQ(FailureOf(1).iteration(), 40);
  EXPECT_TRUE(reports_[2].back().has_finished());
}

TEST_F(GangRunnerTest, AGangThatDoesNotFitIsTrainedInHalves) {
  List({1, 2, 3, 4, 5});
  Train(Runner(
      [](const std::vector<v1::JobConfig>& configs,
         const std::vector<std::string>& checkpoints) -> absl::StatusOr<std::unique_ptr<Trainer>> {
        if (configs.size() > 2) return absl::ResourceExhaustedError("full");
        return std::make_unique<FakeTrainer>(configs, checkpoints, FinishAll);
      }));
  EXPECT_THAT(created_, ElementsAre(ElementsAre(1, 2, 3, 4, 5), ElementsAre(1, 2),
                                    ElementsAre(3, 4, 5), ElementsAre(3), ElementsAre(4, 5)));
  for (int64_t job = 1; job <= 5; ++job) {
    ASSERT_EQ(reports_[job].size(), 1u) << job;
    EXPECT_EQ(reports_[job][0].finished().wall_seconds(), static_cast<double>(job));
  }
}

TEST_F(GangRunnerTest, OutOfMemoryOnTheWayReportsNoPointTwice) {
  List({1, 2});
  Train(Runner([](FakeTrainer* trainer, GangObserver* observer) {
    for (int member = 0; member < trainer->size(); ++member) {
      observer->OnPoint(member, PointAt(0));
      observer->OnPoint(member, PointAt(10));
    }
    if (trainer->size() > 1) return absl::ResourceExhaustedError("full");
    observer->OnPoint(0, PointAt(20));
    return FinishAll(trainer, observer);
  }));
  for (const int64_t job : {1, 2}) {
    ASSERT_EQ(reports_[job].size(), 4u);
    EXPECT_EQ(reports_[job][2].point().iteration(), 20);
    EXPECT_EQ(reports_[job][3].finished().wall_seconds(), static_cast<double>(job));
  }
}

TEST_F(GangRunnerTest, AJobThatDoesNotFitAloneFailsAsOutOfMemory) {
  List({1, 2});
  Train(Runner([](FakeTrainer* trainer, GangObserver* observer) -> absl::Status {
    if (trainer->seed(0) == 1) throw std::bad_alloc();
    return FinishAll(trainer, observer);
  }));
  EXPECT_EQ(FailureOf(1).cause(), v1::OUT_OF_MEMORY);
  EXPECT_THAT(FailureOf(1).message(), HasSubstr("Fake 9000 cannot hold this job"));
  for (const char* help : {"--slots", "--memory-gib", "--require-memory", "requires.memory_gib"}) {
    EXPECT_THAT(FailureOf(1).message(), HasSubstr(help));
  }
  EXPECT_TRUE(reports_[2].back().has_finished());
}

TEST_F(GangRunnerTest, ThePulseIsOfWhatIsComputedAndStopsWhileItWaits) {
  List({1});
  std::vector<uint64_t> pulses;
  const auto note = [&] { pulses.push_back(session_.NextView().held(0).pulse()); };
  note();
  keep_ = [&](absl::string_view, const TryAgain&) {
    note();
    return "sha256";
  };
  Train(Runner([&](FakeTrainer* trainer, GangObserver* observer) {
    note();
    ++trainer->mutable_progress().pulse;
    note();
    return FinishAll(trainer, observer);
  }));
  ASSERT_EQ(pulses.size(), 4u);
  EXPECT_EQ(pulses[0], 0u) << "no slot has it";
  EXPECT_GT(pulses[1], 0u);
  EXPECT_NE(pulses[2], pulses[1]);
  EXPECT_EQ(pulses[3], 0u) << "while its weights are uploaded";
}

TEST_F(GangRunnerTest, ErrorsFailWhoHasNotEndedWithTheLastGoodPoint) {
  List({1, 2});
  Train(Runner([](FakeTrainer*, GangObserver* observer) {
    observer->OnFinished(0, v1::JobResult(), {"w", ""});
    observer->OnPoint(1, PointAt(70));
    return absl::InternalError("a wire came loose");
  }));
  EXPECT_TRUE(reports_[1].back().has_finished());
  EXPECT_EQ(FailureOf(2).cause(), v1::WORKER_ERROR);
  EXPECT_EQ(FailureOf(2).iteration(), 70);
  EXPECT_THAT(FailureOf(2).message(), HasSubstr("a wire came loose"));
}

TEST_F(GangRunnerTest, ExceptionsFailTheGangAndNotTheProcess) {
  List({1});
  Train(Runner([](FakeTrainer*, GangObserver*) -> absl::Status {
    throw std::runtime_error("sizes of tensors must match");
  }));
  EXPECT_EQ(FailureOf(1).cause(), v1::WORKER_ERROR);
  EXPECT_THAT(FailureOf(1).message(), HasSubstr("sizes of tensors must match"));
  EXPECT_EQ(FailureOf(1).iteration(), 0);

  List({2});
  Train(Runner([](FakeTrainer*, GangObserver*) -> absl::Status { throw 1; }));
  EXPECT_EQ(FailureOf(2).cause(), v1::WORKER_ERROR);

  List({3});
  Train(Runner([](const std::vector<v1::JobConfig>&,
                  const std::vector<std::string>&) -> absl::StatusOr<std::unique_ptr<Trainer>> {
    return absl::InvalidArgumentError("no such device");
  }));
  EXPECT_EQ(FailureOf(3).cause(), v1::WORKER_ERROR);
}

TEST_F(GangRunnerTest, ATrainerThatForgetsAMemberFailsIt) {
  List({1});
  Train(Runner([](FakeTrainer*, GangObserver*) { return absl::OkStatus(); }));
  EXPECT_EQ(FailureOf(1).cause(), v1::WORKER_ERROR);
  EXPECT_THAT(FailureOf(1).message(), HasSubstr("without a result"));
}

TEST_F(GangRunnerTest, AConfigThatIsNotAllowedFailsAlone) {
  v1::CoordinatorView view;
  for (const int64_t job : {1, 2}) {
    if (job == 1) view.add_gangs();
    v1::Lease* lease = view.mutable_gangs(0)->add_leases();
    lease->set_job_id(job);
    *lease->mutable_config() = Config(job);
  }
  view.mutable_gangs(0)->mutable_leases(0)->mutable_config()->set_rules(0);
  session_.Apply(view);
  Train(Runner(FinishAll));
  EXPECT_THAT(created_, ElementsAre(ElementsAre(2)));
  EXPECT_EQ(FailureOf(1).cause(), v1::WORKER_ERROR);
  EXPECT_THAT(FailureOf(1).message(), HasSubstr("rules"));
  EXPECT_TRUE(reports_[2].back().has_finished());
}

TEST_F(GangRunnerTest, DropsReachTheTrainerAndEndInSilence) {
  List({1, 2});
  Train(Runner([this](FakeTrainer* trainer, GangObserver* observer) {
    observer->OnPoint(0, PointAt(0));
    List({2});
    EXPECT_TRUE(trainer->dropped(0));
    EXPECT_FALSE(trainer->dropped(1));
    List({});
    EXPECT_TRUE(trainer->dropped(1));
    return absl::CancelledError("all dropped");
  }));
  EXPECT_EQ(reports_[1].size(), 1u);
  EXPECT_THAT(reports_[2], IsEmpty());
}

TEST_F(GangRunnerTest, DropsBeforeTheTrainerExistsAreNotLost) {
  List({1, 2, 3, 4});
  Train(Runner(
      [this](const std::vector<v1::JobConfig>& configs, const std::vector<std::string>& checkpoints)
          -> absl::StatusOr<std::unique_ptr<Trainer>> {
        List({2, 3});
        if (configs.size() > 1) return absl::ResourceExhaustedError("full");
        return std::make_unique<FakeTrainer>(configs, checkpoints, FinishAll);
      }));
  EXPECT_THAT(created_, ElementsAre(ElementsAre(1, 2, 3, 4), ElementsAre(2), ElementsAre(3)));
}

TEST_F(GangRunnerTest, ProgressOfTheRunningHalfIsSeenInViews) {
  List({1, 2});
  v1::WorkerView during;
  Train(Runner([&](FakeTrainer* trainer, GangObserver* observer) -> absl::Status {
    trainer->mutable_progress().iteration = 30;
    trainer->mutable_progress().iterations_per_second = 5.0;
    if (trainer->size() > 1) return absl::ResourceExhaustedError("full");
    if (trainer->seed(0) == 2) during = session_.NextView();
    return FinishAll(trainer, observer);
  }));
  ASSERT_EQ(during.held_size(), 2);
  EXPECT_EQ(during.held(0).iterations_per_second(), 0.0);
  EXPECT_EQ(during.held(1).iteration(), 30);
  EXPECT_EQ(during.held(1).iterations_per_second(), 5.0);
}

TEST_F(GangRunnerTest, WeightsThatCannotBeStoredFailTheJob) {
  List({1});
  keep_ = [](absl::string_view, const TryAgain& try_again) {
    EXPECT_TRUE(try_again(absl::ResourceExhaustedError("full")));
    return absl::UnimplementedError("no artifacts here");
  };
  Train(Runner(FinishAll));
  EXPECT_EQ(FailureOf(1).cause(), v1::WORKER_ERROR);
  EXPECT_THAT(FailureOf(1).message(), HasSubstr("no artifacts here"));
}

TEST_F(GangRunnerTest, WeightsOfADroppedJobAreNotWanted) {
  List({1});
  keep_ = [this](absl::string_view, const TryAgain& try_again) {
    List({});
    const absl::Status error = absl::UnavailableError("away");
    EXPECT_FALSE(try_again(error));
    return error;
  };
  Train(Runner(FinishAll));
  EXPECT_THAT(reports_[1], IsEmpty());
}

}  // namespace
}  // namespace modlab
