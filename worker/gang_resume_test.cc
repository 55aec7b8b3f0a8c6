// Jobs go on from checkpoints, keep them, and are handed back.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "worker/gang_runner_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

using GangResumeTest = GangRunnerTest;

TEST_F(GangResumeTest, JobsGoOnFromTheirCheckpoints) {
  List({1, 2}, {{1, 400}, {2, 400}});
  std::vector<std::string> checkpoints;
  Train(Runner([&](FakeTrainer* trainer, GangObserver* observer) {
    checkpoints = trainer->checkpoints();
    return FinishAll(trainer, observer);
  }));
  EXPECT_THAT(checkpoints, ElementsAre("file of job 1", "file of job 2"));
  EXPECT_TRUE(reports_[2].back().has_finished());
}

TEST_F(GangResumeTest, AnOlderCoordinatorsMixedGangIsTrainedByIteration) {
  List({1, 2, 3, 4}, {{1, 400}, {3, 400}, {4, 700}});
  Train(Runner(FinishAll));
  EXPECT_THAT(created_, UnorderedElementsAre(ElementsAre(1, 3), ElementsAre(2), ElementsAre(4)));
  for (int64_t job = 1; job <= 4; ++job) EXPECT_TRUE(reports_[job].back().has_finished()) << job;
}

TEST_F(GangResumeTest, ACheckpointThatIsGoneOrDamagedMeansToBeginAgain) {
  for (const absl::Status& status :
       {absl::NotFoundError("never stored"), absl::DataLossError("other content")}) {
    created_.clear();
    reports_.clear();
    List({});
    List({1, 2, 3}, {{1, 400}, {2, 400}, {3, 400}});
    fetch_ = [&](const v1::TrainingCheckpoint& checkpoint,
                 const std::function<bool()>&) -> absl::StatusOr<std::string> {
      if (checkpoint.sha256() == "of job 2") return status;
      return "file " + checkpoint.sha256();
    };
    std::map<int64_t, size_t> checkpoints;
    Train(Runner([&](FakeTrainer* trainer, GangObserver* observer) {
      checkpoints[trainer->seed(0)] = trainer->checkpoints().size();
      return FinishAll(trainer, observer);
    }));
    EXPECT_THAT(created_, UnorderedElementsAre(ElementsAre(1, 3), ElementsAre(2)));
    EXPECT_EQ(checkpoints[1], 2u);
    EXPECT_EQ(checkpoints[2], 0u);
    for (int64_t job = 1; job <= 3; ++job) EXPECT_TRUE(reports_[job].back().has_finished()) << job;
  }
}

TEST_F(GangResumeTest, ACheckpointThatTheTrainerRefusesMeansToBeginAgain) {
  List({1, 2, 3, 4}, {{1, 400}, {2, 400}, {3, 400}, {4, 400}});
  std::map<int64_t, size_t> checkpoints;
  Train(Runner([&](const std::vector<v1::JobConfig>& configs, const std::vector<std::string>& files)
                   -> absl::StatusOr<std::unique_ptr<Trainer>> {
    for (const std::string& file : files) {
      if (file == "file of job 3") return absl::InvalidArgumentError("not of this config");
    }
    for (const v1::JobConfig& config : configs) checkpoints[config.model_seed()] = files.size();
    return std::make_unique<FakeTrainer>(configs, files, FinishAll);
  }));
  EXPECT_EQ(checkpoints[1], 2u);
  EXPECT_EQ(checkpoints[2], 2u);
  EXPECT_EQ(checkpoints[3], 0u);
  EXPECT_EQ(checkpoints[4], 1u);
  for (int64_t job = 1; job <= 4; ++job) EXPECT_TRUE(reports_[job].back().has_finished()) << job;
}

TEST_F(GangResumeTest, ACheckpointThatCannotBeFetchedFailsTheJobAlone) {
  List({1, 2}, {{1, 400}, {2, 400}});
  fetch_ = [](const v1::TrainingCheckpoint& checkpoint,
              const std::function<bool()>&) -> absl::StatusOr<std::string> {
    if (checkpoint.sha256() == "of job 1") return absl::PermissionDeniedError("no such role");
    return std::string("file");
  };
  Train(Runner(FinishAll));
  EXPECT_EQ(FailureOf(1).cause(), v1::WORKER_ERROR);
  EXPECT_EQ(FailureOf(1).iteration(), 400);
  EXPECT_THAT(FailureOf(1).message(), HasSubstr("iteration 400 (of job 1) cannot be fetched"));
  EXPECT_THAT(FailureOf(1).message(), HasSubstr("no such role"));
  EXPECT_TRUE(reports_[2].back().has_finished());
}

TEST_F(GangResumeTest, AJobReleasedWhileItsCheckpointIsFetchedIsHandedBack) {
  List({1}, {{1, 400}});
  fetch_ = [this](const v1::TrainingCheckpoint&,
                  const std::function<bool()>& is_wanted) -> absl::StatusOr<std::string> {
    EXPECT_TRUE(is_wanted());
    List({1}, {{1, 400}}, {1});
    EXPECT_FALSE(is_wanted());
    return absl::CancelledError("not wanted");
  };
  Train(Runner(FinishAll));
  EXPECT_THAT(created_, IsEmpty());
  ASSERT_EQ(reports_[1].size(), 1u);
  EXPECT_TRUE(reports_[1][0].has_released());
}

TEST_F(GangResumeTest, CheckpointsAreStoredReportedAndTrainingGoesOn) {
  List({1, 2});
  Train(Runner([&](FakeTrainer* trainer, GangObserver* observer) {
    SaveAll(trainer, observer, 300);
    while (gang_->checkpoint(1).iteration() < 300) std::this_thread::yield();
    SaveAll(trainer, observer, 300);  // nothing new
    return FinishAll(trainer, observer);
  }));
  for (const int64_t job : {1, 2}) {
    ASSERT_EQ(reports_[job].size(), 2u);
    const v1::TrainingCheckpoint& checkpoint = reports_[job][0].checkpoint();
    const std::string file = "state of " + std::to_string(job) + " at 300";
    EXPECT_EQ(checkpoint.iteration(), 300);
    EXPECT_EQ(checkpoint.sha256(), "sha256 of " + file);
    EXPECT_EQ(checkpoint.size_bytes(), static_cast<int64_t>(file.size()));
    EXPECT_TRUE(reports_[job][1].has_finished());
  }
}

TEST_F(GangResumeTest, AReleasedMemberKeepsItsCheckpointAndTheOthersGoOn) {
  List({1, 2});
  Train(Runner([this](FakeTrainer* trainer, GangObserver* observer) {
    EXPECT_FALSE(trainer->checkpoints_asked());
    List({1, 2}, {}, {1});
    EXPECT_TRUE(trainer->checkpoints_asked());
    SaveAll(trainer, observer, 250);
    EXPECT_TRUE(trainer->dropped(0));
    EXPECT_FALSE(trainer->dropped(1));
    return FinishAll(trainer, observer);
  }));
  ASSERT_EQ(reports_[1].size(), 2u);
  EXPECT_EQ(reports_[1][0].checkpoint().iteration(), 250);
  EXPECT_EQ(reports_[1][1].released().reason(), "the coordinator asked for it");
  EXPECT_TRUE(reports_[2].back().has_finished());
}

TEST_F(GangResumeTest, AReleaseBeforeTheTrainerExistsIsNotLost) {
  List({1});
  Train(Runner(
      [this](const std::vector<v1::JobConfig>& configs, const std::vector<std::string>& checkpoints)
          -> absl::StatusOr<std::unique_ptr<Trainer>> {
        session_.Drain();
        return std::make_unique<FakeTrainer>(configs, checkpoints,
                                             [](FakeTrainer* trainer, GangObserver* observer) {
                                               EXPECT_TRUE(trainer->checkpoints_asked());
                                               SaveAll(trainer, observer, 0);
                                               return absl::CancelledError("all dropped");
                                             });
      }));
  // Of iteration 0 there is nothing to keep.
  ASSERT_EQ(reports_[1].size(), 1u);
  EXPECT_EQ(reports_[1][0].released().reason(), "the worker drains");
}

TEST_F(GangResumeTest, ACheckpointThatCannotBeStoredIsNoFailure) {
  List({1});
  keep_ = [](absl::string_view content, const TryAgain&) -> absl::StatusOr<std::string> {
    if (content.substr(0, 5) == "state") return absl::InvalidArgumentError("too large");
    return std::string("sha256");
  };
  Train(Runner([&](FakeTrainer* trainer, GangObserver* observer) {
    SaveAll(trainer, observer, 100);
    return FinishAll(trainer, observer);
  }));
  ASSERT_EQ(reports_[1].size(), 1u);
  EXPECT_TRUE(reports_[1][0].has_finished());

  // A job that is handed back without one is still handed back.
  reports_.clear();
  List({2});
  Train(Runner([&](FakeTrainer* trainer, GangObserver* observer) {
    List({2}, {}, {2});
    SaveAll(trainer, observer, 100);
    return absl::CancelledError("all dropped");
  }));
  ASSERT_EQ(reports_[2].size(), 1u);
  EXPECT_TRUE(reports_[2][0].has_released());
}

TEST_F(GangResumeTest, HalvesOfAGangThatRanOutOfMemoryGoOnFromTheNewestCheckpointKept) {
  List({1, 2}, {{1, 100}, {2, 100}});
  std::vector<std::string> from;
  Train(Runner([&](FakeTrainer* trainer, GangObserver* observer) -> absl::Status {
    if (trainer->size() > 1) {
      SaveAll(trainer, observer, 500);
      while (gang_->checkpoint(0).iteration() < 500) std::this_thread::yield();
      while (gang_->checkpoint(1).iteration() < 500) std::this_thread::yield();
      return absl::ResourceExhaustedError("full");
    }
    from.push_back(trainer->checkpoints().at(0));
    return FinishAll(trainer, observer);
  }));
  EXPECT_THAT(from,
              ElementsAre("file sha256 of state of 1 at 500", "file sha256 of state of 2 at 500"));
}

TEST_F(GangResumeTest, AnErrorOfAJobThatIsToBeReleasedIsNoFailure) {
  List({1, 2});
  Train(Runner([this](FakeTrainer*, GangObserver*) -> absl::Status {
    List({1, 2}, {}, {1});
    return absl::InternalError("a wire came loose");
  }));
  EXPECT_TRUE(reports_[1].back().has_released());
  EXPECT_EQ(FailureOf(2).cause(), v1::WORKER_ERROR);
}

}  // namespace
}  // namespace modlab
