// What tests of the trainer share: a config, a recorder of all that is told, and
// ways to train.

#ifndef MODLAB_LIB_TRAIN_TRAINER_FIXTURE_H_
#define MODLAB_LIB_TRAIN_TRAINER_FIXTURE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/config/job_config.h"
#include "lib/train/trainer.h"

namespace modlab {

// Small enough for a test, with all that a real job has.
inline v1::JobConfig Config(v1::ModelType model, v1::Target target, int seed,
                            v1::Architecture architecture = v1::MLP) {
  v1::JobConfig config;
  config.set_architecture(architecture);
  config.set_target(target);
  config.set_model(model);
  config.set_rules(4);
  config.set_encoder_dim(8);
  config.set_model_dim(32);
  config.set_data_seed(seed % 3);
  config.set_model_seed(seed);
  config.set_iterations(60);
  config.set_batch_size(64);
  config.set_learning_rate(1e-3 * (1 + seed % 2));
  config.set_eval_interval(25);
  config.set_eval_batches(2);
  config.set_validation_batches(2);
  config.set_final_batches(3);
  config.set_final_batch_size(100);
  config.set_activation_batches(5);
  config.set_adaptation_draws(3);
  config.set_adaptation_batches(2);
  return Canonicalise(config).value();
}

struct MemberRecord {
  std::vector<v1::CurvePoint> points;
  std::optional<v1::JobResult> result;
  std::optional<v1::Failure> failure;
  std::string weights;
  std::string best_weights;

  double Final(v1::Metric metric) const {
    for (const v1::MetricValue& value : result->metrics()) {
      if (value.metric() == metric) return value.value();
    }
    return std::numeric_limits<double>::quiet_NaN();
  }

  // All that must not depend on gang mates, as bytes.
  std::string Reproducible() const {
    std::string bytes;
    for (v1::CurvePoint point : points) {
      // A trainer that went on from a checkpoint right before the point has none.
      auto* values = point.mutable_values();
      values->erase(std::remove_if(values->begin(), values->end(),
                                   [](const v1::MetricValue& value) {
                                     return value.metric() == v1::ITERATIONS_PER_SECOND;
                                   }),
                    values->end());
      bytes += point.SerializeAsString();
    }
    v1::JobResult timeless = *result;
    timeless.clear_wall_seconds();
    return bytes + timeless.SerializeAsString() + weights + best_weights;
  }
};

class Recorder : public GangObserver {
 public:
  void OnPoint(int member, const v1::CurvePoint& point) override {
    members[member].points.push_back(point);
    if (on_point) on_point(member, point);
  }
  void OnFinished(int member, const v1::JobResult& result, const FinalWeights& weights) override {
    members[member].result = result;
    members[member].weights = weights.last;
    members[member].best_weights = weights.best;
  }
  void OnFailed(int member, const v1::Failure& failure) override {
    members[member].failure = failure;
  }
  void OnCheckpoint(int member, int64_t iteration, std::string file) override {
    if (on_checkpoint) on_checkpoint(member, iteration, std::move(file));
  }

  std::map<int, MemberRecord> members;
  std::function<void(int, const v1::CurvePoint&)> on_point;
  std::function<void(int, int64_t, std::string)> on_checkpoint;
};

inline std::map<int, MemberRecord> TrainGang(const std::vector<v1::JobConfig>& configs,
                                             const std::vector<std::string>& checkpoints = {},
                                             const TrainerLimits& limits = {}) {
  auto trainer = Trainer::Create(configs, "cpu", checkpoints, limits);
  EXPECT_TRUE(trainer.ok()) << trainer.status();
  Recorder recorder;
  const absl::Status status = (*trainer)->Run(&recorder);
  EXPECT_TRUE(status.ok()) << status;
  return recorder.members;
}

// Trains in as many parts as it takes: `run` runs a trainer, of which it may request
// checkpoints. They end it, and the next trainer goes on from them. Returns also how
// often that was.
inline std::pair<std::map<int, MemberRecord>, int> TrainInParts(
    const std::vector<v1::JobConfig>& configs,
    const std::function<absl::Status(Trainer*, Recorder*)>& run) {
  std::map<int, MemberRecord> members;
  std::vector<std::string> checkpoints;
  for (int stops = 0;; ++stops) {
    auto trainer = Trainer::Create(configs, "cpu", checkpoints);
    EXPECT_TRUE(trainer.ok()) << trainer.status();
    if (!trainer.ok() || stops == 1000) return {members, stops};
    checkpoints.assign(configs.size(), "");
    Recorder recorder;
    recorder.on_checkpoint = [&](int member, int64_t, std::string file) {
      checkpoints[static_cast<size_t>(member)] = std::move(file);
      (*trainer)->Drop(member);
    };
    const absl::Status status = run(trainer->get(), &recorder);
    for (int member = 0; member < static_cast<int>(configs.size()); ++member) {
      MemberRecord part = recorder.members[member];
      part.points.insert(part.points.begin(), members[member].points.begin(),
                         members[member].points.end());
      members[member] = part;
    }
    if (!absl::IsCancelled(status)) {
      EXPECT_TRUE(status.ok()) << status;
      return {members, stops};
    }
  }
}

}  // namespace modlab

#endif  // MODLAB_LIB_TRAIN_TRAINER_FIXTURE_H_
