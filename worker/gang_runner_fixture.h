// What tests of the gang runner share: jobs, a trainer that does what a test wrote, and
// a session with what was reported.

#ifndef MODLAB_WORKER_GANG_RUNNER_FIXTURE_H_
#define MODLAB_WORKER_GANG_RUNNER_FIXTURE_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/checkpoint_keeper.h"
#include "worker/gang_runner.h"

namespace modlab {

inline v1::JobConfig Config(int64_t model_seed) {
  v1::JobConfig config;
  config.set_architecture(v1::MLP);
  config.set_target(v1::REGRESSION);
  config.set_rules(2);
  config.set_model(v1::MODULAR);
  config.set_model_seed(model_seed);
  return config;
}

// What a trainer does, written by each test.
class FakeTrainer;
using Script = std::function<absl::Status(FakeTrainer*, GangObserver*)>;

class FakeTrainer : public Trainer {
 public:
  FakeTrainer(std::vector<v1::JobConfig> configs, std::vector<std::string> checkpoints,
              Script script)
      : configs_(std::move(configs)),
        checkpoints_(std::move(checkpoints)),
        dropped_(configs_.size()),
        script_(std::move(script)) {
    for (auto& dropped : dropped_) dropped = false;
  }

  absl::Status Run(GangObserver* observer) override { return script_(this, observer); }
  void Drop(int member) override { dropped_[static_cast<size_t>(member)] = true; }
  void RequestCheckpoints() override { checkpoints_asked_ = true; }
  const GangProgress& progress() const override { return progress_; }

  int size() const { return static_cast<int>(configs_.size()); }
  int64_t seed(int member) const { return configs_[static_cast<size_t>(member)].model_seed(); }
  bool is_canonical(int member) const {
    return configs_[static_cast<size_t>(member)].has_batch_size();
  }
  // What it goes on from; empty: at the beginning.
  const std::vector<std::string>& checkpoints() const { return checkpoints_; }
  bool checkpoints_asked() const { return checkpoints_asked_; }
  bool dropped(int member) const { return dropped_[static_cast<size_t>(member)]; }
  GangProgress& mutable_progress() { return progress_; }

 private:
  const std::vector<v1::JobConfig> configs_;
  const std::vector<std::string> checkpoints_;
  std::atomic<bool> checkpoints_asked_{false};
  std::vector<std::atomic<bool>> dropped_;
  const Script script_;
  GangProgress progress_;
};

inline v1::CurvePoint PointAt(int64_t iteration) {
  v1::CurvePoint point;
  point.set_iteration(iteration);
  return point;
}

inline absl::Status FinishAll(FakeTrainer* trainer, GangObserver* observer) {
  for (int member = 0; member < trainer->size(); ++member) {
    if (trainer->dropped(member)) continue;
    v1::JobResult result;
    result.set_wall_seconds(static_cast<double>(trainer->seed(member)));
    observer->OnFinished(member, result, {"weights " + std::to_string(trainer->seed(member)), ""});
  }
  return absl::OkStatus();
}

class GangRunnerTest : public testing::Test {
 protected:
  GangRunnerTest() : session_(Identity(), ReportLimits(), [] {}) {}

  static v1::WorkerView Identity() {
    v1::WorkerView identity;
    identity.set_slots(1);
    return identity;
  }

  // The coordinator lists these jobs; a job's number is its model seed. They go on from
  // iteration `iterations` of them says, and those in `release` are to be released.
  void List(const std::vector<int64_t>& jobs, const std::map<int64_t, int64_t>& iterations = {},
            const std::set<int64_t>& release = {}) {
    v1::CoordinatorView view;
    if (!jobs.empty()) view.add_gangs()->set_id(1);
    for (const int64_t job : jobs) {
      v1::Lease* lease = view.mutable_gangs(0)->add_leases();
      lease->set_job_id(job);
      lease->set_attempt(1);
      lease->set_release(release.count(job) != 0);
      *lease->mutable_config() = Config(job);
      if (iterations.count(job) == 0) continue;
      lease->mutable_checkpoint()->set_iteration(iterations.at(job));
      lease->mutable_checkpoint()->set_sha256("of job " + std::to_string(job));
    }
    session_.Apply(view);
  }

  GangRunner Runner(Script script) {
    return Runner([script](const std::vector<v1::JobConfig>& configs,
                           const std::vector<std::string>& checkpoints)
                      -> absl::StatusOr<std::unique_ptr<Trainer>> {
      return std::make_unique<FakeTrainer>(configs, checkpoints, script);
    });
  }

  GangRunner Runner(TrainerFactory factory) {
    const TrainerFactory recording = [this, factory](const std::vector<v1::JobConfig>& configs,
                                                     const std::vector<std::string>& checkpoints) {
      std::vector<int64_t> seeds;
      for (const v1::JobConfig& config : configs) seeds.push_back(config.model_seed());
      created_.push_back(seeds);
      return factory(configs, checkpoints);
    };
    v1::Provenance provenance;
    provenance.set_device("cpu");
    provenance.set_device_name("Fake 9000");
    return GangRunner(
        &session_, &keeper_, recording,
        [this](absl::string_view content, const TryAgain& try_again) {
          return keep_(content, try_again);
        },
        [this](const v1::TrainingCheckpoint& checkpoint, const std::function<bool()>& is_wanted) {
          return fetch_(checkpoint, is_wanted);
        },
        provenance);
  }

  // Trains what is listed; then reports_ are the reports by job.
  void Train(const GangRunner& runner) {
    gang_ = session_.NextGang();
    ASSERT_NE(gang_, nullptr);
    runner.Run(gang_);
    session_.GangEnded();
    // The keeper's last reports are under way.
    ASSERT_TRUE(
        session_.WaitUntilReleased(std::chrono::steady_clock::now() + std::chrono::seconds(10)));
    const v1::WorkerView view = session_.NextView();
    for (const v1::Report& report : view.reports()) {
      reports_[report.job_id()].push_back(report);
    }
  }

  const v1::Failure& FailureOf(int64_t job) { return reports_[job].back().failed(); }

  Session session_;
  ArtifactSink keep_ = [](absl::string_view content, const TryAgain&) {
    return "sha256 of " + std::string(content);
  };
  std::function<absl::StatusOr<std::string>(const v1::TrainingCheckpoint&,
                                            const std::function<bool()>&)>
      fetch_ = [](const v1::TrainingCheckpoint& checkpoint, const std::function<bool()>&) {
        return "file " + checkpoint.sha256();
      };
  CheckpointKeeper keeper_{&session_, [this](absl::string_view content, const TryAgain& try_again) {
                             return keep_(content, try_again);
                           }};
  std::shared_ptr<Gang> gang_;
  std::vector<std::vector<int64_t>> created_;
  std::map<int64_t, std::vector<v1::Report>> reports_;
};

// Hands all that are left their checkpoints, as a trainer that was asked to.
inline void SaveAll(FakeTrainer* trainer, GangObserver* observer, int64_t iteration) {
  for (int member = 0; member < trainer->size(); ++member) {
    if (trainer->dropped(member)) continue;
    observer->OnCheckpoint(
        member, iteration,
        "state of " + std::to_string(trainer->seed(member)) + " at " + std::to_string(iteration));
  }
}

}  // namespace modlab

#endif  // MODLAB_WORKER_GANG_RUNNER_FIXTURE_H_
