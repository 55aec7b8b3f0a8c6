#include "lib/train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/config/job_config.h"
#include "lib/train/device.h"
#include "lib/train/trainer_fixture.h"
#include "lib/weights/safetensors.h"

namespace modlab {
namespace {

class TrainerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { PrepareProcess(); }
};

TEST_F(TrainerTest, CurvesHaveTheUntrainedModelEveryIntervalAndTheEnd) {
  const auto members = TrainGang({Config(v1::MODULAR, v1::CLASSIFICATION, 1)});
  std::vector<int64_t> iterations;
  for (const v1::CurvePoint& point : members.at(0).points) iterations.push_back(point.iteration());
  EXPECT_THAT(iterations, testing::ElementsAre(0, 25, 50, 60));
  std::vector<int> metrics;
  for (const v1::MetricValue& value : members.at(0).points.back().values()) {
    metrics.push_back(value.metric());
  }
  EXPECT_THAT(metrics, testing::UnorderedElementsAre(
                           v1::TRAIN_LOSS, v1::EVAL_LOSS, v1::EVAL_ACCURACY, v1::VALIDATION_LOSS,
                           v1::VALIDATION_ACCURACY, v1::ITERATIONS_PER_SECOND, v1::COLLAPSE_AVG,
                           v1::COLLAPSE_WORST, v1::ALIGNMENT, v1::ADAPTATION, v1::INVERSE_MI));
  EXPECT_EQ(members.at(0).points.back().activation().values_size(), 16);
}

// Every training loss was reported as 0.
TEST_F(TrainerTest, TheTrainingLossIsTheMeanSinceTheLastPoint) {
  const auto members = TrainGang({Config(v1::MODULAR, v1::REGRESSION, 1)});
  const auto value = [&](size_t point, v1::Metric metric) {
    for (const v1::MetricValue& v : members.at(0).points[point].values()) {
      if (v.metric() == metric) return v.value();
    }
    return std::numeric_limits<double>::quiet_NaN();
  };
  for (size_t point = 1; point < members.at(0).points.size(); ++point) {
    // It falls from point to point, so its mean lies between them, roughly.
    EXPECT_GT(value(point, v1::TRAIN_LOSS), 0.5 * value(point, v1::EVAL_LOSS));
    EXPECT_LT(value(point, v1::TRAIN_LOSS), 2.0 * value(point - 1, v1::EVAL_LOSS));
  }
}

TEST_F(TrainerTest, StoppedAnywhereAndResumedItEndsInTheSameBits) {
  v1::JobConfig config = Config(v1::MODULAR, v1::REGRESSION, 1);
  config.set_iterations(2000);
  config.set_eval_interval(700);
  config.set_halve_learning_rate_every(300);
  config.set_halve_learning_rate_times(3);
  const auto undisturbed = TrainGang({config});
  int64_t part = 150;  // iterations, roughly: between points mostly
  const auto [resumed, stops] = TrainInParts({config}, [&](Trainer* trainer, Recorder* recorder) {
    std::atomic<bool> done{false};
    const int64_t until = trainer->progress().iteration + part;
    part += 150;
    std::thread watcher([&] {
      while (!done && trainer->progress().iteration < until) std::this_thread::yield();
      trainer->RequestCheckpoints();
    });
    absl::Status status = trainer->Run(recorder);
    done = true;
    watcher.join();
    return status;
  });
  EXPECT_GE(stops, 1);
  EXPECT_EQ(resumed.at(0).Reproducible(), undisturbed.at(0).Reproducible());
}

// A checkpoint of every member, and how far it was.
struct Saved {
  int64_t iteration = 0;
  std::vector<std::string> files;
  std::vector<size_t> points;  // that the member had
};

// Of every opportunity in a gang's life, the evaluations' batches included.
std::vector<Saved> SaveEverywhere(const std::vector<v1::JobConfig>& configs) {
  auto trainer = Trainer::Create(configs, "cpu").value();
  std::vector<Saved> all;
  Recorder recorder;
  recorder.on_checkpoint = [&](int member, int64_t iteration, std::string file) {
    const auto index = static_cast<size_t>(member);
    if (all.empty() || !all.back().files[index].empty()) {
      all.push_back({iteration, std::vector<std::string>(configs.size()),
                     std::vector<size_t>(configs.size())});
    }
    all.back().files[index] = std::move(file);
    all.back().points[index] = recorder.members[member].points.size();
    trainer->RequestCheckpoints();
  };
  trainer->RequestCheckpoints();
  EXPECT_TRUE(trainer->Run(&recorder).ok());
  return all;
}

TEST_F(TrainerTest, FromACheckpointOfAnyMomentItEndsInTheSameBits) {
  for (const v1::Architecture architecture : {v1::MLP, v1::MHA, v1::RNN}) {
    SCOPED_TRACE(v1::Architecture_Name(architecture));
    std::vector<v1::JobConfig> configs;
    for (const int seed : {1, 2}) {
      v1::JobConfig config = Config(v1::MODULAR, v1::REGRESSION, seed, architecture);
      config.set_iterations(6);
      config.set_eval_interval(3);
      config.set_batch_size(8);
      config.set_final_batch_size(10);
      config.set_final_batches(1);
      config.set_adaptation_draws(1);
      if (architecture != v1::MLP) config.set_sequence_length(10);
      if (architecture == v1::RNN) config.set_input_dim(4);
      configs.push_back(Canonicalise(config).value());
    }
    const auto undisturbed = TrainGang(configs);
    const std::vector<Saved> all = SaveEverywhere(configs);
    // Steps, batches of three points, and batches of the end.
    EXPECT_GT(all.size(), 6u + 3 * 2 + 4);
    EXPECT_EQ(all.back().iteration, 6);
    for (const Saved& saved : all) {
      auto resumed = TrainGang(configs, saved.files);
      for (const int member : {0, 1}) {
        const auto& points = undisturbed.at(member).points;
        const auto had = static_cast<std::ptrdiff_t>(saved.points[static_cast<size_t>(member)]);
        resumed[member].points.insert(resumed[member].points.begin(), points.begin(),
                                      points.begin() + had);
        ASSERT_EQ(resumed[member].Reproducible(), undisturbed.at(member).Reproducible())
            << "from iteration " << saved.iteration << ", " << had << " points";
      }
    }
  }
}

// One member's checkpoint may have been made before the point of its iteration, another's
// after it.
TEST_F(TrainerTest, AGangGoesOnFromCheckpointsBeforeAndAfterAPoint) {
  const std::vector<v1::JobConfig> configs = {Config(v1::MODULAR, v1::REGRESSION, 1),
                                              Config(v1::MODULAR, v1::REGRESSION, 2)};
  auto undisturbed = TrainGang(configs);
  std::vector<Saved> at_25;
  for (const Saved& saved : SaveEverywhere(configs)) {
    if (saved.iteration == 25) at_25.push_back(saved);
  }
  ASSERT_EQ(at_25.front().points[0], 1u);
  ASSERT_EQ(at_25.back().points[1], 2u);
  auto resumed = TrainGang(configs, {at_25.front().files[0], at_25.back().files[1]});
  for (const int member : {0, 1}) {
    auto& points = undisturbed[member].points;
    points.erase(points.begin(), points.begin() + 1 + member);
    EXPECT_EQ(resumed.at(member).Reproducible(), undisturbed.at(member).Reproducible());
  }
}

TEST_F(TrainerTest, CheckpointsAreOfThoseThatAreLeftAndOnceARequest) {
  const std::vector<v1::JobConfig> configs = {Config(v1::MODULAR, v1::REGRESSION, 0),
                                              Config(v1::MODULAR, v1::REGRESSION, 1)};
  auto trainer = Trainer::Create(configs, "cpu").value();
  Recorder recorder;
  std::vector<int> saved;
  recorder.on_checkpoint = [&](int member, int64_t, const std::string&) {
    saved.push_back(member);
  };
  recorder.on_point = [&](int member, const v1::CurvePoint& point) {
    if (point.iteration() != 25) return;
    if (member == 0) trainer->Drop(0);
    trainer->RequestCheckpoints();
    trainer->RequestCheckpoints();
  };
  ASSERT_TRUE(trainer->Run(&recorder).ok());
  EXPECT_THAT(saved, testing::ElementsAre(1));
}

TEST_F(TrainerTest, RefusesCheckpointsThatAreNotItsOwn) {
  const v1::JobConfig config = Config(v1::MODULAR, v1::REGRESSION, 1);
  const v1::JobConfig mate = Config(v1::MODULAR, v1::REGRESSION, 3);
  const std::vector<Saved> own = SaveEverywhere({config}), other = SaveEverywhere({mate});
  const auto create = [&](const std::vector<std::string>& checkpoints) {
    return Trainer::Create({config, mate}, "cpu", checkpoints).status();
  };
  const std::string fresh = own.front().files[0], other_fresh = other.front().files[0];
  EXPECT_TRUE(create({fresh, other_fresh}).ok()) << create({fresh, other_fresh});
  for (const absl::Status& status :
       {create({fresh}), create({other_fresh, fresh}), create({fresh, "junk"}), create({fresh, ""}),
        create({fresh, other.back().files[0]})}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  }
}

// A step size that is halved early moves the weights less.
TEST_F(TrainerTest, TheLearningRateIsHalvedOnSchedule) {
  v1::JobConfig plain = Config(v1::MODULAR, v1::REGRESSION, 1);
  v1::JobConfig late = plain, early = plain;
  late.set_halve_learning_rate_every(plain.iterations());
  late.set_halve_learning_rate_times(1);
  early.set_halve_learning_rate_every(1);
  early.set_halve_learning_rate_times(64);
  v1::JobConfig half = plain;
  half.set_learning_rate(plain.learning_rate() / 2);
  v1::JobConfig once = plain;
  once.set_halve_learning_rate_every(1);
  once.set_halve_learning_rate_times(1);
  const auto tensors = [](const v1::JobConfig& config) {
    std::vector<float> all;
    const auto file = DecodeSafetensors(TrainGang({config}).at(0).weights).value();
    for (const NamedArray& tensor : file.tensors) {
      all.insert(all.end(), tensor.values.begin(), tensor.values.end());
    }
    return all;
  };
  EXPECT_EQ(tensors(late), tensors(plain));
  EXPECT_NE(tensors(once), tensors(plain));
  EXPECT_NE(tensors(once), tensors(half));  // its first step is a whole one
  // After a few steps of 1, 1/2, 1/4, ... nothing moves any more.
  v1::JobConfig longer = early;
  longer.set_iterations(2 * plain.iterations());
  const auto short_weights = tensors(early), long_weights = tensors(longer);
  for (size_t i = 0; i < short_weights.size(); ++i) {
    EXPECT_NEAR(short_weights[i], long_weights[i], 1e-6);
  }
}

TEST_F(TrainerTest, SequencesAreEvaluatedAtEveryLength) {
  for (const v1::Architecture architecture : {v1::MHA, v1::RNN}) {
    v1::JobConfig config = Config(v1::MODULAR, v1::REGRESSION, 1, architecture);
    config.clear_sequence_length();
    config.set_iterations(2);
    config.set_final_batches(1);
    config.set_activation_batches(1);
    config.set_adaptation_draws(1);
    config.set_adaptation_batches(1);
    if (architecture == v1::RNN) config.set_input_dim(4);
    const MemberRecord member = TrainGang({Canonicalise(config).value()}).at(0);
    for (const v1::Metric metric :
         {v1::ID_L3, v1::ID_L5, v1::ID_L10, v1::ID_L20, v1::ID_L30, v1::OOD_L3, v1::OOD_L5,
          v1::OOD_L10, v1::OOD_L20, v1::OOD_L30, v1::ID_LOSS_L3, v1::OOD_LOSS_L30}) {
      EXPECT_GT(member.Final(metric), 0.0) << v1::Metric_Name(metric);
    }
    EXPECT_TRUE(std::isnan(member.Final(v1::ID_L40)));
    EXPECT_EQ(member.Final(v1::ID), member.Final(v1::ID_L10));
    EXPECT_EQ(member.Final(v1::OOD), member.Final(v1::OOD_L30));
    EXPECT_EQ(member.Final(v1::OOD_LOSS), member.Final(v1::OOD_LOSS_L30));
    // Samples of different lengths are different samples.
    EXPECT_NE(member.Final(v1::ID_L10), member.Final(v1::ID_L20));
  }
}

TEST_F(TrainerTest, TrainingLowersTheLoss) {
  v1::JobConfig config = Config(v1::GT_MODULAR, v1::REGRESSION, 1);
  config.set_iterations(600);
  const auto members = TrainGang({config});
  const double before = members.at(0).points.front().values(0).value();
  const double after = members.at(0).points.back().values(0).value();
  EXPECT_LT(after, 0.5 * before);
  EXPECT_NEAR(members.at(0).Final(v1::ID), after, 0.3 * after);
  EXPECT_GT(members.at(0).Final(v1::OOD), members.at(0).Final(v1::ID));
}

TEST_F(TrainerTest, TheOracleRouterNeverCollapsesAndAlignsPerfectly) {
  const auto members = TrainGang({Config(v1::GT_MODULAR, v1::REGRESSION, 2)});
  EXPECT_NEAR(members.at(0).Final(v1::COLLAPSE_AVG), 0.0, 1e-12);
  EXPECT_NEAR(members.at(0).Final(v1::COLLAPSE_WORST), 0.0, 1e-12);
  EXPECT_NEAR(members.at(0).Final(v1::ALIGNMENT), 0.0, 1e-12);
  EXPECT_NEAR(members.at(0).Final(v1::INVERSE_MI), 0.0, 1e-6);
}

TEST_F(TrainerTest, MonolithicHasNoRoutingMetrics) {
  const auto members = TrainGang({Config(v1::MONOLITHIC, v1::REGRESSION, 2)});
  EXPECT_TRUE(std::isnan(members.at(0).Final(v1::COLLAPSE_AVG)));
  EXPECT_FALSE(members.at(0).result->has_activation());
}

TEST_F(TrainerTest, DivergenceEndsThatMemberAloneAndSaysWhere) {
  for (const v1::Architecture architecture : {v1::MLP, v1::MHA, v1::RNN}) {
    SCOPED_TRACE(v1::Architecture_Name(architecture));
    std::vector<v1::JobConfig> configs;
    for (int seed = 0; seed < 3; ++seed) {
      configs.push_back(Config(v1::MODULAR, v1::REGRESSION, seed, architecture));
    }
    const auto undisturbed = TrainGang({configs[0], configs[2]});
    // Overflows 32-bit floats at the first step, whatever the data.
    configs[1].set_learning_rate(std::numeric_limits<float>::max());
    const auto members = TrainGang(configs);
    ASSERT_TRUE(members.at(1).failure.has_value());
    EXPECT_EQ(members.at(1).failure->cause(), v1::DIVERGED);
    EXPECT_EQ(members.at(1).failure->iteration(), 0);
    EXPECT_THAT(members.at(1).failure->message(),
                testing::HasSubstr("between iterations 0 and 25"));
    EXPECT_EQ(members.at(1).points.size(), 1u);
    EXPECT_FALSE(members.at(1).result.has_value());
    EXPECT_EQ(members.at(0).Reproducible(), undisturbed.at(0).Reproducible());
    EXPECT_EQ(members.at(2).Reproducible(), undisturbed.at(1).Reproducible());
  }
}

// It was said that a smaller learning rate may help, before any step.
TEST_F(TrainerTest, ATaskThatOverflowsIsToldApartFromDivergence) {
  v1::JobConfig config = Config(v1::MODULAR, v1::REGRESSION, 0, v1::RNN);
  config.set_input_dim(1);
  config.set_order(2);
  config.set_sequence_length(200);
  config.set_data_seed(137);
  config.set_rules(2);
  config.set_modules(2);
  const auto members = TrainGang({Canonicalise(config).value()});
  ASSERT_TRUE(members.at(0).failure.has_value());
  EXPECT_EQ(members.at(0).failure->cause(), v1::DIVERGED);
  EXPECT_THAT(members.at(0).failure->message(), testing::HasSubstr("untrained model is"));
}

TEST_F(TrainerTest, DroppedMembersAreSilentAndTheOthersUntouched) {
  const std::vector<v1::JobConfig> configs = {Config(v1::MODULAR, v1::REGRESSION, 0),
                                              Config(v1::MODULAR, v1::REGRESSION, 1)};
  const auto alone = TrainGang({configs[1]});
  auto trainer = Trainer::Create(configs, "cpu").value();
  Recorder recorder;
  recorder.on_point = [&](int member, const v1::CurvePoint& point) {
    if (member == 0 && point.iteration() == 25) trainer->Drop(0);
  };
  ASSERT_TRUE(trainer->Run(&recorder).ok());
  EXPECT_EQ(recorder.members[0].points.size(), 2u);
  EXPECT_FALSE(recorder.members[0].result.has_value());
  EXPECT_EQ(recorder.members[1].Reproducible(), alone.at(0).Reproducible());
}

TEST_F(TrainerTest, ThePulseBeatsWithEveryStepAndEveryBatchOfAnEvaluation) {
  auto trainer = Trainer::Create({Config(v1::MODULAR, v1::REGRESSION, 0)}, "cpu").value();
  Recorder recorder;
  std::vector<uint64_t> pulses;
  recorder.on_point = [&](int, const v1::CurvePoint&) {
    pulses.push_back(trainer->progress().pulse);
  };
  ASSERT_TRUE(trainer->Run(&recorder).ok());
  ASSERT_EQ(pulses.size(), 4u);
  EXPECT_GE(pulses[0], 2u) << "batches at iteration 0";
  EXPECT_GE(pulses[1], pulses[0] + 25 + 2);
  // In and out of distribution, activation, adaptation.
  EXPECT_GE(trainer->progress().pulse, pulses[3] + 2 * 3 + 5 + 3 * 2);
}

TEST_F(TrainerTest, ReturnsCancelledOnceAllAreDropped) {
  auto trainer = Trainer::Create({Config(v1::MODULAR, v1::REGRESSION, 0)}, "cpu").value();
  Recorder recorder;
  recorder.on_point = [&](int, const v1::CurvePoint&) { trainer->Drop(0); };
  EXPECT_EQ(trainer->Run(&recorder).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(recorder.members[0].points.size(), 1u);
}

TEST_F(TrainerTest, RefusesJobsOfDifferentShapes) {
  v1::JobConfig other = Config(v1::MODULAR, v1::REGRESSION, 0);
  other.set_model_dim(64);
  const auto trainer = Trainer::Create({Config(v1::MODULAR, v1::REGRESSION, 0), other}, "cpu");
  EXPECT_EQ(trainer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Trainer::Create({other}, "tpu").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(TrainerTest, WhileStacksAreMeasuredTheBitsAreTheSame) {
  std::vector<v1::JobConfig> configs;
  for (int seed = 0; seed < 4; ++seed) {
    configs.push_back(Config(v1::MODULAR, v1::REGRESSION, seed));
    configs.back().set_iterations(2500);
    configs.back().set_eval_interval(2500);
  }
  const TrainerLimits together{/*memory_bytes=*/0, /*stack_size=*/4};
  const auto measured = TrainGang(configs), stacked = TrainGang(configs, {}, together);
  for (int member = 0; member < 4; ++member) {
    EXPECT_EQ(measured.at(member).Reproducible(), stacked.at(member).Reproducible());
  }
}

TEST_F(TrainerTest, AGangThatWouldNotFitIsNotBegun) {
  const v1::JobConfig config = Config(v1::MODULAR, v1::REGRESSION, 0);
  TrainerLimits tight;
  const Footprint job = TrainingFootprint(config);
  tight.memory_bytes = job.kept + job.step;
  EXPECT_TRUE(Trainer::Create({config}, "cpu", {}, tight).ok());
  const absl::Status status = Trainer::Create({config, config}, "cpu", {}, tight).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_NE(std::string(status.message()).find("2 jobs of this shape"), std::string::npos);
}

TEST_F(TrainerTest, WeightsHaveThePublishedNamesAndShapes) {
  const v1::JobConfig config = Config(v1::MODULAR, v1::REGRESSION, 0);
  const auto members = TrainGang({config});
  const auto file = DecodeSafetensors(members.at(0).weights);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata.at("job_key"), JobKey(config));
  std::map<std::string, std::vector<int64_t>> shapes;
  int64_t numbers = 0;
  for (const NamedArray& tensor : file->tensors) {
    shapes[tensor.name] = tensor.shape;
    numbers += static_cast<int64_t>(tensor.values.size());
  }
  EXPECT_EQ(numbers, ParameterCount(config));
  EXPECT_EQ(shapes["encoder_digit.0.weight"], (std::vector<int64_t>{8, 1}));
  EXPECT_EQ(shapes["encoder_operation.0.weight"], (std::vector<int64_t>{8, 4}));
  EXPECT_EQ(shapes["MLP.0.w"], (std::vector<int64_t>{4, 24, 8}));
  EXPECT_EQ(shapes["MLP.0.b"], (std::vector<int64_t>{1, 4, 8}));
  EXPECT_EQ(shapes["MLP.2.w"], (std::vector<int64_t>{4, 8, 33}));
  EXPECT_EQ(shapes["decoder.2.bias"], (std::vector<int64_t>{1}));
}

}  // namespace
}  // namespace modlab
